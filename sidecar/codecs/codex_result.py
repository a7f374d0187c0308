"""Why a turn of Codex failed: what its error messages come to."""

import re
from datetime import datetime, timedelta

from sidecar.codecs.outcome import LONGEST_DETAIL
from sidecar.model import Failure, FailureKind

GONE = re.compile(r"no rollout found for thread id")
"""What the CLI says on standard error when it cannot resume."""
BUSY = re.compile(r"already has an active writer")
"""What it says there while another process, which may be about to end, has the thread."""
_OUTGROWN = "ran out of room in the model's context window"
_STATUS = re.compile(r"\bstatus:? (\d{3})\b")
_TEXTS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"usage limit|quota exceeded", re.IGNORECASE), "usage_limit"),
    (re.compile(r"Missing environment variable|not logged in|log in again", re.IGNORECASE), "auth"),
)
"""Errors that carry no status."""
_PASSING = re.compile(
    r"high demand|at capacity|stream disconnected|Connection failed|waiting for network"
)
_AGAIN = re.compile(
    r"try again at (?:([A-Z][a-z]{2})[a-z]* (\d{1,2})[a-z]{2}, (\d{4}) )?(\d{1,2}):(\d\d) ([AP])M"
)
"""When a limit resets, in local time: `May 18th, 2033 3:33 AM`, or `3:33 AM` for the same day."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def failure_of(words: str, expected_session: str | None, began: datetime | None) -> Failure:
    """The failure that an error message tells.

    `began` is the beginning of the turn, in the time zone of the CLI.
    """
    detail = words[:LONGEST_DETAIL]
    if _OUTGROWN in words:
        # A session that outgrew the model stays so: only a new one helps.
        return Failure("api" if expected_session is None else "session_missing", detail)
    kind = _kind(words)
    if kind == "usage_limit":
        return Failure(kind, detail, resets_at=_resets_at(words, began))
    return Failure(kind, detail, retryable=kind == "api" and _passes(words))


def _kind(words: str) -> FailureKind:
    match _status(words):
        case 401 | 403:
            return "auth"
        case 429:
            return "usage_limit"
    return next((kind for pattern, kind in _TEXTS if pattern.search(words)), "api")


def _passes(words: str) -> bool:
    return _status(words) >= 500 or _PASSING.search(words) is not None


def _status(words: str) -> int:
    found = _STATUS.search(words)
    return int(found[1]) if found else 0


def _resets_at(words: str, began: datetime | None) -> float | None:
    found = _AGAIN.search(words)
    if found is None or began is None:
        return None
    month, day, year, hour, minute, half = found.groups()
    try:
        at = began.replace(
            hour=int(hour) % 12 + (12 if half == "P" else 0),
            minute=int(minute),
            second=0,
            microsecond=0,
        )
        if month is not None:
            at = at.replace(year=int(year), month=_MONTHS.index(month) + 1, day=int(day))
        elif at < began:
            at += timedelta(days=1)
    except ValueError:  # there is no such month, day or time
        return None
    return at.timestamp()
