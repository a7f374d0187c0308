"""Turns of one process, one after the other: what the recorded tools print, and what they read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.codecs.claude_dialogue import ClaudeDialogue
from sidecar.codecs.codex_server import CodexDialogue, Connection, Question
from sidecar.model import Block, SessionStarted, TurnEnded, Usage

RECORDINGS = Path(__file__).parent.parent / "data"
SESSION = "d8b1ddcd-de6a-409e-be79-2658c3f62a50"
THREAD = "01a20205-0467-72a2-980a-6af07fcc5e31"
ID = "8e57f802-fdbb-40e1-a71a-371781350a55"


def recorded(name: str) -> Iterator[bytes]:
    yield from (RECORDINGS / name / "stdout.ndjson").read_bytes().splitlines()


def claude(session: str | None = None, before: ClaudeDialogue | None = None) -> ClaudeDialogue:
    return ClaudeDialogue("Message:\nhi", ID, "be kind", session, before=before)


def line(**event: object) -> bytes:
    return json.dumps(event).encode()


RESULT = line(type="result", subtype="success", result="done", num_turns=1, total_cost_usd=0.5)
INIT = line(type="system", subtype="init", session_id=SESSION)


def lifecycle(state: str, identity: str = ID) -> bytes:
    return line(type="command_lifecycle", command_uuid=identity, state=state)


def test_claude_is_told_one_line_with_an_id() -> None:
    turn = claude()
    assert json.loads(turn.outgoing()) == {
        "type": "user",
        "message": {"role": "user", "content": "Message:\nhi"},
        "uuid": ID,
    }
    assert turn.outgoing() == b""


def test_each_recorded_turn_of_claude_is_over_at_its_result() -> None:
    ended: list[TurnEnded] = []
    turn = claude()
    for text in recorded("warm/claude/long_lived"):
        turn.feed(text)
        if turn.settled:
            ended.append(turn.end(None, ""))
            turn = claude(SESSION, turn)
    assert [one.text for one in ended] == ["answer"] * 6
    assert {one.session for one in ended} == {SESSION}
    assert [one.usage for one in ended] == [Usage(100, 20, 0.0008)] * 6


def test_the_cost_of_a_turn_is_what_the_process_has_cost_more_than_before() -> None:
    first = claude()
    first.feed(RESULT)
    turn = claude(before=first)
    turn.feed(RESULT.replace(b"0.5", b"0.7"))
    assert turn.end(None, "").usage == Usage(0, 0, pytest.approx(0.2))
    assert turn.spent == 0.7


def test_a_turn_of_claude_with_an_id_is_over_when_that_is_completed() -> None:
    turn = claude()
    texts = list(recorded("claude/sj_replay"))
    for number, text in enumerate(texts):
        assert not turn.settled
        turn.feed(text)
        assert turn.finished == (number >= len(texts) - 2)
    assert turn.settled


def test_what_claude_does_before_our_turn_is_no_answer() -> None:
    turn = claude(SESSION)
    assert turn.feed(lifecycle("queued")) == ()
    assert turn.feed(INIT) == turn.feed(RESULT) == ()
    assert not turn.settled
    turn.feed(lifecycle("started"))
    turn.feed(INIT)
    turn.feed(lifecycle("completed", "another"))
    assert not turn.settled
    turn.feed(line(type="result", subtype="success", result="ours", num_turns=1))
    turn.feed(lifecycle("completed"))
    assert (turn.settled, turn.end(None, "").text) == (True, "ours")


def test_what_claude_does_before_it_has_read_our_prompt_is_no_answer_either() -> None:
    first = claude()
    for text in recorded("claude/sj_replay"):
        first.feed(text)
    assert first.lifecycle
    turn = claude(SESSION, first)
    assert turn.feed(INIT) == turn.feed(RESULT) == ()
    assert not turn.finished


def test_claude_is_not_at_rest_while_something_works_in_the_background() -> None:
    turn = claude()
    turn.feed(line(type="system", subtype="background_tasks_changed", tasks=[{"task_id": "1"}]))
    turn.feed(RESULT)
    assert not turn.settled
    turn.feed(line(type="system", subtype="background_tasks_changed", tasks=[]))
    assert turn.settled


def test_claude_asks_nobody_in_vain() -> None:
    turn = claude()
    turn.outgoing()
    turn.feed(line(type="control_request", request_id="7", request={"subtype": "can_use_tool"}))
    response = json.loads(turn.outgoing())["response"]
    assert (response["subtype"], response["request_id"]) == ("error", "7")


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        (lifecycle("completed"), True),
        (line(type="system", subtype="status"), True),
        (line(type="rate_limit_event"), True),
        (b"", True),
        (INIT, False),
        (RESULT, False),
        (line(type="assistant"), False),
        (line(type="system", subtype="background_tasks_changed", tasks=[{}]), False),
        (line(type="control_request"), False),
        (b"Segmentation fault", False),
    ],
)
def test_what_claude_prints_between_turns_tells_whether_it_works(text: bytes, idle: bool) -> None:
    assert claude().is_idle(text) is idle


def codex(connection: Connection | None = None, session: str | None = None) -> CodexDialogue:
    return CodexDialogue(Question("Message:\nhi", "/repo", session), "1.0", connection)


def told(turn: CodexDialogue) -> list[Any]:
    return [json.loads(text) for text in turn.outgoing().splitlines()]


def as_owner() -> Iterator[bytes]:
    """The recorded session, as if its thread had been begun for an owner."""
    for text in recorded("warm/codex/app_server"):
        yield text.replace(
            b'"sandbox": {"type": "readOnly"', b'"sandbox": {"type": "dangerFullAccess"'
        )


def test_codex_is_greeted_then_opens_a_thread_then_is_asked() -> None:
    turn = codex()
    [hello] = told(turn)
    assert (hello["method"], "jsonrpc" in hello) == ("initialize", False)
    turn.feed(line(id=1, result={}))
    initialized, start = told(turn)
    assert initialized["method"] == "initialized"
    assert (start["method"], start["params"]) == (
        "thread/start",
        {"approvalPolicy": "never", "sandbox": "danger-full-access"},
    )
    turn.feed(line(id=2, result={"thread": {"id": THREAD}}))
    [ask] = told(turn)
    assert (ask["method"], ask["params"]) == (
        "turn/start",
        {
            "threadId": THREAD,
            "input": [{"type": "text", "text": "Message:\nhi", "text_elements": []}],
        },
    )


def test_the_recorded_turns_of_codex_are_told_apart() -> None:
    ended: list[TurnEnded] = []
    turn = codex()
    events: list[Any] = []
    for text in as_owner():
        events += turn.feed(text)
        if turn.settled:
            ended.append(turn.end(None, ""))
            turn = codex(turn.connection, THREAD)
    *good, interrupted = ended
    assert [one.text for one in good] == ["answer one"] * 6
    assert {one.session for one in good} == {THREAD}
    assert good[0].usage == good[5].usage == Usage(100, 20)
    assert interrupted.failure is not None
    assert events[:3] == [
        SessionStarted(THREAD),
        Block("assistant", "answer ", partial=True),
        Block("assistant", "one", partial=True),
    ]
    assert events[3] == Block("assistant", "answer one")


def test_the_tools_of_codex_are_blocks_as_they_are_for_one_turn() -> None:
    """The recorded command that was approved, as an answer to the first question."""
    turn = codex()
    texts = list(as_owner())
    events: list[Any] = []
    for text in texts[:6] + texts[121:143]:
        events += turn.feed(text.replace(b"01a20205-10b8-7270-abf9-4ab726a68ada", FIRST))
    tools = [event for event in events if isinstance(event, Block) and event.kind[:4] == "tool"]
    assert [(tool.kind, tool.text) for tool in tools] == [
        ("tool_use", ""),
        ("tool_result", "rc=0\n"),
    ]
    assert tools[0].input == {"command": "/bin/bash -lc 'touch /repo/appr.txt; echo rc=$?'"}
    assert turn.end(None, "").text == "ok"
    assert {"id": 0, "result": {"decision": "accept"}} in told(turn)


FIRST = b"01a20205-048e-7bf3-8e3e-370da430a062"


def test_a_thread_that_is_gone_is_told() -> None:
    turn = codex(session=THREAD)
    turn.feed(line(id=1, result={}))
    turn.outgoing()
    turn.feed(
        line(id=2, error={"code": -32600, "message": f"no rollout found for thread id {THREAD}"})
    )
    ended = turn.end(None, "")
    assert (turn.settled, turn.finished) == (True, True)
    assert ended.failure is not None
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"thread": {"id": THREAD}, "sandbox": {"type": "readOnly"}}},
        {"result": {"thread": {"id": THREAD}, "approvalPolicy": "on-request"}},
        {"result": {}},
        {"error": {"code": -32601, "message": "unknown method"}},
    ],
)
def test_a_thread_that_is_not_as_it_has_to_be_is_not_asked(answer: dict[str, object]) -> None:
    turn = codex()
    turn.feed(line(id=1, result={}))
    turn.outgoing()
    turn.feed(line(id=2, **answer))
    assert (turn.settled, turn.finished, told(turn)) == (True, False, [])
    assert turn.end(None, "").failure is not None


def test_what_codex_prints_between_turns_tells_whether_it_works() -> None:
    turn = codex()
    for text in as_owner():
        method = str(json.loads(text).get("method"))
        assert turn.is_idle(text) is not method.startswith(("turn/", "item/"))
