import json
from typing import cast

import pytest

from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.hub.botcord_blocks import BlockFeed
from sidecar.model import (
    Block,
    Failure,
    FailureKind,
    SessionStarted,
    TurnEnded,
    Usage,
)
from tests.codecs.recordings import Recordings

SESSION = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"


RECORDED = Recordings("claude", ClaudeCodec)
replay, blocks, failure = RECORDED.replay, RECORDED.blocks, RECORDED.failure


def line(**event: object) -> bytes:
    return json.dumps(event).encode()


def assistant(*content: object, **more: object) -> bytes:
    return line(type="assistant", message={"model": "m", "content": list(content)}, **more)


def test_a_plain_turn() -> None:
    events, ended = replay("text")
    text = "Hello from the fake model. This is a plain answer with several words in it."
    session = "368cdc5c-80e9-4ad2-8c7c-fa7173829c4d"
    assert events == [
        SessionStarted(session),
        Block("system", "claude-opus-5-5", name="init"),
        Block("assistant", text),
    ]
    assert ended == TurnEnded(text, session, None, Usage(100, 20, 0.0008))


def test_pieces_of_a_text_come_before_the_whole_text() -> None:
    found = blocks("text_partial", "assistant")
    assert [block.partial for block in found] == [True, True, True, True, True, False]
    assert "".join(block.text for block in found if block.partial) == found[-1].text


@pytest.mark.parametrize(
    ("scenario", "given_up"),
    [
        ("text_partial", ""),
        ("thinking_partial", ""),
        ("2.1.197_text_partial", ""),
        ("text_partial_cut", "one two "),
    ],
)
def test_what_is_shown_in_pieces_is_shown_once(scenario: str, given_up: str) -> None:
    feed, said = BlockFeed(), ""
    events, ended = replay(scenario)
    for block in (event for event in events if isinstance(event, Block)):
        feed.add(block)
        while shown := feed.take():
            if shown["kind"] == "assistant":
                said += cast(dict[str, str], shown["payload"])["text"]
    assert said.strip() == given_up + ended.text
    assert ended.failure is None


def test_pieces_are_given_up_by_a_message_that_begins_before_their_whole_text() -> None:
    codec = ClaudeCodec()
    begins = {"type": "stream_event", "event": {"type": "message_start"}}
    said, thought = (
        line(type="stream_event", event={"delta": {"type": f"{kind}_delta", kind: "so"}}) + b"\n"
        for kind in ("text", "thinking")
    )
    assert codec.pieces(thought) == [Block("thinking", "so", partial=True)]
    assert codec.feed(line(**begins)) == []
    for take in (codec.pieces, codec.feed):
        assert take(said) == [Block("assistant", "so", partial=True)]
        assert codec.feed(line(**begins, parent_tool_use_id="toolu_1")) == []
        assert codec.feed(line(**begins)) == [Block("assistant")]
        assert codec.feed(line(**begins)) == []


def test_thoughts_are_no_part_of_the_answer() -> None:
    assert blocks("thinking", "thinking") == [
        Block("thinking", "Let me think about this carefully.")
    ]
    assert replay("thinking")[1].text == "Answer after thinking."


def test_a_tool_is_called_and_answers() -> None:
    (call,) = blocks("tool_bash_owner", "tool_use")
    (result,) = blocks("tool_bash_owner", "tool_result")
    assert (call.name, dict(call.input)["command"]) == ("Bash", "ls -1")
    assert result == Block("tool_result", "README.md\nmain.py", id=call.id)
    assert replay("tool_bash_owner")[1].text == "There are two files."


def test_the_result_of_an_mcp_tool_is_a_list_of_texts() -> None:
    assert [block.text for block in blocks("mcp_tool_allowed", "tool_result")] == ["echo: hi"]


def test_a_refused_tool_is_shown_and_the_turn_is_good() -> None:
    (refused,) = (b for b in blocks("tool_write_default_denied", "system") if b.failed)
    assert refused.name == "permission_denied"
    assert [block.failed for block in blocks("tool_write_default_denied", "tool_result")] == [True]
    assert replay("tool_write_default_denied")[1].failure is None
    assert [b.failed for b in blocks("2.1.197_tool_write_default_denied", "tool_result")] == [True]


