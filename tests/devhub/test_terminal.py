import asyncio
import io
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from sidecar.devhub import DevHub
from sidecar.devhub.describe import Line, describe
from sidecar.devhub.lines import InputLines, printable
from sidecar.devhub.records import Settled
from sidecar.devhub.terminal import chat
from tests.patience import PATIENCE, until


class Terminal:
    """Types lines and shows what was printed."""

    def __init__(self, hub: DevHub, agents: list[str]) -> None:
        self.hub = hub
        self.agents = agents
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.out = io.StringIO()

    def type(self, *lines: str | None) -> None:
        for line in lines:
            self.lines.put_nowait(line)

    async def run(self, **options: Any) -> str:
        async with asyncio.timeout(PATIENCE):
            await chat(self.hub, lambda: self.agents, self.lines.get, out=self.out, **options)
        return self.out.getvalue()

    async def until(self, text: str) -> None:
        await until(lambda: text in self.out.getvalue())


@pytest.fixture
def terminal(hub: DevHub, demo: Any) -> Terminal:
    return Terminal(hub, ["ag_demo"])


Answer = Callable[[], Awaitable[dict[str, Any]]]


async def answer(hub: DevHub, client: Any, text: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    """Wait for a message and answer it."""
    await until(lambda: hub.unacknowledged(client.id))
    [item] = await client.inbox()
    trace = item["hub_msg_id"]
    await client.call("POST", "/hub/inbox/ack", {"message_ids": [trace]})
    for seq, block in enumerate(blocks, start=1):
        body = {"trace_id": trace, "seq": seq, "block": block}
        await client.call("POST", "/hub/stream-block", body)
    await client.send(item["room_id"], text, trace_id=trace)
    found: dict[str, Any] = item
    return found


async def test_piped_lines_are_sent_one_by_one_and_wait_for_their_answers(
    hub: DevHub, demo: Any, terminal: Terminal
) -> None:
    terminal.type("first", "", "second", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run())
        socket = await demo.socket()
        assert (await answer(hub, demo, "one"))["text"] == "first"
        assert (await answer(hub, demo, "two"))["text"] == "second"
    lines = [line for line in running.result().split("\n") if "not connected" not in line]
    assert lines[-3:] == ["one", "two", ""]
    await socket.close()


async def test_what_is_noted_stands_above_the_prompt(hub: DevHub, terminal: Terminal) -> None:
    terminal.type("/help")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run(interactive=True, colour=True))
        await terminal.until("/quit")
        hub.note("config applied: + routes.x")
        await terminal.until("applied")
        terminal.type(None)
    note = "\r\x1b[K\x1b[2m\u00b7 config applied: + routes.x\x1b[0m\n"
    assert f"{note}Demo (owner)> " in running.result()


async def test_progress_is_shown_before_the_reply_and_text_only_once(
    hub: DevHub, demo: Any, terminal: Terminal
) -> None:
    blocks = [
        {"kind": "thinking", "payload": {"label": "Thinking"}},
        {"kind": "assistant", "payload": {"text": "Let me "}},
        {"kind": "assistant", "payload": {"text": "look."}},
        {"kind": "tool_call", "payload": {"name": "Bash", "params": {"command": "ls"}}},
        {"kind": "tool_result", "payload": {"result": "a\nb"}},
        {"kind": "system", "payload": {}},
        {"kind": "assistant", "payload": {"text": "Two files."}},
    ]
    terminal.type("list", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run(colour=True))
        socket = await demo.socket()
        await until(lambda: hub.connected("ag_demo"))
        await answer(hub, demo, "Two files.", *blocks)
    shown = running.result()
    lines = [line for line in shown.splitlines() if "not connected" not in line]
    assert lines == [
        "\x1b[2m  … Thinking\x1b[0m",
        "\x1b[2m  Let me look.\x1b[0m",
        '\x1b[2m  → Bash {"command": "ls"}\x1b[0m',
        "\x1b[2m  ← a b\x1b[0m",
        "Two files.",
    ]
    await socket.close()


