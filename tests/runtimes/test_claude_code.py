import asyncio
import json
import logging
import os
import shutil
import stat
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import Block, Prompt, SessionStarted, TurnEnded
from sidecar.runtimes import claude_code
from tests.patience import PATIENCE

RECORDINGS = Path(__file__).parent.parent / "data" / "claude"
SESSION = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
PIECES = "--include-partial-messages"
NEW = f"{PIECES} --restricted --permission-prompts <mode> --system-prompt-snapshot <on|off>"

# Replays a recording, and writes down what it was given.
FAKE = """
import os, sys
here = os.path.dirname(__file__) + "/"

def read(path):
    with open(path, "rb") as file:
        return file.read()

with open(here + "calls", "a") as file:
    file.write(" ".join(sys.argv[1:2]) + "\\n")
if sys.argv[1:] == ["--help"]:
    sys.stdout.buffer.write(read(here + "help"))
    sys.exit(0)
import json, time
arguments = sys.argv[1:]
context = mode = None
if "--append-system-prompt-file" in arguments:
    path = arguments[arguments.index("--append-system-prompt-file") + 1]
    context, mode = read(path).decode(), os.stat(path).st_mode & 0o777
seen = {
    "argv": arguments,
    "stdin": sys.stdin.buffer.read().decode(),
    "env": dict(os.environ),
    "context": context,
    "mode": mode,
    "pid": os.getpid(),
}
with open(here + "seen.new", "w") as file:
    json.dump(seen, file)
os.rename(here + "seen.new", here + "seen")
while os.path.exists(here + "wait"):
    time.sleep(0.005)
sys.stdout.buffer.write(read(here + "stdout.ndjson"))
sys.stdout.flush()
sys.stderr.buffer.write(read(here + "stderr.txt"))
sys.exit(int(read(here + "exit.txt")))
"""


class Claude:
    """A `claude` that replays a recording."""

    def __init__(self, workshop: Any) -> None:
        self.workshop = workshop
        self.folder: Path = workshop.folder
        self.program: str = workshop.script(FAKE, "claude")
        self.knows(NEW)
        self.plays("text")

    def knows(self, flags: str) -> None:
        (self.folder / "help").write_text(f"Usage: claude [options]\n  -p, --print\n  {flags}\n")

    def plays(self, scenario: str) -> None:
        for file in (RECORDINGS / scenario).iterdir():
            shutil.copyfile(file, self.folder / file.name)

    def runtime(self, **options: Any) -> Any:
        return claude_code.build({"command": self.program, **options}, self.workshop.host)

    async def seen(self, runtime: Any | None = None, **job: Any) -> Any:
        """What it was given for one turn."""
        ended = await self.workshop.ended(runtime or self.runtime(), **job)
        assert ended.failure is None, ended.failure
        return json.loads((self.folder / "seen").read_text())

    async def flags(self, runtime: Any | None = None, **job: Any) -> list[str]:
        """Its arguments, without the ones that have nothing to do with the turn."""
        argv = (await self.seen(runtime, prompt=Prompt("", "hi"), **job))["argv"]
        assert argv[:4] == ["-p", "--output-format", "stream-json", "--verbose"]
        return [argument for argument in argv[4:] if argument != PIECES]

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def contexts(self) -> list[Path]:
        return list((self.workshop.host.state / "contexts").iterdir())


@pytest.fixture
def claude(workshop: Any) -> Claude:
    return Claude(workshop)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("user")
async def test_a_turn_has_the_blocks_and_the_answer_that_the_cli_printed(claude: Claude) -> None:
    claude.plays("tool_bash_owner")
    started, init, said, call, result, answer, ended = await claude.workshop.events(
        claude.runtime()
    )
    assert isinstance(started, SessionStarted)
    kinds = [block.kind for block in (init, said, call, result, answer)]
    assert kinds == ["system", "assistant", "tool_use", "tool_result", "assistant"]
    assert (ended.text, ended.session) == ("There are two files.", started.session)


