"""Runtimes that can answer nobody for now: their agent is not logged in, or a usage limit of it is
reached. Remembered until a turn succeeds, or the limit resets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sidecar.core import wording
from sidecar.model import Failure, FailureKind

REMEDIES: dict[FailureKind, str] = {
    "auth": "log it in again, or give its key in `env`",
    "usage_limit": "wait for its reset, or raise it",
}
"""The kinds of failures that the next turns meet as well, and what to do."""
TOLD_AGAIN = 3600.0
"""Seconds in which the same is told once, however often a runtime fails and works in turn."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What keeps a runtime from answering, and since when; times are in seconds since the epoch,
    and when it resets is what the agent told."""

    kind: FailureKind
    since: float
    resets_at: float | None = None

    @property
    def text(self) -> str:
        """What is wrong."""
        return wording.outage(self.kind, self.since, self.resets_at)

    @property
    def remedy(self) -> str:
        """What to do."""
        return REMEDIES[self.kind]

    def line(self, runtime: str) -> str:
        """Both in a line, of a runtime."""
        return f"runtime {runtime}: {self.text}; {self.remedy}"


class Outages:
    """Learns from the ends of turns. `tell` is called with a runtime and what owners are to read,
    when an outage begins."""

    def __init__(self) -> None:
        self.tell: Callable[[str, str], None] = lambda runtime, text: None
        self._known: dict[str, Outage] = {}
        self._told: dict[tuple[str, FailureKind], float] = {}

    def note(self, runtime: str, failure: Failure | None, now: float) -> None:
        """Take note of the end of a turn. A failure of another kind says nothing about these."""
        if failure is None:
            _ = self._known.pop(runtime, None)
            return
        if failure.kind not in REMEDIES:
            return
        known = self._present(runtime, now)
        same = known is not None and known.kind == failure.kind
        since = known.since if known is not None and same else now
        outage = self._known[runtime] = Outage(failure.kind, since, failure.resets_at)
        place = (runtime, outage.kind)
        if not same and now - self._told.get(place, -TOLD_AGAIN) >= TOLD_AGAIN:
            self._told[place] = now
            self.tell(runtime, outage.line(runtime))

    def present(self, runtimes: Iterable[str], now: float) -> dict[str, Outage]:
        """Which of these runtimes have one."""
        found = ((name, self._present(name, now)) for name in runtimes)
        return {name: outage for name, outage in found if outage is not None}

    def _present(self, runtime: str, now: float) -> Outage | None:
        found = self._known.get(runtime)
        if found is None or (found.resets_at is not None and found.resets_at <= now):
            return None
        return found
