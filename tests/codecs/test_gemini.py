import json

import pytest

from sidecar.codecs.gemini import GeminiCodec
from sidecar.model import (
    Block,
    Failure,
    FailureKind,
    SessionStarted,
    TurnEnded,
    Usage,
)
from tests.codecs.recordings import Recordings

SESSION = "e0c46ea4-9a7e-43e8-8ac8-e7d6fc1aa325"
OTHER = "c4b6619f-17a4-448b-8783-440efb631a7d"

FAILED: dict[str, tuple[FailureKind, bool]] = {
    "dash_argv": ("exited", False),
    "empty_prompt": ("exited", False),
    "empty_stdin": ("exited", False),
    "err_400": ("api", False),
    "err_400_badkey": ("auth", False),
    "err_401": ("auth", False),
    "err_403": ("auth", False),
    "err_404": ("api", False),
    "err_429": ("usage_limit", False),
    "err_500": ("api", True),
    "err_503": ("api", True),
    "err_bad_flag": ("exited", False),
    "err_no_key": ("auth", False),
    "json_output": ("protocol", False),
    "positional_dash": ("exited", False),
    "resume_missing": ("exited", False),
    "resume_not_uuid": ("exited", False),
    "resume_other_cwd": ("exited", False),
    "sandbox_flag": ("exited", False),
    "session_id_in_use": ("exited", False),
    "slash_quit": ("exited", False),
    "slow_sigint_norelaunch": ("exited", False),
    "slow_sigint_norelaunch_group": ("exited", False),
    "slow_sigint_relaunch_group": ("exited", False),
    "slow_sigterm_norelaunch": ("exited", False),
    "slow_sigterm_norelaunch_group": ("exited", False),
    "slow_sigterm_relaunch_group": ("exited", False),
    "system_md_missing": ("exited", False),
    "tool_running_sigint": ("exited", False),
    "tool_running_sigint_norelaunch": ("exited", False),
    "tool_running_sigint_norelaunch_group": ("exited", False),
    "tool_running_sigint_relaunch_group": ("exited", False),
    "tool_running_sigterm": ("exited", False),
    "tool_running_sigterm_norelaunch": ("exited", False),
    "tool_running_sigterm_norelaunch_group": ("exited", False),
    "tool_running_sigterm_relaunch_group": ("exited", False),
    "untrusted": ("exited", False),
}
"""The kind of each failure, and whether it may pass; all other recordings are good turns."""


RECORDED = Recordings("gemini", GeminiCodec)
replay, blocks, failure = RECORDED.replay, RECORDED.blocks, RECORDED.failure


def line(kind: str, **event: object) -> bytes:
    return json.dumps({"type": kind, **event}).encode()


def said(text: str) -> bytes:
    return line("message", role="assistant", content=text, delta=True)


def test_a_plain_turn() -> None:
    events, ended = replay("text_model")
    session = "0931b7a4-a937-4a9e-9663-0b1528191366"
    pieces = ["Hello from ", "the fake ", "model. This ", "is a ", "plain answer."]
    assert events == [
        SessionStarted(session),
        Block("system", "gemini-3.8-flash", name="init"),
        *(Block("assistant", piece, partial=True) for piece in pieces),
    ]
    assert ended == TurnEnded("".join(pieces), session, None, Usage(100, 20, None))


@pytest.mark.parametrize("scenario", RECORDED.scenarios)
def test_each_recorded_turn_succeeds_or_has_the_kind_of_its_failure(scenario: str) -> None:
    _, ended = replay(scenario)
    if scenario in FAILED:
        assert ended.failure is not None
        assert (ended.failure.kind, ended.failure.retryable) == FAILED[scenario], ended.failure
    else:
        assert ended.failure is None
        assert ended.text
        assert ended.session is not None
        assert ended.usage is not None


def test_what_is_said_after_the_last_tool_is_the_answer() -> None:
    call, result = blocks("tool_list_default", "tool_use", "tool_result")
    assert (call.name, call.input) == ("list_directory", {"dir_path": "/repo"})
    assert result == Block("tool_result", id=call.id)
    assert [block.text for block in blocks("tool_list_default", "assistant")][-2:] == [
        *("Two ", "files.")
    ]
    assert replay("tool_list_default")[1].text == "Two files."


def test_without_a_text_after_the_last_tool_the_last_text_is_the_answer() -> None:
    codec = GeminiCodec()
    for event in (said("Done."), line("tool_use", tool_name="update_topic", tool_id="1")):
        codec.feed(event)
    codec.feed(line("result", status="success"))
    assert codec.end(0, "").text == "Done."


