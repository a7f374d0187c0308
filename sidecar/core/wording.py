"""What people are told when a turn does not go as hoped: calm, short, without internals."""

from datetime import UTC, datetime

from sidecar.model import Failure, FailureKind

INTERRUPTED = "This request was interrupted twice and is not tried again."
STOPPED = "This request was stopped by the operator."
NO_ROUTE = (
    "This request is not answered: the configuration changed while it waited, and nobody here "
    "takes it any more. Nothing was done."
)
SUPERSEDED = "This request is not answered: a newer one took its place."
NOT_RUN = {
    "superseded": SUPERSEDED,
    "full": "Too many messages are waiting here already. Please try again in a moment.",
}
"""By the reason of a turn that is dropped as it waits."""


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
        at = _moment(failure.resets_at)
        later = f"It resets at {at}." if at else "Please try again later."
        return f"⏳ {sentence} {later} (reference {reference})"
    return f"⚠️ {sentence} (reference {reference})"


def budget_used_up(renews_at: float) -> str:
    """What a room is told when the budget of its route is used up."""
    return f"⏳ The budget of the agent is used up. It renews at {_moment(renews_at)}."


def cut_answer(text: str, limit: int) -> str:
    """An answer that was cut at `limit` bytes, with an end that says so."""
    return f"{text}…\n\n⚠️ The answer is longer than {size(limit)} and is cut here."


def outage(kind: FailureKind, since: float, resets_at: float | None) -> str:
    """What those read who run the agent. Times are in seconds since the epoch."""
    what = "not logged in" if kind == "auth" else "its usage limit is reached"
    reset = _moment(resets_at)
    return f"{what} since {_moment(since)}{f', resets at {reset}' if reset else ''}"


def _moment(at: float | None) -> str:
    """A time, in seconds since the epoch, for people; empty where it is not known."""
    if at is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # agents tell it, and may tell anything
        return ""


def duration(seconds: float) -> str:
    """`45 seconds`, `1 minute`, `2 hours`: the largest unit that says it without a fraction."""
    whole = max(1, round(seconds))
    for unit, name in ((3600, "hour"), (60, "minute")):
        if whole >= unit and whole % unit == 0:
            return _plural(whole // unit, name)
    return _plural(whole, "second")


def size(count: int) -> str:
    """`9 bytes`, `256 KiB`, `1 MiB`: the largest unit that says it without a fraction."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return _plural(count, "byte")


def _plural(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
