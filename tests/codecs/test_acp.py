"""Recorded agents, replayed: the recording's answers take the ids of our own calls."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar.codecs.acp import AcpCodec
from sidecar.codecs.acp_opening import UNGUARDED, Ask
from sidecar.codecs.acp_peer import Peer
from sidecar.codecs.acp_requests import MayEdit, ReadFile, WriteFile
from sidecar.codecs.ndjson import Lines
from sidecar.model import (
    AgentEvent,
    Block,
    SessionStarted,
    ToolServer,
    Trust,
    TurnEnded,
    Usage,
)

RECORDINGS = Path(__file__).parent.parent / "data" / "acp"
TRUSTS: tuple[Trust, ...] = ("owner", "trusted", "public")

ANSWERS = {
    "say hello": "Hello from the fake model.",
    "think": "Answer after thinking.",
    "read": "Done reading.",
    "slow": "This is a slow answe",
    "next": "after cancel",
    "word word ": "x",
    "see @/etc/": "x",
}
"""What the recorded model says to a prompt that begins so, with nearly every agent."""
OTHER_ANSWERS = {
    ("codex-acp", 2): "Reading.Done reading.",  # it tells of no tool in between
    ("codex-acp2", 1): "(script exhausted)",
}
FAILURES = {
    "claude-acp-new": {6: "api", 7: "exited", 13: "api"},
    "claude-acp": {6: "api", 7: "exited", 13: "api"},
    "codex-acp": {6: "api", 7: "exited", 13: "api"},
    "codex-acp2": {6: "api", 7: "auth", 13: "api"},
    "gemini": {6: "api", 7: "auth", 13: "api"},
    "opencode": {6: "api", 7: "auth", 13: "api"},
    "qwen": {6: "api", 7: "auth", 11: "api", 13: "api"},
}
"""The failures by the number of the prompt; all other prompts were answered."""
MODES: dict[str, tuple[str, str, str]] = {
    "claude-acp-new": ("bypassPermissions", "acceptEdits", "default"),
    "claude-acp": ("bypassPermissions", "acceptEdits", "dontAsk"),
    "codex-acp": ("full-access", "read-only", "read-only"),
    "codex-acp2": ("agent-full-access", "workspace-write", "read-only"),
    "gemini": ("yolo", "autoEdit", "default"),
    "opencode": ("build", "plan", "plan"),
    "qwen": ("yolo", "auto-edit", "default"),
}
"""The modes of an owner's, a trusted and a public turn."""
AGENTS = sorted(FAILURES)
PROMPTS = [(agent, number) for agent in AGENTS for number in range(14)]


@dataclass
class Recording:
    """What went to an agent (`in`), and what came from it (`out`)."""

    entries: list[tuple[str, Any]]

    @classmethod
    def of(cls, name: str) -> "Recording":
        lines = (RECORDINGS / f"{name}.ndjson").read_text("utf-8").split("\n")
        records = [json.loads(line) for line in lines if line]
        return cls([(record["dir"], record["msg"]) for record in records])

    def asked(self, method: str) -> list[int]:
        """Where the calls of a method are."""
        return [
            index
            for index, (way, message) in enumerate(self.entries)
            if way == "in" and message.get("method") == method
        ]

    def answer(self, index: int) -> Any:
        """The answer to the call at an index; None where there was none."""
        number = self.entries[index][1]["id"]
        return next((one for one in self.said(index) if is_answer(one, number)), None)

    def said(self, index: int) -> Iterator[Any]:
        """What came from the agent after an index."""
        return (message for way, message in self.entries[index + 1 :] if way == "out")


def is_answer(message: Any, number: int) -> bool:
    return isinstance(message, dict) and message.get("id") == number and "method" not in message