async def test_the_prompt_comes_by_standard_input_below_a_header(claude: Claude) -> None:
    for text in ("hello", "/clear", "-v", "--version", "", "ä" * 300_000):
        seen = await claude.seen(prompt=Prompt("", text))
        assert seen["stdin"] == f"Message:\n{text}"
        assert text == "" or text not in seen["argv"]


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_no_message_names_a_file_that_the_cli_would_read(claude: Claude, trust: str) -> None:
    text = "@/etc/passwd @~/x\n@../y\t@z \ufeff@q me.a+b-c_2@example.org (@w @@v"
    text += " 好\u3001@/a\u3002@~/b\uff1f@c\uff01@d好@e"
    seen = await claude.seen(prompt=Prompt("", text), trust=trust)
    w = "\u2060"
    assert seen["stdin"] == (
        f"Message:\n@{w}/etc/passwd @{w}~/x\n@{w}../y\t@{w}z \ufeff@{w}q "
        f"me.a+b-c_2@example.org (@{w}w @{w}@{w}v "
        f"好\u3001@{w}/a\u3002@{w}~/b\uff1f@{w}c\uff01@{w}d好@{w}e"
    )


async def test_the_system_context_comes_by_a_private_file_that_is_removed(claude: Claude) -> None:
    seen = await claude.seen(prompt=Prompt("you are kind\u2028\ud800", "hi"))
    assert seen["context"] == "you are kind\u2028?"
    assert seen["mode"] == 0o600
    assert claude.contexts == []
    assert stat.S_IMODE((claude.workshop.host.state / "contexts").stat().st_mode) == 0o700


async def test_the_context_file_is_removed_when_the_turn_is_cancelled(claude: Claude) -> None:
    (claude.folder / "wait").touch()
    turn = asyncio.ensure_future(  # noqa: TID251 -- cancelled below
        claude.workshop.events(claude.runtime())
    )
    await claude.workshop.until((claude.folder / "seen").exists)
    assert len(claude.contexts) == 1
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert claude.contexts == []
    await claude.workshop.gone([json.loads((claude.folder / "seen").read_text())["pid"]])


async def test_a_context_file_of_a_killed_sidecar_is_removed(claude: Claude) -> None:
    folder = claude.workshop.host.state / "contexts"
    folder.mkdir()
    old, young = folder / "old.txt", folder / "young.txt"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    await claude.seen()
    assert claude.contexts == [young]


async def test_without_a_context_no_file_is_named(claude: Claude) -> None:
    assert "--append-system-prompt-file" not in await claude.flags()


async def test_a_session_is_resumed(claude: Claude) -> None:
    assert (await claude.flags(session=SESSION))[:2] == ["--resume", SESSION]
    assert "--resume" not in await claude.flags()


@pytest.mark.parametrize("session", ["", "latest", "--version", SESSION[:-1], f"{SESSION}\n"])
async def test_what_is_no_session_id_never_reaches_the_cli(claude: Claude, session: str) -> None:
    ended = await claude.workshop.ended(claude.runtime(), session=session)
    assert ended.failure.kind == "session_missing"
    assert not (claude.folder / "seen").exists()


async def test_a_session_that_is_gone_is_told(claude: Claude) -> None:
    claude.plays("resume_missing")
    ended = await claude.workshop.ended(claude.runtime(), session=SESSION)
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


OFF = ["--system-prompt-snapshot", "off"]
ALONE = ["--strict-mcp-config", "--setting-sources", ""]
AWAY = (
    "WebFetch,WebSearch,Task,Monitor,Workflow,SendMessage,EnterWorktree,Skill,"
    "ListAgents,CronList,CronDelete,CronCreate,ScheduleWakeup"
)
AWAKE = ["--disallowedTools", "CronCreate,ScheduleWakeup"]
NO_COMMANDS = ["--disable-slash-commands"]
NO_PROMPTS = ["--permission-prompts", "none"]


@pytest.mark.usefixtures("user")
async def test_each_level_of_trust_has_its_flags(claude: Claude) -> None:
    assert await claude.flags(trust="owner") == [
        *["--permission-mode", "bypassPermissions", *AWAKE, *OFF]
    ]
    assert await claude.flags(trust="trusted") == [
        *["--permission-mode", "acceptEdits", *NO_PROMPTS],
        *["--disallowedTools", AWAY, *ALONE, *NO_COMMANDS, *OFF],
    ]
    assert await claude.flags(trust="public") == [
        *["--restricted", "--permission-mode", "dontAsk", *NO_PROMPTS],
        *["--tools", "Read,Glob,Grep", *ALONE, *NO_COMMANDS, *OFF],
    ]


