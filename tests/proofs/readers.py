"""All that reads bytes from outside, with samples of what it reads."""

import asyncio
import functools
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from sidecar.channels import credentials
from sidecar.codecs.acp import AcpCodec
from sidecar.codecs.acp_opening import Ask
from sidecar.codecs.agent import AgentCodec
from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.claude_dialogue import ClaudeDialogue
from sidecar.codecs.codex import CodexCodec
from sidecar.codecs.codex_server import CodexDialogue, Question
from sidecar.codecs.gemini import GeminiCodec
from sidecar.codecs.hub import botcord, botcord_inbox, botcord_room, control, provisioning
from sidecar.codecs.hub.provisioning import BadRequest
from sidecar.codecs.ndjson import Lines, parse
from sidecar.core import managed, memory
from sidecar.core.splitting import split
from sidecar.errors import ChannelStopped, JournalError, MemoryUnavailable
from sidecar.hubclient.http import Answer
from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store import encoding
from tests.codecs.test_botcord_inbox import item, owner_item
from tests.patience import PATIENCE
from tests.proofs.config_readers import CONFIGS, TESTS, config, tests, written
from tests.server.test_hostile import REQUESTS, TOKEN
from tests.server.test_http import Rig

DATA = Path(__file__).parents[1] / "data"


class Reader(NamedTuple):
    """What reads, what it is given as a start, how it may say that it cannot, how many inputs it
    gets in the short run, and how deep what nests may be."""

    read: Callable[[bytes], object]
    seeds: list[bytes]
    refuses: tuple[type[Exception], ...] = ()
    rounds: int = 150
    depth: int = 3000


def recorded(*patterns: str) -> list[bytes]:
    return [path.read_bytes()[:20_000] for one in patterns for path in sorted(DATA.glob(one))]