class Play:
    """A turn with a codec, which is fed bytes in pieces of some size."""

    def __init__(self, ask: Ask, peer: Peer | None = None, size: int = 1 << 20) -> None:
        self.codec = AcpCodec(ask, peer)
        self.size = size
        self.lines = Lines()
        self.events: list[AgentEvent] = []
        self.told: list[Any] = []
        self.listen()

    def listen(self) -> None:
        self.told += [json.loads(line) for line in self.codec.outgoing().splitlines()]

    def feed(self, *messages: Any) -> None:
        texts = [one if isinstance(one, str) else json.dumps(one) for one in messages]
        data = "".join(f"{text}\n" for text in texts).encode()
        for start in range(0, len(data), self.size):
            for line in self.lines.feed(data[start : start + self.size]):
                self.events += self.codec.feed(line)
        self.listen()

    def answer(self, answer: Any) -> None:
        """Answer the last call."""
        self.feed({**answer, "id": self.told[-1]["id"]})

    def open(self, recording: Recording, method: str = "session/new") -> None:
        """Lead it to its prompt with the recorded answers; settings are taken as they are."""
        self.answer(recording.answer(recording.asked("initialize")[0]))
        self.answer(recording.answer(recording.asked(method)[0]))
        if self.codec.waits_for_silence:
            self.codec.go_on()
            self.listen()
        while self.told[-1]["method"].startswith("session/set_"):
            self.answer({"result": {}})

    def prompt(self, recording: Recording, number: int) -> TurnEnded:
        """Replay what came for a prompt of the recording."""
        index = recording.asked("session/prompt")[number]
        mine, theirs = self.told[-1]["id"], recording.entries[index][1]["id"]
        heard = []
        ours = recording.answer(index) is not None
        for message in recording.said(index) if ours else ():
            heard.append({**message, "id": mine} if is_answer(message, theirs) else message)
            if is_answer(message, theirs):
                break
        self.feed(*heard)
        return self.codec.end(None, "")

    def blocks(self, kind: str) -> list[Block]:
        return [one for one in self.events if isinstance(one, Block) and one.kind == kind]


def play(agent: str, number: int, trust: Trust = "owner", size: int = 1 << 20) -> Play:
    recording = Recording.of(f"{agent}.acp_session")
    turn = Play(Ask("/repo", ["hello"], trust), size=size)
    turn.open(recording)
    turn.prompt(recording, number)
    return turn


def opened(trust: Trust = "owner", **ask: Any) -> Play:
    """A turn of the oldest recorded adapter, at its prompt."""
    turn = Play(Ask("/repo", ["hello"], trust, **ask))
    turn.open(Recording.of("claude-acp.acp_session"))
    return turn


def update(turn: Play, **fields: Any) -> Any:
    params = {"sessionId": turn.codec.peer.session, "update": fields}
    return {"jsonrpc": "2.0", "method": "session/update", "params": params}


def says(turn: Play, text: str, **fields: Any) -> Any:
    content = {"type": "text", "text": text}
    return update(turn, sessionUpdate="agent_message_chunk", content=content, **fields)


@pytest.mark.parametrize(("agent", "number"), PROMPTS)
def test_a_recorded_prompt_has_its_answer_or_its_failure(agent: str, number: int) -> None:
    recording = Recording.of(f"{agent}.acp_session")
    text = recording.entries[recording.asked("session/prompt")[number]][1]["params"]["prompt"][0]
    turn = play(agent, number)
    ended = turn.codec.end(None, "")
    failure = FAILURES[agent].get(number)
    assert (ended.failure and ended.failure.kind) == failure, ended
    wanted = next((ANSWERS[start] for start in ANSWERS if text["text"].startswith(start)), None)
    wanted = OTHER_ANSWERS.get((agent, number), wanted)
    if failure is None and wanted is not None:
        assert ended.text == wanted
    elif failure is not None:
        assert ended.text == ""
    assert turn.codec.settled == (failure is None)
    assert ended.session == turn.codec.peer.session


@pytest.mark.parametrize("agent", AGENTS)
def test_the_size_of_the_pieces_does_not_matter(agent: str) -> None:
    for number in range(14):
        whole = play(agent, number)
        for size in (1, 7, 4096, random.randrange(1, 1000)):
            turn = play(agent, number, size=size)
            assert (turn.events, turn.told) == (whole.events, whole.told), size
            assert turn.codec.end(None, "") == whole.codec.end(None, "")