def test_what_a_subagent_says_is_progress_and_no_answer() -> None:
    events, ended = replay("subagent_forward")
    assert ended.text == "Main answer: 2 files."
    said = [event for event in events if isinstance(event, Block) and event.kind == "assistant"]
    assert [block.text for block in said] == ["Main answer: 2 files."]
    assert [block.text for block in blocks("subagent_forward", "other")] == [
        "looking",
        "sub answer: 2 files",
    ]


@pytest.mark.parametrize(
    ("scenario", "text", "cost"),
    [("tool_bg_completes", "The background job finished.", 0.0024), ("subagent", "More.", 0.0032)],
)
def test_of_two_results_the_last_one_counts_and_their_costs_add_up(
    scenario: str, text: str, cost: float
) -> None:
    ended = replay(scenario)[1]
    assert ended.text == text
    assert ended.usage is not None
    assert ended.usage.cost_usd == pytest.approx(cost)
    assert ended.usage.input_tokens == 300


def test_the_cost_is_of_this_turn_though_the_total_is_of_the_session() -> None:
    ended = replay("resume_other_cwd", "078955a4-0000-4000-8000-000000000000")[1]
    assert ended.usage == Usage(100, 20, 0.0008)
    assert replay("2.1.197_resume_ok")[1].usage == Usage(100, 20, 0.001)


@pytest.mark.parametrize(
    ("scenario", "kind", "retryable"),
    [
        ("err_400", "api", False),
        ("err_400_credit", "usage_limit", False),
        ("err_400_prompt_too_long", "api", False),
        ("err_401_maxretries0", "auth", False),
        ("2.1.197_err_401_maxretries1", "auth", False),
        ("err_403", "auth", False),
        ("err_404", "api", False),
        ("err_429_maxretries1", "usage_limit", False),
        ("2.1.197_err_429_maxretries1", "usage_limit", False),
        ("err_500_maxretries1", "api", True),
        ("err_529_maxretries1", "api", True),
        ("err_conn_refused", "api", True),
        ("err_no_auth", "auth", False),
        ("err_bad_flag", "exited", False),
        ("root_bypass", "exited", False),
        ("max_turns", "exited", False),
        ("slow_sigint", "exited", False),
        ("2.1.197_slow_sigint", "exited", False),
        ("tool_running_sigint", "exited", False),
        ("slow_sigterm", "exited", False),
        ("tool_running_sigkill", "exited", False),
        ("err_401", "exited", False),
    ],
)
def test_a_failed_turn_has_the_kind_of_its_failure(
    scenario: str, kind: FailureKind, retryable: bool
) -> None:
    found = failure(scenario)
    assert (found.kind, found.retryable) == (kind, retryable), found


def test_an_error_of_the_api_is_not_what_the_assistant_said() -> None:
    assert blocks("err_500_maxretries1", "assistant") == []
    assert replay("err_500_maxretries1")[1].text == ""
    assert blocks("2.1.197_err_401_maxretries1", "assistant") == []
    shown = [(b.name, b.failed) for b in blocks("err_500_maxretries1", "system")]
    assert shown == [("init", False), ("api_retry", False), ("error", True)]


def test_an_error_that_passes_is_none() -> None:
    assert replay("err_429_recovers")[1].failure is None


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("err_bad_flag", "exit code 1: error: unknown option '--no-such-flag'"),
        ("tool_running_sigkill", "killed by SIGKILL"),
        ("max_turns", "Reached maximum number of turns (1)"),
        ("err_404", "There's an issue with the selected model"),
    ],
)
def test_the_detail_of_a_failure_says_what_the_cli_said(scenario: str, words: str) -> None:
    assert words in failure(scenario).detail


@pytest.mark.parametrize(
    "scenario", ["resume_missing", "2.1.197_resume_missing", "resume_not_uuid"]
)
def test_a_session_that_cannot_be_resumed_is_missing(scenario: str) -> None:
    assert failure(scenario, SESSION).kind == "session_missing"
    assert replay(scenario, SESSION)[1].session is None
    assert failure(scenario).kind == "exited"


@pytest.mark.parametrize("scenario", ["slash_clear", "slash_compact"])
def test_an_empty_success_at_no_cost_is_a_missing_session_where_one_was_resumed(
    scenario: str,
) -> None:
    assert failure(scenario, SESSION).kind == "session_missing"
    assert failure(scenario).kind == "protocol"