@pytest.mark.usefixtures("user")
async def test_a_version_without_the_newer_flags_is_not_given_them(claude: Claude) -> None:
    claude.knows("--permission-mode <mode>")
    assert await claude.flags(trust="owner") == [
        *["--permission-mode", "bypassPermissions", *AWAKE]
    ]
    assert await claude.flags(trust="trusted") == [
        *["--permission-mode", "acceptEdits"],
        *["--disallowedTools", AWAY, *ALONE, *NO_COMMANDS],
    ]
    assert await claude.flags(trust="public") == [
        *["--permission-mode", "dontAsk", "--tools", ""],
        *["--settings", '{"permissions":{"deny":["Read(//**)"]}}', *ALONE, *NO_COMMANDS],
    ]


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    "given",
    [
        ["--permission-mode", "plan"],
        ["--permission-mode=plan"],
        ["--dangerously-skip-permissions"],
    ],
)
async def test_an_argument_of_the_config_takes_the_place_of_ours(
    claude: Claude, given: list[str]
) -> None:
    assert await claude.flags(claude.runtime(args=tuple(given))) == [*AWAKE, *OFF, *given]
    assert await claude.flags(args=tuple(given)) == [*AWAKE, *OFF, *given]


async def test_arguments_of_the_runtime_come_before_those_of_the_route(claude: Claude) -> None:
    runtime = claude.runtime(args=("--model", "sonnet"))
    assert (await claude.flags(runtime, args=("--model=opus",)))[-3:] == [
        *["--model", "sonnet", "--model=opus"]
    ]


@pytest.mark.parametrize(
    "given",
    [
        ("--append-system-prompt", "mine"),
        ("--append-system-prompt=mine",),
        ("--append-system-prompt-file=/dev/null",),
    ],
)
async def test_a_system_prompt_of_the_config_takes_the_place_of_ours(
    claude: Claude, given: tuple[str, ...]
) -> None:
    seen = await claude.seen(args=given, prompt=Prompt("ours", "hi"))
    assert "--append-system-prompt-file" not in seen["argv"]
    assert tuple(seen["argv"][-len(given) :]) == given


async def test_what_it_says_is_asked_for_in_pieces(claude: Claude) -> None:
    assert (await claude.seen())["argv"].count(PIECES) == 1
    assert (await claude.seen(args=(PIECES,)))["argv"].count(PIECES) == 1
    other = ("--output-format=stream-json",)  # which stands here for one that refuses pieces
    assert PIECES not in (await claude.seen(args=other))["argv"]
    claude.knows("--permission-mode <mode>")
    assert PIECES not in (await claude.seen())["argv"]


async def test_a_text_is_shown_in_pieces_and_answered_as_a_whole(claude: Claude) -> None:
    claude.plays("text_partial")
    *events, ended = await claude.workshop.events(claude.runtime())
    said = [event for event in events if isinstance(event, Block) and event.kind == "assistant"]
    assert [block.partial for block in said] == [True, True, True, True, True, False]
    assert said[-1].text == ended.text


async def test_the_help_is_asked_once(claude: Claude) -> None:
    runtime = claude.runtime()
    turns = [claude.workshop.ended(runtime, turn=f"turn-{number}") for number in range(4)]
    await asyncio.gather(*turns)
    assert sorted(claude.calls) == ["--help", "-p", "-p", "-p", "-p"]


async def test_what_a_version_does_not_know_is_told_once(
    claude: Claude, caplog: pytest.LogCaptureFixture
) -> None:
    claude.knows(NEW.replace("--restricted ", ""))
    runtime = claude.runtime()
    await runtime.describe(claude.workshop.job)
    assert not any("know" in text for text in caplog.messages)
    for _ in range(2):
        await claude.seen(runtime)
    told = "does not know --restricted; using no tools at all in public turns"
    assert [text for text in caplog.messages if "know" in text] == [f"{claude.program} {told}"]