async def test_a_message_that_nobody_answers_is_told_and_does_not_hold_the_input_up(
    hub: DevHub, demo: Any, terminal: Terminal, connect: Any
) -> None:
    other = await connect(hub, "ag_other")
    terminal.agents.append("ag_other")
    terminal.type("be silent", "/as member", "all of you", "you two", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run())
        await until(lambda: hub.unacknowledged("ag_demo"))
        [item] = await demo.inbox()
        hub.state.emit(Settled("h_of_another_hub", "of another"))
        hub.state.emit(Settled(item["hub_msg_id"], "no route"))
        await terminal.until("no reply: no route")
        await until(lambda: hub.unacknowledged("ag_other"))
        [theirs], [mine] = await other.inbox(), await demo.inbox()
        hub.state.emit(Settled(theirs["hub_msg_id"], "not so"))
        hub.state.emit(Settled(mine["hub_msg_id"]))  # which answers
        await demo.send(mine["room_id"], "here")
        await until(lambda: len(hub.unacknowledged("ag_other")) == 3)  # the answer, too
        for item in [*await other.inbox(), *await demo.inbox()]:
            hub.state.emit(Settled(item["hub_msg_id"], "silent"))
    lines = running.result().splitlines()
    assert [line for line in lines if "connected" not in line] == [
        "\u00b7 no reply: no route",
        "You are room member in Team room.",
        "Demo: here",
        "\u00b7 no reply: silent",
    ]


async def test_input_from_a_pipe_gives_an_agent_time_to_connect(
    hub: DevHub, demo: Any, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.devhub.terminal._COMING", PATIENCE)
    terminal.type("hi", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run())
        await until(lambda: hub.unacknowledged("ag_demo"))
        socket = await demo.socket()
        await answer(hub, demo, "hello")
    assert running.result().splitlines() == ["hello"]
    await socket.close()


async def test_who_never_gets_an_answer_is_told(terminal: Terminal) -> None:
    terminal.type("hello?", None)
    shown = await terminal.run(patience=0.05)
    assert "not connected yet" in shown
    assert "No answer in 0.05 s to: hello?" in shown


async def test_the_role_can_be_changed(hub: DevHub, demo: Any, terminal: Terminal) -> None:
    terminal.type("/as Member", "hi @demo", "/as agent", "hello", "/as owner", "hi", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run())
        items = [await answer(hub, demo, f"answer {number}") for number in range(3)]
    assert [item["source_type"] for item in items] == [
        "dashboard_human_room",
        "agent",
        "dashboard_user_chat",
    ]
    assert items[0]["mentioned"] is True
    assert "You are room member in Team room." in running.result()


async def test_the_agent_can_be_chosen_by_id_or_name_also_one_that_came_later(
    hub: DevHub, terminal: Terminal, connect: Any
) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run(interactive=True))
        terminal.type("/agent Late")
        await terminal.until("Agents: Demo (ag_demo)\n")
        late = await connect(hub, "ag_late", name="Late")
        terminal.agents.append("ag_late")
        terminal.type("/agent Late", "hi")
        await answer(hub, late, "at your service")
        await terminal.until("Late: at your service")
        terminal.type(None)
    assert "Late (owner)> " in running.result()


async def test_a_person_may_write_while_an_answer_is_awaited(
    hub: DevHub, terminal: Terminal
) -> None:
    terminal.type("one", "two", "/quit")
    shown = await terminal.run(interactive=True)
    assert len(hub.unacknowledged("ag_demo")) == 2
    assert shown.startswith("Demo (owner)> ")


async def test_help_and_wrong_commands_are_answered(hub: DevHub, terminal: Terminal) -> None:
    terminal.type(
        "/help", "/nonsense", "/as king", "/as", "/revoke", "x" * 8001, "/quit", "never sent"
    )
    shown = await terminal.run()
    told = ("/as owner|member|agent", "no command", "Give one name: /revoke NAME", "at most 8000")
    for text in told:
        assert text in shown
    assert shown.count("Roles: owner, member, agent\n") == 2
    assert hub.unacknowledged("ag_demo") == []


