import json
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest

from sidecar.codecs.codex import CodexCodec
from sidecar.model import (
    Block,
    Failure,
    FailureKind,
    SessionStarted,
    TurnEnded,
    Usage,
)
from tests.codecs.recordings import Recordings

THREAD = "01a20200-1cea-7121-8444-d89c6bc58138"
OTHER = "56ebd917-713f-44b1-a141-3b49c684d9ca"
BEGAN = datetime(2026, 11, 22, 8, 0, tzinfo=timezone(timedelta(hours=1)))

FAILED: dict[str, tuple[FailureKind, bool]] = {
    "dash_argv": ("exited", False),
    "empty_prompt": ("exited", False),
    "err_400": ("api", False),
    "err_401": ("auth", False),
    "err_401_default_retries": ("auth", False),
    "err_403": ("auth", False),
    "err_404": ("api", False),
    "err_429": ("usage_limit", False),
    "err_429_default_retries": ("usage_limit", False),
    "err_429_quota": ("usage_limit", False),
    "err_429_recovers": ("usage_limit", False),
    "err_429_usage_limit": ("usage_limit", False),
    "err_500": ("api", True),
    "err_500_default_retries": ("api", True),
    "err_503": ("api", True),
    "err_529": ("api", True),
    "err_conn_refused": ("api", True),
    "err_no_key": ("auth", False),
    "err_response_failed": ("api", False),
    "err_stream_cut_always": ("api", True),
    "no_json": ("protocol", False),
    "not_git": ("exited", False),
    "resume_missing": ("exited", False),
    "resume_sandbox_flag": ("exited", False),
    "slow_sigint": ("exited", False),
    "slow_sigterm": ("exited", False),
    "stdin_open_with_argv": ("exited", True),
    "tool_running_sigint": ("exited", False),
    "tool_running_sigterm": ("exited", False),
}
"""The kind of each failure, and whether it may pass; all other recordings are good turns."""


RECORDED = Recordings("codex", partial(CodexCodec, began=BEGAN))
replay, blocks, failure = RECORDED.replay, RECORDED.blocks, RECORDED.failure


def line(kind: str, **event: object) -> bytes:
    return json.dumps({"type": kind, **event}).encode()


def ended(message: str, thread: str | None = None, began: datetime | None = BEGAN) -> Failure:
    """The failure of a turn that failed with a message."""
    codec = CodexCodec(thread, began=began)
    codec.feed(line("turn.failed", error={"message": message}))
    found = codec.end(1, "").failure
    assert found is not None
    return found


def test_a_plain_turn() -> None:
    events, end = replay("text")
    thread = "01a201fc-6c12-70e0-845c-900c7065f1d8"
    text = "Hello from the fake model. This is a plain answer."
    assert events == [SessionStarted(thread), Block("assistant", text)]
    assert end == TurnEnded(text, thread, None, Usage(100, 20), total=Usage(100, 20))


@pytest.mark.parametrize("scenario", RECORDED.scenarios)
def test_each_recorded_turn_succeeds_or_has_the_kind_of_its_failure(scenario: str) -> None:
    _, end = replay(scenario)
    if scenario in FAILED:
        assert end.failure is not None
        assert (end.failure.kind, end.failure.retryable) == FAILED[scenario], end.failure
    else:
        assert end.failure is None
        assert end.text
        assert end.session is not None


def test_the_last_message_is_the_answer_and_earlier_ones_are_progress() -> None:
    said, call, result, answer = blocks("tool_ls_readonly")
    assert said == Block("assistant", "I will list the files.")
    command = {"command": "/bin/bash -lc 'ls -1'"}
    assert call == Block("tool_use", name="command_execution", id="item_1", input=command)
    assert result == Block("tool_result", "README.md\nmain.py\n", id="item_1")
    assert answer == Block("assistant", "Two files.")
    assert replay("tool_ls_readonly")[1].text == "Two files."


def test_a_command_that_fails_is_a_failed_result_and_no_failed_turn() -> None:
    [result] = blocks("tool_fail_exit", "tool_result")
    assert result.failed
    assert result.text.startswith("ls: cannot access '/nonexistent'")
    assert replay("tool_fail_exit")[1].failure is None