@pytest.mark.parametrize(("agent", "number"), PROMPTS)
def test_each_use_of_a_tool_is_shown_once_and_before_its_result(agent: str, number: int) -> None:
    turn = play(agent, number)
    used: list[str] = []
    for block in turn.events:
        if isinstance(block, Block) and block.kind == "tool_use":
            assert block.id not in used
            assert block.name
            used.append(block.id)
        if isinstance(block, Block) and block.kind == "tool_result":
            assert block.id in used


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("trust", TRUSTS)
def test_a_session_is_put_in_the_mode_of_the_turns_trust(agent: str, trust: Trust) -> None:
    turn = Play(Ask("/repo", ["hello"], trust))
    turn.open(Recording.of(f"{agent}.acp_session"))
    methods = [message["method"] for message in turn.told]
    setting = "session/set_config_option" if agent == "opencode" else "session/set_mode"
    assert methods == ["initialize", "session/new", setting, "session/prompt"]
    params = turn.told[2]["params"]
    assert params.get("modeId", params.get("value")) == MODES[agent][TRUSTS.index(trust)]
    assert turn.codec.peer.session == params["sessionId"]
    reads_all = trust == "public" and agent in ("codex-acp", "codex-acp2", "opencode")
    assert [block.text for block in turn.blocks("system")] == [UNGUARDED] * reads_all


@pytest.mark.parametrize("agent", [agent for agent in AGENTS if agent != "gemini"])
def test_a_session_is_resumed_without_its_history_where_the_agent_can(agent: str) -> None:
    recording = Recording.of(f"{agent}.acp_load")
    session = recording.entries[recording.asked("session/resume")[0]][1]["params"]["sessionId"]
    turn = Play(Ask("/repo", ["hello"], "owner", session))
    turn.open(recording, "session/resume")
    assert turn.told[1]["method"] == "session/resume"
    assert turn.told[1]["params"] == {"sessionId": session, "cwd": "/repo", "mcpServers": []}
    ended = turn.prompt(recording, 1)
    assert (ended.text, ended.session, ended.failure) == ("x", session, None)
    assert SessionStarted(session) in turn.events
    if ended.usage is not None:
        assert ended.usage.cost_usd is None, "the session has cost something before"


def test_a_history_that_comes_after_the_answer_to_a_load_is_no_part_of_the_turn() -> None:
    recording = Recording.of("gemini.acp_load")
    [load, *_] = recording.asked("session/load")
    session = recording.entries[load][1]["params"]["sessionId"]
    turn = Play(Ask("/repo", ["hello"], "owner", session))
    turn.answer(recording.answer(recording.asked("initialize")[0]))
    [prompt, *_] = recording.asked("session/prompt")
    history = [one for one in recording.said(load) if one.get("method") == "session/update"]
    late = history[2:-1]  # the recording client did not wait: all but the last came too late
    turn.feed(*history[:1])
    turn.answer(recording.answer(load))
    assert turn.codec.waits_for_silence
    turn.feed(*late)
    assert turn.told[-1]["method"] == "session/load"
    turn.codec.go_on()
    turn.listen()
    turn.answer({"result": {}})
    assert turn.told[-1]["method"] == "session/prompt"
    turn.feed(says(turn, "fresh"))
    turn.answer(recording.answer(prompt))
    assert [block.text for block in turn.blocks("assistant")] == ["fresh"]
    assert turn.codec.end(None, "").text == "fresh"


@pytest.mark.parametrize("agent", AGENTS)
def test_a_session_that_does_not_exist_is_missing(agent: str) -> None:
    recording = Recording.of(f"{agent}.acp_load")
    for method in ("session/load", "session/resume"):
        turn = Play(Ask("/repo", ["hello"], "owner", "11111111-2222-4333-8444-555555555555"))
        turn.answer(recording.answer(recording.asked("initialize")[0]))
        turn.answer(recording.answer(recording.asked(method)[-1]))
        ended = turn.codec.end(None, "")
        assert ended.failure is not None
        assert (ended.failure.kind, ended.session) == ("session_missing", None)
        assert turn.codec.finished


@pytest.mark.parametrize("agent", AGENTS)
def test_a_session_that_a_living_process_has_lost_is_missing(agent: str) -> None:
    turn = Play(Ask("/repo", ["hello"], "owner", "nope"), _peer("nope"))
    ended = turn.prompt(Recording.of(f"{agent}.acp_session"), 13)
    assert ended.failure is not None
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


def _peer(session: str) -> Peer:
    peer = Peer()
    peer.session = session
    return peer


