"""Turns of threads in a scripted `codex app-server`."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.config.model import Warm
from sidecar.model import Prompt, ToolServer, Usage
from sidecar.runtimes import codex

CODEX = """
import json, os, sys
here = os.path.dirname(__file__) + "/"
arguments = sys.argv[1:]
THREAD = "01a20205-0467-72a2-980a-6af07fcc5e31"

def note(name, text):
    with open(here + name, "a") as file:
        file.write(text + "\\n")

def say(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()

def tell(method, turn, **params):
    say({"method": method, "params": {"threadId": THREAD, "turnId": turn, **params}})

def seen(prompt):
    note("turns", json.dumps({"pid": os.getpid(), "argv": arguments, "prompt": prompt}))

note("pids", str(os.getpid()))
if arguments[0] == "exec":
    seen(sys.stdin.read())
    say({"type": "thread.started", "thread_id": THREAD})
    say({"type": "item.completed", "item": {"type": "agent_message", "text": "cold"}})
    say({"type": "turn.completed", "usage": {"input_tokens": 114, "output_tokens": 24}})
    sys.exit(0)
for line in sys.stdin:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params")
    if method in ("thread/start", "thread/resume"):
        note("threads", json.dumps({"method": method, **params}))
        if os.path.exists(here + "gone"):
            error = {"code": -32600, "message": "no rollout found for thread id " + THREAD}
            say({"id": message["id"], "error": error})
            continue
        kind = "dangerFullAccess"
        if os.path.exists(here + "sandbox"):
            kind = open(here + "sandbox").read()
        say({"id": message["id"], "result": {"thread": {"id": THREAD}, "sandbox": {"type": kind}}})
    elif method == "turn/start":
        prompt = params["input"][0]["text"]
        seen(prompt)
        if prompt.endswith("break"):
            os._exit(3)
        turn = f"{os.getpid():08x}-0467-42a2-980a-6af07fcc5e31"
        say({"id": message["id"], "result": {"turn": {"id": turn}}})
        item = {"type": "agentMessage", "id": "m", "text": "warm"}
        tell("item/completed", turn, item=item)
        tell("thread/tokenUsage/updated", turn,
            tokenUsage={"last": {"inputTokens": 7, "outputTokens": 2},
                "total": {"inputTokens": 107, "outputTokens": 22}})
        say({"method": "turn/completed",
            "params": {"threadId": THREAD, "turn": {"id": turn, "status": "completed"}}})
        say({"method": "account/rateLimits/updated", "params": {}})
    elif "id" in message:
        say({"id": message["id"], "result": {}})
"""
THREAD = "01a20205-0467-72a2-980a-6af07fcc5e31"


@dataclass
class Codex:
    """The scripted CLI."""

    workshop: Any
    program: str

    def runtime(self, **options: Any) -> Any:
        settings = {"command": self.program, "warm": Warm(2), **options}
        return codex.build(settings, self.workshop.host)

    async def turn(
        self, runtime: Any, text: str = "hi", session: str | None = None, **job: Any
    ) -> Any:
        job = {"trust": "owner", "prompt": Prompt("be kind", text), **job}
        ended = await self.workshop.ended(runtime, session=session, **job)
        return {**self.noted("turns")[-1], "ended": ended}

    def noted(self, name: str) -> list[Any]:
        file = self.workshop.folder / name
        return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def cli(workshop: Any) -> Codex:
    return Codex(workshop, workshop.script(CODEX, "codex"))


async def test_an_owner_s_turns_of_a_thread_share_a_server(cli: Codex) -> None:
    runtime = cli.runtime(args=("-m", "gpt-5.5", "-c", "x=1"))
    turns = [await cli.turn(runtime, text, THREAD) for text in ("one", "two", "three")]
    assert {turn["ended"].text for turn in turns} == {"warm"}
    assert {turn["ended"].session for turn in turns} == {THREAD}
    assert (turns[2]["ended"].usage, turns[2]["ended"].total) == (Usage(7, 2), Usage(107, 22))
    assert len({turn["pid"] for turn in turns}) == 1
    assert cli.noted("threads") == [
        {
            "method": "thread/resume",
            "threadId": THREAD,
            "excludeTurns": True,
            "cwd": str(cli.workshop.job.cwd),
            "approvalPolicy": "never",
            "sandbox": "danger-full-access",
        }
    ]
    assert turns[0]["argv"] == [
        "app-server",
        *("--config", "analytics.enabled=false"),
        *("--config", "features.unbounded_connection_retries=false"),
        *("--config", 'model="gpt-5.5"', "--config", "x=1"),
    ]
    assert "\nbe kind\n" in turns[2]["prompt"]
    await runtime.close()
    assert not cli.workshop.is_running(turns[0]["pid"])


@pytest.mark.parametrize("trust", ["trusted", "public"])
async def test_others_than_owners_have_a_process_for_each_turn(cli: Codex, trust: str) -> None:
    turn = await cli.turn(cli.runtime(), trust=trust)
    assert (turn["ended"].text, turn["argv"][0]) == ("cold", "exec")


@pytest.mark.parametrize(
    "args",
    [("--sandbox", "read-only"), ("--profile", "x"), ("--oss",), ("-c", 'sandbox_mode="x"')],
)
async def test_arguments_that_a_server_is_not_known_to_take_are_obeyed_cold(
    cli: Codex, args: tuple[str, ...]
) -> None:
    assert (await cli.turn(cli.runtime(), args=args))["ended"].text == "cold"


async def test_a_thread_that_is_gone_is_told(cli: Codex) -> None:
    (cli.workshop.folder / "gone").touch()
    ended = await cli.workshop.ended(cli.runtime(), session=THREAD)
    assert (ended.failure.kind, ended.session) == ("session_missing", None)
    await cli.workshop.gone(await cli.workshop.pids())


async def test_a_server_with_other_rights_is_not_asked(cli: Codex) -> None:
    (cli.workshop.folder / "sandbox").write_text("readOnly")
    turn = await cli.turn(cli.runtime())
    assert turn["ended"].text == "cold"
    assert len(cli.noted("turns")) == 1


async def test_a_server_that_dies_in_a_turn_is_replaced_by_a_cold_run(cli: Codex) -> None:
    runtime = cli.runtime()
    await cli.turn(runtime)
    turn = await cli.turn(runtime, "break", THREAD, total=Usage(107, 22))
    assert (turn["ended"].text, turn["ended"].usage) == ("cold", Usage(7, 2))
    assert turn["argv"][-3:] == ["resume", THREAD, "-"]
    await runtime.close()


async def test_tool_servers_do_not_keep_turns_apart(cli: Codex) -> None:
    runtime = cli.runtime()
    tools = (ToolServer("memory", "/bin/true", tools=("note",)),)
    first = await cli.turn(runtime, "one", tools=tools)
    second = await cli.turn(runtime, "two", THREAD, tools=tools)
    assert first["pid"] == second["pid"]
    assert "SIDECAR_TURN" in " ".join(first["argv"])
    await runtime.close()