def test_a_session_that_outgrew_the_model_is_left_for_a_new_one() -> None:
    assert failure("err_400_prompt_too_long", SESSION).kind == "session_missing"


def test_what_was_said_before_an_interruption_is_kept() -> None:
    assert replay("slow_sigint")[1].text == "This is a slow answe"


def test_an_answer_whose_stream_was_cut_is_put_together() -> None:
    assert replay("err_stream_cut")[1].text == "partial answer that is cutsecond try ok"


def test_a_separator_that_is_no_line_end_does_not_cut_an_answer() -> None:
    assert "👋 \u2028 line sep" in replay("unicode")[1].text


def test_a_result_alone_is_enough() -> None:
    ended = replay("json_output")[1]
    assert (ended.text, ended.failure) == ("Hello again.", None)
    assert ended.session is not None


def test_the_protocol_of_the_pipe_is_not_shown() -> None:
    for scenario in ("sj_perm_allow", "sj_replay", "bare", "thinking"):
        names = {event.name for event in replay(scenario)[0] if isinstance(event, Block)}
        assert not names & {"control_request", "command_lifecycle", "ui_invalidate", "status"}
        assert not names & {"thinking_tokens"}


def test_a_usage_limit_tells_when_it_resets() -> None:
    codec = ClaudeCodec()
    info = {"status": "rejected", "resetsAt": 1778565600, "rateLimitType": "five_hour"}
    codec.feed(line(type="rate_limit_event", rate_limit_info={"status": "allowed", "resetsAt": 1}))
    codec.feed(line(type="rate_limit_event", rate_limit_info=info))
    text = "You've hit your limit · resets 2pm"
    codec.feed(line(type="result", subtype="success", is_error=True, result=text))
    assert codec.end(1, "").failure == Failure(
        "usage_limit", f"error: {text}", resets_at=1778565600
    )


@pytest.mark.parametrize("time", ["1778565600", "1778565600000"])
def test_older_versions_tell_the_reset_in_the_text(time: str) -> None:
    codec = ClaudeCodec()
    text = f"Claude AI usage limit reached|{time}"
    codec.feed(line(type="result", subtype="success", is_error=True, result=text))
    found = codec.end(1, "").failure
    assert found is not None
    assert (found.kind, found.resets_at) == ("usage_limit", 1778565600)


def test_an_empty_result_takes_what_was_said_in_paragraphs() -> None:
    codec = ClaudeCodec()
    codec.feed(assistant({"type": "text", "text": "One."}))
    codec.feed(assistant({"type": "text", "text": "Two."}))
    codec.feed(line(type="result", subtype="success", result="", num_turns=1))
    assert codec.end(0, "") == TurnEnded("One.\n\nTwo.", usage=Usage(0, 0, None))


def test_a_turn_is_finished_by_its_result_and_open_again_by_a_new_beginning() -> None:
    codec = ClaudeCodec()
    codec.feed(line(type="system", subtype="init", session_id="s"))
    assert not codec.finished
    codec.feed(line(type="result", subtype="success", result="one", num_turns=1))
    assert codec.finished
    assert codec.feed(line(type="system", subtype="init", session_id="s")) == [
        Block("system", name="init")
    ]
    assert not codec.finished


def test_death_by_a_signal_before_the_start_may_be_tried_again() -> None:
    codec = ClaudeCodec(SESSION)
    assert codec.end(-9, "") == TurnEnded(
        "", SESSION, Failure("exited", "no result, killed by SIGKILL", retryable=True)
    )


def test_output_that_is_no_event_is_a_failure_of_the_protocol() -> None:
    codec = ClaudeCodec()
    assert codec.feed(b"Welcome to another program") == []
    found = codec.end(0, "").failure
    assert found is not None
    assert found.kind == "protocol"
    assert "Welcome to another program" in found.detail


def test_an_answer_is_cut_at_its_limit() -> None:
    codec = ClaudeCodec(None, 10)
    codec.feed(line(type="result", subtype="success", result="äöüßäöüß", num_turns=1))
    assert codec.cut
    assert codec.end(0, "").text == "äöüßä"