def test_a_patch_is_a_tool() -> None:
    call, result = blocks("tool_patch_workspace_write", "tool_use", "tool_result")
    assert call.input == {"changes": [{"path": "/repo/new.txt", "kind": "add"}]}
    assert result == Block("tool_result", "add /repo/new.txt", id=call.id)


def test_a_tool_of_a_server_has_its_name_and_its_texts() -> None:
    call, result = blocks("mcp_tool_approved", "tool_use", "tool_result")
    assert call == Block("tool_use", name="demo.echo", id="item_0", input={"text": "hi"})
    assert result == Block("tool_result", "echo: hi", id="item_0")
    [refused] = blocks("mcp_tool", "tool_result")
    assert (refused.failed, "requires approval" in refused.text) == (True, True)


def test_thoughts_are_no_part_of_the_answer() -> None:
    assert blocks("text_reasoning", "thinking") == [
        Block("thinking", "**Planning**\n\nI think about it.")
    ]
    assert replay("text_reasoning")[1].text == "Answer after reasoning."


def test_a_plan_is_shown() -> None:
    assert blocks("todo_list", "other")[0] == Block("other", "[x] one\n[ ] two", name="todo_list")


def test_an_error_ends_nothing_where_the_cli_tries_again() -> None:
    [retry] = blocks("err_stream_cut", "system")
    assert (retry.name, retry.failed) == ("retry", False)
    end, used = replay("err_stream_cut")[1], Usage(100, 20)
    assert (end.text, end.failure, end.usage, end.total) == ("Hello again.", None, used, used)


def test_an_error_is_shown_and_is_not_what_the_assistant_said() -> None:
    shown = [(block.name, block.failed) for block in blocks("err_401")]
    assert shown == [("retry", False), ("error", True)]
    assert replay("err_401")[1].text == ""


def test_an_error_that_passed_is_not_blamed_for_a_later_death() -> None:
    codec = CodexCodec()
    codec.feed(line("thread.started", thread_id=THREAD))
    codec.feed(line("error", message="Reconnecting... 1/5 (unexpected status 401)"))
    assert codec.end(1, "").failure == Failure(
        "auth", "Reconnecting... 1/5 (unexpected status 401); exit code 1"
    )
    codec.feed(line("item.completed", item={"type": "reasoning", "text": "hm"}))
    assert codec.end(-9, "").failure == Failure("exited", "no result, killed by SIGKILL")


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("dash_argv", "exit code 2: error: unexpected argument"),
        ("slow_sigterm", "killed by SIGTERM"),
        ("not_git", "Not inside a trusted directory"),
        ("err_400", "fake invalid_request_error"),
        ("err_conn_refused", "waiting for network"),
        ("no_json", "Hello again."),
    ],
)
def test_the_detail_of_a_failure_says_what_the_cli_said(scenario: str, words: str) -> None:
    assert words in failure(scenario).detail


def test_a_session_that_cannot_be_resumed_is_missing() -> None:
    assert failure("resume_missing", OTHER).kind == "session_missing"
    assert replay("resume_missing", OTHER)[1].session is None


@pytest.mark.parametrize("thread", [THREAD, THREAD.upper()])
def test_a_session_that_is_resumed_keeps_its_id(thread: str) -> None:
    events, end = replay("resume_stdin", thread)
    assert events[0] == SessionStarted(THREAD)
    assert (end.session, end.failure) == (THREAD, None)


def test_another_thread_than_the_one_asked_for_is_a_missing_session() -> None:
    events, end = replay("resume_not_uuid", THREAD)
    assert not any(isinstance(event, SessionStarted) for event in events)
    assert end.failure is not None
    assert (end.failure.kind, end.session) == ("session_missing", None)
    codec = CodexCodec(THREAD)
    codec.feed(line("thread.started", thread_id=OTHER))
    assert codec.finished  # nobody waits for what it would answer


def test_a_thread_that_outgrew_the_model_is_left_for_a_new_one() -> None:
    thread = "01a201fd-79fc-77a3-9cf3-7272011f6366"
    assert failure("err_response_failed", thread).kind == "session_missing"