def test_a_session_that_loads_only_sometimes_is_missing_otherwise() -> None:
    recording = Recording.of("gemini.acp_load_fails")
    [load] = recording.asked("session/load")
    turn = Play(Ask("/repo", ["hello"], "owner", "ac3f8aa2-7606-4daf-8341-beddf5769532"))
    turn.answer(recording.answer(recording.asked("initialize")[0]))
    turn.answer(recording.answer(load))
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == "session_missing"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("auggie", "does not currently support authenticating over ACP"),
        ("cline", "Sign in with Cline; Sign in with ClinePass"),
        ("copilot", "Log in with Copilot CLI (Run `copilot login` in the terminal)"),
        ("kimi_code", "Login with Kimi account"),
        ("pi_acp", "executable not found"),
    ],
)
def test_an_agent_that_wants_a_login_says_how(agent: str, words: str) -> None:
    recording = Recording.of(f"other-acp.{agent}_handshake")
    turn = Play(Ask("/repo", ["hello"], "owner"))
    turn.answer(recording.answer(recording.asked("initialize")[0]))
    turn.answer(recording.answer(recording.asked("session/new")[0]))
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == ("api" if agent == "pi_acp" else "auth")
    assert words in failure.detail


def test_usage_and_cost_are_those_of_the_turn() -> None:
    recording = Recording.of("claude-acp-new.acp_session")
    first = Play(Ask("/repo", ["hello"], "owner"))
    first.open(recording)
    assert first.prompt(recording, 0).usage == Usage(100, 20, 0.0008)
    ask = Ask("/repo", ["again"], "owner", first.codec.peer.session, stays=True)
    second = Play(ask, first.codec.peer)
    assert second.told[-1]["method"] == "session/set_mode"
    second.answer({"result": {}})
    usage = second.prompt(recording, 2).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (200, 40)
    assert usage.cost_usd == pytest.approx(0.0048 - 0.0008)
    assert play("gemini", 0).codec.end(None, "").usage == Usage(100, 20)
    assert play("codex-acp2", 0).codec.end(None, "").usage == Usage(100, 20)
    assert play("qwen", 0).codec.end(None, "").usage is None


@pytest.mark.parametrize(
    ("trust", "options"),
    [("owner", ["allow", "allow", "allow"]), ("public", ["reject", "reject", "reject"])],
)
def test_what_is_asked_for_is_allowed_to_the_owner_and_to_nobody_in_public(
    trust: Trust, options: list[str]
) -> None:
    found = []
    for number in (3, 4, 5):
        turn = play("claude-acp", number, trust)
        outcomes = [one["result"]["outcome"] for one in turn.told if "result" in one]
        found += [outcome["optionId"] for outcome in outcomes]
        assert not turn.codec.wishes
    assert found == options


@pytest.mark.parametrize("agent", ["claude-acp-new", "gemini", "opencode"])
def test_a_trusted_turn_may_edit_what_is_in_its_folder(agent: str) -> None:
    turn = play(agent, 3, "trusted")
    wish = turn.codec.wishes[0]
    assert isinstance(wish, MayEdit)
    assert set(wish.paths) == {"/repo/acp.txt"}
    allowed, rejected = (one["outcome"] for one in (wish.allowed, wish.rejected))
    assert isinstance(allowed, dict)
    assert isinstance(rejected, dict)
    assert allowed["optionId"] in {"allow-once", "proceed_once", "once"}
    assert rejected["optionId"] in {"reject", "cancel"}
    turn.codec.grant(wish, wish.allowed)
    turn.listen()
    assert turn.told[-1]["result"] == wish.allowed


def ask_permission(turn: Play, options: list[str], **tool: Any) -> Any:
    kinds = [{"optionId": kind, "kind": kind, "name": kind} for kind in options]
    params = {"sessionId": "s", "options": kinds, "toolCall": {"toolCallId": "t", **tool}}
    turn.feed({"id": "q", "method": "session/request_permission", "params": params})
    return turn.told[-1]


@pytest.mark.parametrize(
    "tool",
    [
        {"kind": "execute", "locations": [{"path": "/repo/a"}]},
        {"kind": "fetch"},
        {"kind": "edit"},
        {"kind": "edit", "locations": "everywhere"},
        {"kind": "switch_mode", "locations": [{"path": "/repo/a"}]},
        {"locations": [{"path": "/repo/a"}]},
    ],
)
def test_nothing_else_is_allowed_to_a_trusted_turn(tool: dict[str, Any]) -> None:
    turn = opened("trusted")
    told = ask_permission(turn, ["allow_always", "allow_once", "reject_once"], **tool)
    assert told["result"]["outcome"] == {"outcome": "selected", "optionId": "reject_once"}
    assert not turn.codec.wishes