async def test_a_terminal_that_was_closed_ends_the_chat(
    hub: DevHub, demo: Any, terminal: Terminal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    leader, follower = os.openpty()
    out = os.fdopen(follower, "w")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        chatting = chat(hub, lambda: ["ag_demo"], terminal.lines.get, out=out, interactive=True)
        group.create_task(chatting)
        terminal.type("hi")
        await until(lambda: hub.unacknowledged("ag_demo"))
        os.close(leader)
        hub.note("nobody sees this")
    with suppress(OSError):  # it cannot be flushed
        out.close()
    assert "the chat ends: its output cannot be written: Input/output error" in caplog.text


async def test_without_an_agent_nothing_is_sent(hub: DevHub) -> None:
    terminal = Terminal(hub, [])
    terminal.type("hi", None)
    assert "no agent to talk to" in await terminal.run()


async def test_an_answer_cannot_steer_the_terminal(
    hub: DevHub, demo: Any, terminal: Terminal
) -> None:
    terminal.type("hi", None)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(terminal.run())
        await answer(hub, demo, "\x1b]0;title\x07red\x1b[31m\x9b2J \u202etxet\rX\nnext\ttab é 👩‍💻")
    assert "\n]0;titlered[31m2J txetX\nnext\ttab é 👩‍💻\n" in f"\n{running.result()}"


def test_what_is_printed_has_no_control_characters() -> None:
    assert printable("a\x00\x1b[0m\x7f\x85\u2066b\r\nc\ud800") == "a[0mb\nc"


@pytest.mark.parametrize("text", ["one\ntwo\n", "one\ntwo", "\none\n\ntwo"])
async def test_lines_come_from_a_pipe_until_its_end(text: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    lines = InputLines(reader)
    found = []
    async with asyncio.timeout(PATIENCE):
        while (line := await lines()) is not None:
            found.append(line)
    assert found == text.removesuffix("\n").split("\n")
    assert await lines() is None
    os.close(reader)


async def test_a_character_may_come_in_two_pieces() -> None:
    reader, writer = os.pipe()
    lines = InputLines(reader)
    encoded = "é\n".encode()
    os.write(writer, encoded[:1])
    await asyncio.sleep(0)
    os.write(writer, encoded[1:])
    os.close(writer)
    assert await asyncio.wait_for(lines(), PATIENCE) == "é"
    assert await asyncio.wait_for(lines(), PATIENCE) is None
    os.close(reader)


PROGRAM = """
import asyncio
from sidecar.devhub import DevHub
from sidecar.devhub.terminal import chat

async def main():
    hub = DevHub()
    await hub.start()
    hub.add_agent("ag_demo")
    try:
        await asyncio.wait_for(chat(hub, lambda: ["ag_demo"], patience=0.05), TIMEOUT)
    except TimeoutError:
        print("left")
    await hub.stop()

asyncio.run(main())
"""


async def run_program(timeout: str, text: bytes | None) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        PROGRAM.replace("TIMEOUT", timeout),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if text is not None:
        process.stdin.write(text)
        process.stdin.close()
    output = await asyncio.wait_for(process.stdout.read(), PATIENCE)
    assert await process.wait() == 0, output
    return output.decode()


async def test_a_program_reads_its_own_input_and_ends_with_it() -> None:
    output = await run_program(f"{PATIENCE}", b"hello\n")
    assert "No answer in 0.05 s to: hello" in output
    assert "\x1b" not in output


async def test_input_that_never_ends_does_not_keep_the_program_alive() -> None:
    assert await run_program("0.1", None) == "left\n"


@pytest.mark.parametrize(
    ("block", "line"),
    [
        ({"kind": "assistant_text", "payload": {"text": "hi"}}, Line("text", "", "hi")),
        ({"kind": "tool_use", "payload": {"params": {}}}, Line("tool", "tool", "")),
        ({"kind": "tool_result", "payload": {"result": [1]}}, Line("result", "", "[1]")),
        ({"kind": "thinking"}, Line("thinking", "Thinking", "")),
        ({"kind": "other", "payload": {"terminal": True}}, None),
        ({"kind": ["?"], "payload": 5}, None),
        ({}, None),
    ],
)
def test_any_block_can_be_described(block: dict[str, Any], line: Line | None) -> None:
    assert describe(block) == line
    long = describe({"kind": "assistant", "payload": {"text": "x" * 9999}})
    assert long is not None
    assert len(long.text) == 4000