@pytest.mark.parametrize(
    ("before", "used"),
    [
        (Usage(1000, 200), Usage(100, 20)),
        (Usage(1000), Usage(100)),
        (Usage(1101, 0), Usage(None, 220)),
        (None, None),
    ],
)
def test_a_resumed_turn_used_what_its_thread_has_used_since(
    before: Usage | None, used: Usage | None
) -> None:
    assert replay("resume_first")[1].usage == Usage(100, 20, None)
    codec = CodexCodec(THREAD, before=before)
    codec.feed(line("turn.completed", usage={"input_tokens": 1100, "output_tokens": 220}))
    end = codec.end(0, "")
    assert (end.usage, end.total) == (used, Usage(1100, 220))


def test_a_usage_limit_tells_when_it_resets() -> None:
    at = datetime(2033, 5, 18, 2, 33, tzinfo=UTC).timestamp()
    assert failure("err_429_usage_limit").resets_at == at
    assert failure("err_429_quota").resets_at is None


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("try again at 8:05 AM.", datetime(2026, 11, 22, 7, 5, tzinfo=UTC)),
        ("try again at 7:59 AM.", datetime(2026, 11, 23, 6, 59, tzinfo=UTC)),
        ("try again at 12:30 PM.", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        ("try again at 12:30 AM.", datetime(2026, 11, 22, 23, 30, tzinfo=UTC)),
        ("try again at Jan 1st, 2027 12:00 AM.", datetime(2026, 12, 31, 23, 0, tzinfo=UTC)),
        ("try again at Foo 1st, 2027 1:00 AM.", None),
        ("try again at Feb 30th, 2027 1:00 AM.", None),
        ("try again at 99:99 AM.", None),
        ("try again later.", None),
    ],
)
def test_the_time_of_a_reset_is_local(words: str, at: datetime | None) -> None:
    found = ended(f"You've hit your usage limit, {words}")
    assert (found.kind, found.resets_at) == ("usage_limit", at and at.timestamp())
    assert ended(f"You've hit your usage limit, {words}", began=None).resets_at is None


def test_a_turn_is_finished_by_its_last_event() -> None:
    for last in (line("turn.completed"), line("turn.failed", error={"message": "no"})):
        codec = CodexCodec()
        codec.feed(line("error", message="Reconnecting... 1/5"))
        assert not codec.finished
        codec.feed(last)
        assert codec.finished


def test_what_was_said_before_a_failure_is_kept_with_it() -> None:
    end = replay("err_response_failed")[1]
    assert (end.text, end.failure is None) == ("p", False)


def test_a_tool_without_a_beginning_is_shown_with_one() -> None:
    codec = CodexCodec()
    item = {"id": "item_3", "type": "web_search", "query": "q"}
    assert codec.feed(line("item.completed", item=item)) == [
        Block("tool_use", name="web_search", id="item_3", input={"query": "q"}),
        Block("tool_result", id="item_3"),
    ]


def test_what_is_unknown_is_shown_as_something_else() -> None:
    codec = CodexCodec()
    assert codec.feed(line("surprise")) == [Block("other", name="surprise")]
    assert codec.feed(line("item.started", item={"type": "new"})) == []
    assert codec.feed(line("item.completed", item={"type": "new"})) == [Block("other", name="new")]


def test_death_by_a_signal_before_the_start_may_be_tried_again() -> None:
    assert CodexCodec(THREAD).end(-9, "") == TurnEnded(
        "", THREAD, Failure("exited", "no result, killed by SIGKILL", retryable=True)
    )


def test_an_answer_is_cut_at_its_limit() -> None:
    codec = CodexCodec(None, 10)
    codec.feed(line("item.completed", item={"type": "agent_message", "text": "äöüßäöüß"}))
    assert codec.cut
    assert codec.end(0, "").text == "äöüßä"


def test_a_thread_that_another_process_still_has_may_be_free_in_a_moment() -> None:
    stderr = f"Error: thread/resume failed: thread {THREAD} already has an active writer"
    failure = CodexCodec(THREAD).end(1, stderr).failure
    assert failure is not None
    assert (failure.kind, failure.retryable) == ("exited", True)