def test_a_refused_tool_is_a_failed_result_and_the_turn_is_good() -> None:
    for scenario in ("tool_shell_default", "tier_public_policy_deny"):
        [refused] = blocks(scenario, "tool_result")
        assert refused.failed
        assert "not found" in refused.text
        assert replay(scenario)[1].failure is None


def test_the_result_of_a_tool_of_a_server_is_shown() -> None:
    assert [block.text for block in blocks("mcp_tool", "tool_result")] == ["echo: hi"]


def test_the_prompt_that_comes_back_is_no_answer() -> None:
    assert blocks("slash_quit", "assistant") == []
    assert replay("big_stdin")[1].text == "Hello again."


@pytest.mark.parametrize("scenario", ["slash_memory", "slash_init"])
def test_lines_that_are_no_events_are_passed_over(scenario: str) -> None:
    assert replay(scenario)[1].text == "Hello again."
    assert all("Memory is" not in block.text for block in blocks(scenario))


def test_a_stream_that_was_cut_is_streamed_again_without_a_mark() -> None:
    assert replay("err_stream_cut")[1].text == "partial answer that is cutHello again."


def test_a_separator_that_is_no_line_end_does_not_cut_an_answer() -> None:
    assert replay("unicode")[1].text.startswith("Grüße 👋 \u2028 line")


@pytest.mark.parametrize("scenario", ["resume_missing", "resume_not_uuid", "resume_other_cwd"])
def test_a_session_that_cannot_be_resumed_is_missing(scenario: str) -> None:
    assert failure(scenario, OTHER).kind == "session_missing"
    assert replay(scenario, OTHER)[1].session is None


@pytest.mark.parametrize("session", [SESSION, SESSION.upper()])
def test_a_resumed_turn_keeps_its_session_and_has_its_own_usage(session: str) -> None:
    events, ended = replay("resume_ok", session)
    assert events[0] == SessionStarted(SESSION)
    assert ended == TurnEnded("42.", SESSION, None, Usage(100, 20, None))


def test_another_session_than_the_one_asked_for_is_a_missing_session() -> None:
    events, ended = replay("resume_ok", OTHER)
    assert not any(isinstance(event, SessionStarted) for event in events)
    assert ended.failure is not None
    assert (ended.failure.kind, ended.session) == ("session_missing", None)
    codec = GeminiCodec(OTHER)
    codec.feed(line("init", session_id=SESSION))
    assert codec.finished  # nobody waits for what it would answer


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("err_400", "fake INVALID_ARGUMENT"),
        ("err_no_key", "exit code 41"),
        ("untrusted", "not running in a trusted directory"),
        ("slow_sigterm_norelaunch", "no result, exit code 0"),
        ("slash_quit", "FatalInputError"),
    ],
)
def test_the_detail_of_a_failure_says_what_the_cli_said(scenario: str, words: str) -> None:
    assert words in failure(scenario).detail


def test_what_was_said_before_an_interruption_is_kept_with_the_failure() -> None:
    ended = replay("slow_sigterm_norelaunch")[1]
    assert (ended.text, ended.failure is None) == ("This is a sl", False)


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (173, "usage_limit", False),
        (244, "api", True),
        (145, "auth", False),
        (41, "auth", False),
        (1, "api", False),
        (None, "api", False),
    ],
)
def test_the_exit_code_tells_the_status_where_the_message_does_not(
    code: int | None, kind: FailureKind, retryable: bool
) -> None:
    codec = GeminiCodec()
    codec.feed(line("result", status="error", error={"type": "unknown", "message": "no"}))
    assert codec.end(code, "").failure == Failure(kind, "unknown: no", retryable)


def test_an_event_of_an_error_ends_nothing() -> None:
    codec = GeminiCodec()
    assert codec.feed(line("error", severity="warning", message="careful")) == [
        Block("system", "careful", name="error")
    ]
    assert not codec.finished
    codec.feed(line("result", status="success"))
    assert codec.finished
    assert codec.end(0, "") == TurnEnded("")


def test_what_is_unknown_is_shown_as_something_else() -> None:
    assert GeminiCodec().feed(line("surprise")) == [Block("other", name="surprise")]


def test_death_by_a_signal_before_the_start_may_be_tried_again() -> None:
    assert GeminiCodec(SESSION).end(-9, "") == TurnEnded(
        "", SESSION, Failure("exited", "no result, killed by SIGKILL", retryable=True)
    )


def test_an_answer_is_cut_at_its_limit() -> None:
    codec = GeminiCodec(None, 10)
    codec.feed(said("äöüßäöüß"))
    assert codec.cut
    assert codec.end(0, "").text == "äöüßä"