def test_a_trusted_turn_is_allowed_nothing_for_good() -> None:
    turn = opened("trusted")
    _ = ask_permission(turn, ["allow_always"], kind="edit", locations=[{"path": "/repo/a"}])
    [wish] = turn.codec.wishes
    assert isinstance(wish, MayEdit)
    assert wish.allowed == wish.rejected == {"outcome": {"outcome": "cancelled"}}


@pytest.mark.parametrize("trust", TRUSTS)
def test_a_request_without_options_is_answered_too(trust: Trust) -> None:
    told = ask_permission(opened(trust), [], kind="execute")
    assert told["result"] == {"outcome": {"outcome": "cancelled"}}


def test_the_tools_that_a_turn_is_given_are_called_without_asking() -> None:
    server = ToolServer("memory", "/bin/mcp", ("serve",), {"A": "b"}, ("remember",))
    turn = opened("trusted", servers=[server])
    assert turn.told[1]["params"]["mcpServers"] == [
        {
            "name": "memory",
            "command": "/bin/mcp",
            "args": ["serve"],
            "env": [{"name": "A", "value": "b"}],
        }
    ]
    options = ["allow_once", "reject_once"]
    for call in ({"name": "mcp__memory__remember"}, {"title": "remember (memory MCP Server)"}):
        told = ask_permission(turn, options, kind="other", **call)
        assert told["result"]["outcome"]["optionId"] == "allow_once"
    for call in ({"name": "mcp__memory__forget"}, {"title": "remember"}):
        told = ask_permission(turn, options, kind="other", **call)
        assert told["result"]["outcome"]["optionId"] == "reject_once"


@pytest.mark.parametrize("trust", TRUSTS)
def test_files_and_terminals_are_offered_by_the_turns_trust(trust: Trust) -> None:
    turn = opened(trust)
    offered = turn.told[0]["params"]["clientCapabilities"]
    assert offered == {
        "fs": {"readTextFile": trust == "public", "writeTextFile": trust == "trusted"},
        "terminal": False,
    }
    turn.feed({"id": 1, "method": "fs/read_text_file", "params": {"path": "/repo/a", "line": 3}})
    turn.feed(
        {"id": 2, "method": "fs/write_text_file", "params": {"path": "/repo/b", "content": "x"}}
    )
    read, *write = turn.codec.wishes
    assert isinstance(read, ReadFile)
    assert (read.path, read.first, read.most) == ("/repo/a", 3, None)
    if trust == "public":
        assert turn.told[-1]["error"]["code"] == -32601
        assert not write
    else:
        assert [(one.path, one.text) for one in write if isinstance(one, WriteFile)] == [
            ("/repo/b", "x")
        ]
    turn.feed({"id": 3, "method": "terminal/create", "params": {"command": "sh"}})
    assert turn.told[-1] == {
        "jsonrpc": "2.0",
        "id": 3,
        "error": {"code": -32601, "message": "terminal/create is not offered"},
    }
    turn.codec.refuse(read, "no")
    turn.listen()
    assert turn.told[-1]["error"] == {"code": -32602, "message": "no"}


def test_a_chunk_of_any_size_is_a_part_of_the_answer_up_to_its_limit() -> None:
    turn = opened()
    text = "\u2028" + 300_000 * "a"
    turn.feed(says(turn, text), says(turn, "b"))
    turn.answer({"result": {"stopReason": "end_turn"}})
    assert turn.codec.end(None, "").text == text.strip() + "b"
    assert not turn.codec.cut
    short = opened(output=1000)
    short.feed(says(short, text))
    assert short.codec.cut
    assert len(short.codec.end(None, "").text.encode()) <= 1000


def test_messages_in_a_row_are_paragraphs_and_those_before_a_tool_are_progress() -> None:
    turn = opened()
    turn.feed(
        says(turn, "Let me see.", messageId="1"),
        update(turn, sessionUpdate="tool_call", toolCallId="t", title="ls", status="in_progress"),
        update(turn, sessionUpdate="tool_call_update", toolCallId="t", status="completed"),
        says(turn, "One", messageId="2"),
        says(turn, ".", messageId="2"),
        says(turn, "Two.", messageId="3"),
    )
    turn.answer({"result": {"stopReason": "end_turn"}})
    assert turn.codec.end(None, "").text == "One.\n\nTwo."


