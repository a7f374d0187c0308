"""What people are told when a turn does not go as hoped: calm, short, without internals."""

from datetime import UTC, datetime

from sidecar.model import Failure, FailureKind

INTERRUPTED = "This request was interrupted twice and is not tried again."
STOPPED = "This request was stopped by the operator."
NO_ROUTE = (
    "This request is not answered: the configuration changed while it waited, and nobody here "
    "takes it any more. Nothing was done."
)
QUEUE_FULL = "Too many messages are waiting here already. Please try again in a moment."


_SENTENCES: dict[FailureKind, str] = {
    "not_found": "The agent could not be started here.",
    "exited": "The agent stopped before it had finished.",
    "protocol": "The agent stopped before it had finished.",
    "api": "The model behind the agent answered with an error.",
    "auth": "The agent is not logged in to its model. Its operator has to log in again.",
    "usage_limit": "The usage limit of the agent is reached.",
    "session_missing": "The agent could not pick up the conversation.",
    "idle_timeout": "The agent was stopped: it gave no sign of life for {limit}.",
    "turn_timeout": "The agent was stopped: it did not finish within {limit}.",
    "internal": "Something went wrong inside the sidecar.",
}


def failure_text(failure: Failure, *, reference: str, limit: float) -> str:
    """The text for the room. `reference` leads to the details in the log, `limit` is the clock
    that ran out, in seconds."""
    sentence = _SENTENCES[failure.kind].format(limit=duration(limit))
    if failure.kind == "usage_limit":
        return f"⏳ {sentence} {_reset(failure)} (reference {reference})"
    return f"⚠️ {sentence} (reference {reference})"


def budget_used_up(renews_at: float) -> str:
    """What a room is told when the budget of its route is used up."""
    at = datetime.fromtimestamp(renews_at, UTC)
    return f"⏳ The budget of the agent is used up. It renews at {at:%Y-%m-%d %H:%M} UTC."


def _reset(failure: Failure) -> str:
    if failure.resets_at is None:
        return "Please try again later."
    try:
        at = datetime.fromtimestamp(failure.resets_at, UTC)
    except (ValueError, OverflowError, OSError):  # agents tell it, and may tell anything
        return "Please try again later."
    return f"It resets at {at:%Y-%m-%d %H:%M} UTC."


def duration(seconds: float) -> str:
    """`45 seconds`, `1 minute`, `2 hours`: the largest unit that says it without a fraction."""
    whole = max(1, round(seconds))
    for unit, name in ((3600, "hour"), (60, "minute")):
        if whole >= unit and whole % unit == 0:
            return _plural(whole // unit, name)
    return _plural(whole, "second")


def _plural(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