@pytest.mark.usefixtures("user")
async def test_a_new_version_of_the_program_is_asked_again(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.runtimes.help.FRESH", 0.0)
    runtime = claude.runtime()
    assert OFF[0] in await claude.flags(runtime)
    assert OFF[0] in await claude.flags(runtime)
    assert claude.calls.count("--help") == 1
    claude.knows("--permission-mode <mode>")
    os.utime(claude.program, (1, 1))
    assert OFF[0] not in await claude.flags(runtime)
    assert claude.calls.count("--help") == 2


async def test_a_program_that_gave_no_help_is_not_asked_again_at_once(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.runtimes.help.FRESH", 0.0)
    (claude.folder / "help").unlink()
    runtime = claude.runtime()
    for _ in range(2):
        await claude.seen(runtime)
    assert claude.calls == ["--help", "-p", "-p"]


@pytest.mark.parametrize(
    "answer",
    ["exit 3", "kill -9 $$", "sleep 600 & echo --restricted", "yes --restricted", "exec sleep 600"],
)
async def test_a_program_without_help_gets_the_flags_that_all_versions_know(
    claude: Claude, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    endless = answer.startswith(("yes", "exec"))
    monkeypatch.setattr("sidecar.runtimes.help.PATIENCE", 0.5 if endless else PATIENCE)
    shutil.move(claude.program, claude.folder / "real")
    text = f'if [ "$1" = --help ]; then {answer}; exit; fi\nexec {claude.folder}/real "$@"'
    claude.workshop.script(text, "claude", python=False)
    flags = await claude.flags(trust="public")
    assert ("--restricted" in flags) == answer.startswith("sleep")
    assert "--system-prompt-snapshot" not in flags


@pytest.mark.usefixtures("root")
async def test_root_does_not_skip_permissions_unless_the_config_says_it_is_a_sandbox(
    claude: Claude, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IS_SANDBOX", "1")
    runtime = claude.runtime()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            first, *_ = await claude.workshop.events(runtime)
            assert first == Block("system", claude_code.RESTRAINED, name="permissions")
    assert caplog.messages == [claude_code.RESTRAINED]
    assert (await claude.flags(runtime))[:2] == ["--permission-mode", "acceptEdits"]
    sandbox = claude.runtime(env={"IS_SANDBOX": "1"})
    assert (await claude.flags(sandbox))[:2] == ["--permission-mode", "bypassPermissions"]
    assert isinstance((await claude.workshop.events(sandbox))[0], SessionStarted)
    chosen = await claude.workshop.events(runtime, args=("--permission-mode", "plan"))
    assert isinstance(chosen[0], SessionStarted)
    assert isinstance((await claude.workshop.events(runtime, trust="public"))[0], SessionStarted)


async def test_its_environment_has_its_own_names_and_keeps_it_quiet(
    claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "CLAUDECODE", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "here")
    env = (await claude.seen())["env"]
    assert (env["ANTHROPIC_API_KEY"], env["CLAUDE_CONFIG_DIR"]) == ("here", "here")
    assert not {"CLAUDECODE", "OPENAI_API_KEY", "IS_SANDBOX"} & set(env)
    quiet = ("DISABLE_AUTOUPDATER", "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS")
    assert [env[name] for name in quiet] == ["1", "1"]
    runtime = claude.runtime(env={"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0"})
    assert (await claude.seen(runtime))["env"]["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "0"


async def test_a_state_folder_that_cannot_be_written_fails_the_turn(claude: Claude) -> None:
    (claude.workshop.host.state / "contexts").touch()
    assert (await claude.workshop.ended(claude.runtime())).failure.kind == "internal"


async def test_a_failed_turn_of_the_api_is_a_failure(claude: Claude) -> None:
    claude.plays("err_no_auth")
    assert (await claude.workshop.ended(claude.runtime())).failure.kind == "auth"


async def test_a_turn_goes_on_after_its_first_result(claude: Claude) -> None:
    claude.plays("tool_bg_completes")
    async with aclosing(claude.runtime().run(claude.workshop.job)) as run:
        events = [event async for event in run]
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].text == "The background job finished."