def test_a_plan_and_what_is_unknown_are_passed_on() -> None:
    turn = opened()
    entries = [{"content": "look", "status": "completed"}, {"content": "do", "status": "pending"}]
    turn.feed(
        update(turn, sessionUpdate="plan", entries=entries),
        update(turn, sessionUpdate="something_new", a=1),
        update(turn, a=1),
        {"method": "_auth/status_update", "params": {"authStatus": {}}},
        {"id": 9, "method": "craft/drainMidTurnQueue", "params": {}},
        {"method": "session/update", "params": {"sessionId": "another", "update": {}}},
        "not JSON",
        says(turn, "fine"),
    )
    found = [(block.name, block.text) for block in turn.blocks("other")]
    assert found == [
        ("plan", "[x] look\n[ ] do"),
        ("something_new", ""),
        ("", ""),
        ("_auth/status_update", ""),
        ("craft/drainMidTurnQueue", ""),
    ]
    assert turn.told[-1]["error"]["code"] == -32601
    turn.answer({"result": {"stopReason": "end_turn"}})
    assert turn.codec.end(None, "").text == "fine"


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 429, "message": "Resource exhausted"}, "usage_limit", False),
        ({"code": -32603, "message": "API Error: 429 rate_limit"}, "usage_limit", False),
        ({"code": -32603, "message": "You've hit your usage limit"}, "usage_limit", False),
        ({"code": -32603, "data": {"errorKind": "rate_limit"}}, "usage_limit", False),
        ({"code": -32603, "message": "API Error: 529 overloaded"}, "api", True),
        ({"code": -32603, "message": "status 503"}, "api", True),
        ({"code": -32603, "message": "connection reset"}, "api", True),
        ({"code": -32603, "message": "Not logged in"}, "auth", False),
        ({"code": -32603, "data": {"errorKind": "authentication_failed"}}, "auth", False),
        ({"code": -32603, "message": "Prompt is too long"}, "api", False),
        ({"code": -32603}, "api", False),
        ("odd", "api", False),
    ],
)
def test_an_error_is_told_by_its_status_or_its_words(
    error: Any, kind: str, retryable: bool
) -> None:
    turn = opened()
    turn.answer({"error": error})
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert (failure.kind, failure.retryable) == (kind, retryable)
    assert not turn.codec.settled


def test_a_session_that_outgrew_the_model_is_begun_anew() -> None:
    turn = Play(Ask("/repo", ["hello"], "owner", "s"), _peer("s"))
    turn.answer({"error": {"code": -32603, "message": "Prompt is too long"}})
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == "session_missing"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("max_tokens", "api"), ("refusal", "api"), ("cancelled", "exited"), (None, "api")],
)
def test_a_turn_that_stops_early_has_what_was_said_or_fails(reason: str | None, kind: str) -> None:
    said = opened()
    said.feed(says(said, "so far"))
    said.answer({"result": {"stopReason": reason}})
    ended = said.codec.end(None, "")
    assert (ended.text, ended.failure) == ("so far", None)
    assert said.blocks("system")
    mute = opened()
    mute.answer({"result": {"stopReason": reason}})
    failure = mute.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == kind


def test_another_version_of_the_protocol_is_refused() -> None:
    turn = Play(Ask("/repo", ["hello"], "owner"))
    turn.answer({"result": {"protocolVersion": 2}})
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == "protocol"
    assert "version 2" in failure.detail


def bare(trust: Trust, offer: dict[str, Any], **ask: Any) -> Play:
    """A turn of an agent that offers nothing but this."""
    turn = Play(Ask("/repo", ["hello"], trust, **ask))
    turn.answer({"result": {"protocolVersion": 1}})
    turn.answer({"result": {"sessionId": "s", **offer}})
    return turn


def test_it_is_told_when_an_agent_may_not_ask_before_it_acts() -> None:
    assert [block.text for block in bare("public", {}).blocks("system")] == [UNGUARDED]
    assert not bare("owner", {}).blocks("system")
    for mode in ("read-only", "plan"):
        told = [block.text for block in bare("public", {}, mode=mode).blocks("system")]
        assert told == [UNGUARDED]
        assert not bare("trusted", {}, mode=mode).blocks("system")
    turn = bare("public", {}, mode="ask")
    assert not turn.blocks("system")
    assert turn.told[-1]["method"] == "session/set_mode"
    assert turn.told[-1]["params"] == {"sessionId": "s", "modeId": "ask"}