def dumped(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def codec(make: Callable[[], Any], *results: dict[str, Any]) -> Callable[[bytes], object]:
    """Reads what an agent prints, to its end; `results` answer its first requests."""

    def read(data: bytes) -> None:
        found = make()
        for number, result in enumerate(results, start=1):
            found.outgoing()
            found.feed(json.dumps({"id": number, "result": result}).encode())
        for line in Lines().feed(data + b"\n"):
            found.feed(line)
            if hasattr(found, "outgoing"):
                found.outgoing()
                found.is_idle(line)
        for code in (None, 0, 1, -9):
            ended = found.end(code, data[-100:].decode("utf-8", "replace"))
            assert "\0" not in ended.text
            ended.text.encode()

    return read


def inbox(data: bytes) -> None:
    """The way of an item: decoded, written to the journal, read from it, rendered, answered."""
    found = botcord_inbox.message_of(
        parse(data), channel="ch", account="ag_me", hub="https://h", now=0.0
    )
    if found is None:
        return
    stored = encoding.encode(found)
    assert stored.isascii()
    assert encoding.decode_message(stored) == found
    context = {"message": found.text, "sender": found.sender.name, "extra": found.extra}
    json.dumps(context, allow_nan=False).encode()
    assert all(len(piece) <= 50 for piece in split(found.text, 50))


ASK = Ask(cwd="/x", prompt=["hi"], trust="public")
MESSAGE = Message("ch", "ag", "m", Conversation("r", "group"), Sender("s", "human"), "hi", 0.0)
REPLY = Reply("k", "ch", "ag", MESSAGE.conversation, "t", "answer", 0.0)
KEY = json.loads((DATA / "hub-vectors.json").read_text())
FRAME = {"id": "f1", "type": "provision_agent", "ts": 1000000,
    "params": {"agentId": "ag_1", "pattern": "rm_", "credentials": {
        "agentId": "ag_1", "keyId": "k", "hubUrl": "https://h", "privateKey": KEY["seed_b64"]},
        "route": {"match": {"conversationPrefix": "rm_"}, "extraArgs": ["-x"]}}}  # fmt: skip


def frame(data: bytes) -> None:
    found = control.verify(data, [KEY["pub_b64"]], 1000.0)
    assert not isinstance(found, control.Frame), "nobody signed it"


def request(data: bytes) -> None:
    params = parse(data) or {}
    for read in (
        lambda: provisioning.provision_of(params, "2026-01-01T00:00:00Z"),
        lambda: provisioning.revocation_of(params),
        lambda: provisioning.route_of(params),
    ):
        try:
            read()
        except BadRequest:
            continue


def hub_answer(data: bytes) -> None:
    body = parse(data)
    botcord_inbox.page_of(body)
    botcord_room.room_of(body, "rm_1")
    botcord.error_code(body)
    botcord.frame_type(data.decode("utf-8", "replace"))
    text = data[:50].decode("latin-1").partition("\n")[0]  # a header is one line
    answer = Answer(
        what="GET x", status=429, body=body, retry_after=text, date=text, request_id=text
    )
    assert (answer.wait or 0) >= 0
    assert "\n" not in str(answer)


class Server:
    """The sidecar's own server on a thread of its own, for bytes that are no request."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="server", daemon=True).start()
        self._rig = Rig()
        serving = asyncio.run_coroutine_threadsafe(self._rig.serve(token=TOKEN), self._loop)
        host, _, port = serving.result().address.rpartition(":")
        self._address = (host, int(port))

    def ask(self, data: bytes) -> None:
        answer = b""
        with socket.create_connection(self._address, PATIENCE) as client, suppress(ConnectionError):
            client.sendall(data)
            with suppress(OSError):  # it has closed the connection already
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")) or _is_livez(data), answer
        assert self._rig.reloads == 0
        assert b"Traceback" not in answer


def _is_livez(data: bytes) -> bool:
    return b"/livez" in data or b"/readyz" in data


def requests(data: bytes) -> None:
    server().ask(data)


@functools.cache
def server() -> Server:
    return Server()


def update(kind: str, /, **fields: object) -> dict[str, Any]:
    told = {"sessionId": "s", "update": {"sessionUpdate": kind, **fields}}
    return {"jsonrpc": "2.0", "method": "session/update", "params": told}


TOOL = {"toolCallId": "t", "title": "x", "kind": "edit", "locations": [{"path": "/x/a"}]}
CONTENT = {"type": "text", "text": "hi"}
ASKED = {"sessionId": "s", "toolCall": TOOL, "options": [{"optionId": "o", "kind": "allow_once"}]}
ACP = dumped(
    update("agent_message_chunk", content=CONTENT),
    update("agent_thought_chunk", content=CONTENT),
    update("tool_call", status="pending", rawInput={"a": 1}, **TOOL),
    update("tool_call_update", status="completed", content=[{"content": CONTENT}], **TOOL),
    update("plan", entries=[{"content": "x", "status": "pending", "priority": "low"}]),
    update("usage_update", used=1, size=2, cost={"amount": 1.5, "currency": "USD"}),
    {"id": 7, "method": "session/request_permission", "params": ASKED},
    {"id": 8, "method": "fs/read_text_file", "params": {"sessionId": "s", "path": "/x", "line": 1}},
    {"id": 3, "result": {"stopReason": "end_turn", "usage": {"inputTokens": 1}}},
    {"id": 3, "error": {"code": -32603, "message": "429", "data": {"details": "x"}}},
)
ITEMS = [
    {"type": "agentMessage", "id": "m", "text": "hi"},
    {"type": "reasoning", "id": "r", "summary": ["x"]},
    {"type": "commandExecution", "id": "c", "command": "ls", "status": "declined", "exitCode": 1},
    {"type": "mcpToolCall", "id": "t", "server": "s", "tool": "t", "arguments": {}, "result": {}},
]
OF = {"threadId": "t", "turnId": "u"}
SERVER = dumped(
    *({"method": "item/completed", "params": {**OF, "item": one}} for one in ITEMS),
    *({"method": "item/started", "params": {**OF, "item": one}} for one in ITEMS),
    {"method": "thread/tokenUsage/updated", "params": {**OF, "tokenUsage": {"last": {"a": 1}}}},
    {"method": "turn/completed", "params": {**OF, "turn": {"id": "u", "status": "failed",
        "error": {"message": "usage limit", "codexErrorInfo": "x"}}}},
    {"method": "error", "params": {**OF, "error": {"message": "x"}, "willRetry": False}},
    {"id": 9, "method": "item/commandExecution/requestApproval", "params": OF},
)  # fmt: skip


YAML_DEPTH = 150
"""More than the 100 that are allowed; a line of thousands of brackets takes the YAML parser half a
second."""
READERS = {
    "claude": Reader(codec(ClaudeCodec), recorded("claude/*/stdout.ndjson")),
    "claude warm": Reader(
        codec(lambda: ClaudeDialogue("hi", "id", "")), recorded("claude/*/stdout.ndjson")
    ),
    "codex": Reader(codec(CodexCodec), recorded("codex/*/stdout.ndjson")),
    "codex warm": Reader(
        codec(lambda: CodexDialogue(Question("hi", "/x"), "1"),
            {}, {"thread": {"id": "t"}}, {"turn": {"id": "u"}}),
        SERVER,
    ),
    "codex warm, opening": Reader(
        codec(lambda: CodexDialogue(Question("hi", "/x"), "1"), {}),
        dumped({"id": 2, "result": {"thread": {"id": "t"}, "sandbox": {"type": "readOnly"}}}),
    ),
    "gemini": Reader(codec(GeminiCodec), recorded("gemini/*/stdout.ndjson")),
    "acp": Reader(
        codec(lambda: AcpCodec(ASK), {"protocolVersion": 1}, {"sessionId": "s"}), ACP
    ),
    "acp, opening": Reader(
        codec(lambda: AcpCodec(ASK)),
        dumped({"id": 1, "result": {"protocolVersion": 1,
            "agentCapabilities": {"loadSession": True}, "authMethods": [{"id": "it",
            "name": "Log in", "description": "x"}]}}),
    ),
    "acp, session": Reader(
        codec(lambda: AcpCodec(ASK), {"protocolVersion": 1}),
        dumped({"id": 2, "result": {"sessionId": "s", "modes": {"currentModeId": "auto",
            "availableModes": [{"id": "auto", "name": "a"}]}, "models": {"currentModelId": "m",
            "availableModels": [{"modelId": "m"}]}, "configOptions": [{"id": "mode",
            "category": "mode", "currentValue": "a", "options": [{"value": "a"}]}]}}),
    ),
    "command": Reader(
        codec(AgentCodec),
        dumped({"type": "text", "text": "a"}, {"type": "result", "usage": {"cost_usd": 1}},
            {"type": "error", "kind": "auth", "resets_at": 1}, {"type": "tool_use", "input": {}}),
    ),
    "inbox": Reader(inbox, dumped(item(), owner_item())),
    "hub answers": Reader(
        hub_answer,
        dumped({"messages": [item()], "has_more": True}, {"detail": "no", "code": "x"},
            {"room_id": "rm_1", "name": "n", "members": [{"agent_id": "ag_1", "role": "owner"}]}),
    ),
    "control frames": Reader(frame, dumped(FRAME, {**FRAME, "sig": KEY["challenge_sig"]})),
    "control requests": Reader(request, dumped(FRAME["params"])),
    "credentials": Reader(
        lambda data: credentials.read(written(data, "credentials.json")),
        dumped({"agentId": "ag_1", "hubUrl": "https://h", "keyId": "k", "token": "t",
            "privateKey": KEY["seed_b64"], "tokenExpiresAt": 1}),
        (ChannelStopped,),
    ),
    "memory": Reader(
        memory.decode,
        dumped({"version": 2, "goal": "g", "sections": {"a": "b"}, "updatedAt": "2026-01-01T00:00"},
            {"workingMemory": "old"}),
        (ValueError, MemoryUnavailable),
    ),
    "managed agents": Reader(
        lambda data: managed.read(data.decode("utf-8", "replace")),
        [managed.write(managed.with_agent(managed.Managed(), "ag_1", Path("/c"), {})).encode()],
        (ValueError, RecursionError),
    ),
    "requests": Reader(requests, REQUESTS, rounds=60),
    "journal messages": Reader(
        lambda data: encoding.decode_message(data.decode("utf-8", "replace")),
        [encoding.encode(MESSAGE).encode()], (JournalError,),
    ),
    "journal replies": Reader(
        lambda data: encoding.decode_reply(data.decode("utf-8", "replace")),
        [encoding.encode(REPLY).encode()], (JournalError,),
    ),
    "config": Reader(config, CONFIGS, depth=YAML_DEPTH),
    "tests": Reader(tests, TESTS, depth=YAML_DEPTH),
}  # fmt: skip
