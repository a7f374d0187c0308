import json
from pathlib import Path

import pytest

from sidecar.codecs.agent import AgentCodec, TextCodec, job_line, prompt_text
from sidecar.model import (
    AgentEvent,
    Block,
    Failure,
    Job,
    Prompt,
    SessionStarted,
    TurnEnded,
    Usage,
)


def feed(codec: AgentCodec, *events: object) -> list[AgentEvent]:
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [found for line in lines for found in codec.feed(line)]


def test_the_job_is_one_line_of_ascii_with_all_that_the_agent_may_need() -> None:
    job = Job(
        turn="t1",
        account="ag_1",
        prompt=Prompt("be\nkind\u2028", "héllo \ud800"),
        cwd=Path("/repo"),
        trust="trusted",
        session="s1",
        message={"id": "m1", "attempt": 2, "kind": "group"},
    )
    line = job_line(job)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "type": "job",
        "protocol": 1,
        "turn": "t1",
        "attempt": 2,
        "account": "ag_1",
        "session": "s1",
        "trust": "trusted",
        "cwd": "/repo",
        "prompt": {"system": "be\nkind\u2028", "user": "héllo \ud800"},
        "message": {"id": "m1", "kind": "group"},
    }


def test_the_events_of_a_turn_become_blocks_and_its_result_the_outcome() -> None:
    codec = AgentCodec()
    found = feed(
        codec,
        {"type": "session", "id": "s1"},
        {"type": "thinking", "text": "hm"},
        {"type": "text", "text": "one, "},
        {"type": "tool_use", "id": "c1", "name": "read", "input": {"path": "a"}},
        {"type": "tool_result", "id": "c1", "text": "gone", "failed": True},
        {"type": "status", "text": "nearly"},
        {"type": "text", "text": "two"},
        {"type": "plan", "text": "later"},
    )
    assert found == [
        SessionStarted("s1"),
        Block("thinking", "hm"),
        Block("assistant", "one, ", partial=True),
        Block("tool_use", name="read", id="c1", input={"path": "a"}),
        Block("tool_result", "gone", id="c1", failed=True),
        Block("system", "nearly", name="status"),
        Block("assistant", "two", partial=True),
        Block("other", "later", name="plan"),
    ]
    assert not codec.finished
    usage = {"input_tokens": 3, "output_tokens": 4, "cost_usd": 0.5}
    assert feed(codec, {"type": "result", "usage": usage}) == []
    assert codec.finished
    assert codec.end(0, "") == TurnEnded("one, two", "s1", None, Usage(3, 4, 0.5))


def test_a_result_may_bring_the_answer_and_the_session() -> None:
    codec = AgentCodec("old")
    feed(codec, {"type": "text", "text": "draft"})
    feed(codec, {"type": "result", "text": "final", "session": "new"})
    assert codec.end(1, "") == TurnEnded("final", "new")


def test_an_error_is_a_failure_of_its_kind() -> None:
    codec = AgentCodec("s1")
    error = {"message": "used up", "kind": "usage_limit", "retryable": False, "resets_at": 99}
    feed(codec, {"type": "text", "text": "so far"}, {"type": "error", **error})
    failure = Failure("usage_limit", "used up", resets_at=99)
    assert codec.end(0, "") == TurnEnded("so far", "s1", failure)


@pytest.mark.parametrize("kind", [None, "internal", "turn_timeout", ["api"], 7])
def test_an_agent_cannot_claim_a_failure_of_the_sidecar(kind: object) -> None:
    codec = AgentCodec()
    feed(codec, {"type": "error", "message": "no", "kind": kind, "retryable": True})
    assert codec.end(0, "").failure == Failure("exited", "no", retryable=True)


def test_a_session_that_is_missing_is_not_kept() -> None:
    codec = AgentCodec("s1")
    feed(codec, {"type": "error", "message": "who?", "kind": "session_missing"})
    ended = codec.end(1, "")
    assert (ended.session, ended.failure) == (None, Failure("session_missing", "who?"))