def test_a_turn_does_not_run_in_a_mode_that_lets_it_do_more() -> None:
    refused = {"error": {"code": -32602, "message": "no such mode"}}
    turn = bare("public", {}, mode="ask")
    turn.answer(refused)
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert "mode" in failure.detail
    assert turn.told[-1]["method"] == "session/set_mode"
    owner = bare("owner", {}, mode="ask")
    owner.answer(refused)
    assert owner.told[-1]["method"] == "session/prompt"


def test_a_model_and_an_effort_are_set_where_the_agent_offers_them() -> None:
    turn = Play(Ask("/repo", ["hello"], "owner", model="opus", effort="high"))
    turn.open(Recording.of("claude-acp.acp_session"))
    set_ = [one["params"] for one in turn.told if one["method"] == "session/set_config_option"]
    assert [(one["configId"], one["value"]) for one in set_] == [
        ("model", "opus"),
        ("effort", "high"),
    ]
    older = bare("owner", {"models": {"availableModels": []}}, model="m")
    assert older.told[-1]["method"] == "session/set_model"
    assert older.told[-1]["params"] == {"sessionId": "s", "modelId": "m"}
    older.answer({"error": {"code": -32602, "message": "no model m"}})
    failure = older.codec.end(None, "").failure
    assert failure is not None
    assert "no model m" in failure.detail
    none = bare("owner", {}, effort="high")
    assert none.told[-1]["method"] == "session/prompt"
    assert none.blocks("system")


def test_an_agent_that_opens_no_old_session_begins_a_new_one_each_time() -> None:
    cold = bare("owner", {})
    cold.answer({"result": {"stopReason": "end_turn"}})
    assert cold.codec.end(None, "").session is None
    stays = bare("owner", {}, stays=True)
    stays.answer({"result": {"stopReason": "end_turn"}})
    assert stays.codec.end(None, "").session == "s"
    turn = Play(Ask("/repo", ["hello"], "owner", "s"))
    turn.answer({"result": {"protocolVersion": 1}})
    failure = turn.codec.end(None, "").failure
    assert failure is not None
    assert failure.kind == "session_missing"


def test_a_cancelled_turn_tells_the_agent_once_it_works() -> None:
    turn = Play(Ask("/repo", ["hello"], "owner"))
    turn.codec.cancel()
    assert turn.codec.outgoing() == b""
    turn = opened()
    turn.codec.cancel()
    turn.listen()
    session = {"sessionId": turn.codec.peer.session}
    assert turn.told[-1] == {"jsonrpc": "2.0", "method": "session/cancel", "params": session}
    turn.feed({"id": turn.told[-2]["id"], "result": {"stopReason": "cancelled"}})
    assert turn.codec.finished
    turn.codec.cancel()
    assert turn.codec.outgoing() == b""


def test_an_agent_that_dies_has_said_so_far_what_it_has_said() -> None:
    turn = opened()
    turn.feed(says(turn, "half"))
    ended = turn.codec.end(3, "Segmentation fault")
    assert (ended.text, ended.session) == ("half", turn.codec.peer.session)
    assert ended.failure is not None
    assert ended.failure.kind == "exited"
    assert "Segmentation fault" in ended.failure.detail
    never = Play(Ask("/repo", ["hello"], "owner"))
    never.feed("usage: agent [options]")
    failure = never.codec.end(0, "").failure
    assert failure is not None
    assert failure.kind == "protocol"
    assert "usage: agent" in failure.detail


def test_a_waiting_agent_that_goes_to_work_by_itself_is_not_idle() -> None:
    turn = opened()
    idle = [update(turn, sessionUpdate="usage_update"), {"method": "_x"}, {"id": 77, "result": {}}]
    busy = [says(turn, "hm"), {"id": 1, "method": "session/request_permission", "params": {}}]
    assert all(turn.codec.is_idle(json.dumps(one).encode()) for one in idle)
    assert not any(turn.codec.is_idle(json.dumps(one).encode()) for one in busy)
