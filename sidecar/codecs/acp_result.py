"""How a turn of an ACP agent ended: what its errors, stop reasons and figures come to.

The protocol knows two codes of its own, "authentication required" and "not found". For the rest,
agents put the error of their model's API into the text, each in its own words.
"""

import json
import re

from sidecar.codecs.jsonrpc import Error
from sidecar.codecs.loose import Record, count_of, number_of, record_of, records_of, text_of
from sidecar.codecs.ndjson import parse
from sidecar.codecs.outcome import LONGEST_DETAIL
from sidecar.model import Failure, FailureKind, Usage

AUTH_REQUIRED = -32000
"""The code of an agent that wants a login: https://agentclientprotocol.com/protocol/schema."""
NOT_FOUND = -32002
"""The code for a session, or a file, that is not there."""

_GONE = re.compile(
    r"(session|resource|thread|conversation)\b.{0,80}\bnot found|no such session",
    re.IGNORECASE,
)
_OUTGROWN = re.compile(
    r"prompt is too long|ran out of room|context (window|length)|maximum context|too many tokens",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"\b(?:API Error|HTTP|status|error|code)\b\W{0,8}(?:code\W{0,3})?([45]\d\d)\b|^\W*([45]\d\d)\b",
    re.IGNORECASE,
)
_TEXTS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (
        re.compile(
            r"usage limit|rate.?limit|quota|limit reached|hit your .{0,40}limit|too many requests"
            r"|credit balance|billing|RESOURCE_EXHAUSTED",
            re.IGNORECASE,
        ),
        "usage_limit",
    ),
    (
        re.compile(
            r"authenticat|not logged in|log ?in again|please (run )?/?login|API key|unauthorized"
            r"|\bsign in\b",
            re.IGNORECASE,
        ),
        "auth",
    ),
)
_PASSING = re.compile(
    r"overloaded|high demand|at capacity|unavailable|timed? ?out|disconnected|connection",
    re.IGNORECASE,
)
_INPUT = ("inputTokens", "cachedReadTokens", "cachedWriteTokens")


def words_of(error: Error) -> str:
    """All that an error says, for a log. Its `data` is an object of any shape, or a text."""
    data = error.data
    if isinstance(data, dict) and set(data) <= {"details", "message"}:
        data = text_of(data, "details") or text_of(data, "message")
    parts = [error.message]
    if data:
        parts.append(data if isinstance(data, str) else json.dumps(data))
    words = ": ".join(part for part in parts if part)[:LONGEST_DETAIL]
    return f"{words} (code {error.code})" if error.code else words


def failure_of(error: Error, *, resumed: bool, about: Record) -> Failure:
    """Why a call failed. `resumed`: its session was begun by an earlier turn. `about` is the
    agent's answer to `initialize`, which tells how one logs in to it."""
    words = words_of(error)
    if resumed and (error.code == NOT_FOUND or _GONE.search(words) or _OUTGROWN.search(words)):
        # A session that outgrew the model stays so: only a new one helps.
        return Failure("session_missing", words)
    status = _status(error, words)
    kind = "auth" if error.code == AUTH_REQUIRED else _kind(status, words)
    if kind == "auth":
        return _login_needed(words, about)
    passes = kind == "api" and (status >= 500 or (not status and bool(_PASSING.search(words))))
    return Failure(kind, words, retryable=passes)


def stop_failure(reason: str, answer: str, usage: Usage | None) -> Failure | None:
    """The failure that a stop reason tells; None where there is an answer all the same."""
    told = record_of(parse(answer.encode()) or {}, "error") if usage is None else {}
    if told:  # one agent gives the error of its API for the answer
        return failure_of(Error(0, answer), resumed=False, about={})
    if reason == "end_turn" or answer:
        return None
    kind: FailureKind = "exited" if reason == "cancelled" else "api"
    return Failure(kind, f"the agent stopped without an answer: {reason or 'no reason'}")


def usage_of(result: Record, cost: float | None) -> Usage | None:
    """What a prompt used: tokens by the protocol's own field, or by one that some agents have."""
    usage = record_of(result, "usage")
    if usage:
        given = [count_of(usage, name) for name in _INPUT]
        read = sum(count or 0 for count in given) if any(given) else given[0]
        return Usage(read, count_of(usage, "outputTokens"), cost)
    count = record_of(record_of(record_of(result, "_meta"), "quota"), "token_count")
    if count:
        return Usage(count_of(count, "input_tokens"), count_of(count, "output_tokens"), cost)
    return None if cost is None else Usage(cost_usd=cost)


def cost_of(update: Record) -> float | None:
    """What the session has cost so far, in dollars, by a `usage_update`."""
    cost = record_of(update, "cost")
    amount = number_of(cost, "amount")
    return None if amount is None or cost.get("currency") != "USD" else float(amount)


def _login_needed(words: str, about: Record) -> Failure:
    ways = []
    for method in records_of(about, "authMethods"):
        name = text_of(method, "name") or text_of(method, "id") or "a login"
        told = text_of(method, "description")
        ways.append(f"{name} ({told})" if told else name)
    offered = f"; it offers: {'; '.join(ways)}" if ways else ""
    text = f"log in to the agent as the user that runs the sidecar: {words}{offered}"
    return Failure("auth", text[:LONGEST_DETAIL])


def _status(error: Error, words: str) -> int:
    """The status of the model's API behind an error; 0 where none is told."""
    if 400 <= error.code < 600:
        return error.code
    found = _STATUS.search(words)
    return int(found[1] or found[2]) if found else 0


def _kind(status: int, words: str) -> FailureKind:
    match status:
        case 401 | 403:
            return "auth"
        case 429:
            return "usage_limit"
    return next((kind for pattern, kind in _TEXTS if pattern.search(words)), "api")