def test_text_and_a_clean_exit_are_success_without_a_result() -> None:
    codec = AgentCodec("s1")
    feed(codec, {"type": "text", "text": "fine"})
    assert codec.end(0, "") == TurnEnded("fine", "s1")


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (0, "", "no result, exit code 0: why"),
        (3, "half", "no result, exit code 3: why"),
        (-9, "half", "no result, killed by SIGKILL: why"),
        (-50, "half", "no result, killed by signal 50: why"),
        (None, "", "no result, ended by us: why"),
    ],
)
def test_without_a_result_every_other_exit_is_a_failure(
    code: int | None, said: str, words: str
) -> None:
    codec = AgentCodec()
    feed(codec, {"type": "text", "text": said})
    assert codec.end(code, "why\n") == TurnEnded(said, None, Failure("exited", words))


def test_an_agent_that_speaks_another_protocol_is_told_apart() -> None:
    codec = AgentCodec()
    assert feed(codec, b"", b"Hello, I am a plain program", b"[1]") == []
    failure = codec.end(0, "").failure
    assert failure is not None
    assert failure.kind == "protocol"
    assert "Hello, I am a plain program" in failure.detail


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": None},
        {"type": ["text"]},
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "session"},
        {"type": "session", "id": {}},
        {"type": "tool_use", "input": "no object", "name": 3},
        {"type": "tool_result", "text": None, "failed": "yes"},
        {"type": "result", "text": [], "usage": "much"},
        {"type": "result", "usage": {"input_tokens": "x", "cost_usd": True}},
    ],
)
def test_events_of_a_wrong_shape_do_no_harm(event: object) -> None:
    codec = AgentCodec()
    feed(codec, event, {"type": "result", "text": "fine"})
    assert codec.end(0, "") in (TurnEnded("fine"), TurnEnded("fine", usage=Usage()))


def test_an_answer_is_cut_at_its_limit_of_bytes_between_characters() -> None:
    codec = AgentCodec(None, 10)
    feed(codec, {"type": "text", "text": "12345"}, {"type": "text", "text": "äöüß"})
    assert feed(codec, {"type": "text", "text": "more"}) == []
    assert codec.cut
    assert codec.end(0, "").text == "12345äö"


def test_what_no_utf8_can_hold_is_replaced_in_an_answer() -> None:
    codec = AgentCodec()
    feed(codec, {"type": "text", "text": "a\0b\ud800c"})
    assert codec.end(0, "").text == "ab\ufffdc"


def test_a_text_agent_reads_the_context_an_empty_line_and_the_user_turn() -> None:
    assert prompt_text(Prompt("be kind\n", "hello")) == b"be kind\n\nhello"
    assert prompt_text(Prompt("", "hello")) == b"hello"


def test_what_a_text_agent_prints_is_the_answer_however_it_is_cut() -> None:
    codec = TextCodec("s1")
    data = "Grüße 👋\n".encode()
    found = [block for byte in data for block in codec.feed(bytes([byte]))]
    assert "".join(block.text for block in found if isinstance(block, Block)) == "Grüße 👋\n"
    assert codec.end(0, "a warning") == TurnEnded("Grüße 👋", "s1")


@pytest.mark.parametrize(
    ("code", "words"), [(2, "exit code 2: sorry"), (-15, "killed by SIGTERM: sorry")]
)
def test_a_text_agent_fails_by_its_exit(code: int, words: str) -> None:
    codec = TextCodec()
    codec.feed(b"half")
    assert codec.end(code, "sorry") == TurnEnded("half", None, Failure("exited", words))


def test_bytes_that_are_no_text_are_replaced() -> None:
    codec = TextCodec()
    codec.feed(b"a\xffb\0c\xe2\x82")
    assert codec.end(0, "").text == "a\ufffdbc\ufffd"
