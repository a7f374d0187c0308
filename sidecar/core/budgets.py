"""What routes have spent, and whether a route may spend more.

Periods are those of the calendar, UTC. Spending is kept by the hour, which they are made of.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sidecar.config.model import Budget, Period

HOUR = 3600
"""Seconds of the smallest period."""
KEPT = 32 * 86400.0
"""Seconds for which spending has to be known: a little more than the longest period."""


def hour_of(at: float) -> int:
    """The start of the hour of a time, in seconds since the epoch."""
    return int(at // HOUR) * HOUR


def period(per: Period, now: float) -> tuple[int, int]:
    """When the period of a time begins and ends, in seconds since the epoch."""
    hour = datetime.fromtimestamp(hour_of(now), UTC)
    day = hour.replace(hour=0)
    match per:
        case "hour":
            return _span(hour, hour + timedelta(hours=1))
        case "day":
            return _span(day, day + timedelta(days=1))
        case "week":
            monday = day - timedelta(days=day.weekday())
            return _span(monday, monday + timedelta(days=7))
        case "month":
            first = day.replace(day=1)
            return _span(first, (first + timedelta(days=32)).replace(day=1))


def _span(start: datetime, end: datetime) -> tuple[int, int]:
    return int(start.timestamp()), int(end.timestamp())


class Ledger:
    """The running sums of all routes, by hour. `spent` are (route, start of an hour, dollars)."""

    def __init__(self, spent: Iterable[tuple[str, int, float]] = ()) -> None:
        self._hours: dict[str, dict[int, float]] = {}
        for route, hour, usd in spent:
            self.spend(route, usd, hour)

    def spend(self, route: str, usd: float, at: float) -> None:
        """Count what a turn cost that ended at a time."""
        hours, hour = self._hours.setdefault(route, {}), hour_of(at)
        if hour not in hours:
            for old in [one for one in hours if one < at - KEPT]:
                del hours[old]
        hours[hour] = hours.get(hour, 0.0) + usd

    def spent(self, route: str, since: float) -> float:
        """What a route has spent in the hours that began at a time or later."""
        return sum(usd for hour, usd in self._hours.get(route, {}).items() if hour >= since)

    def exhausted(self, route: str, budget: Budget, now: float) -> int | None:
        """When the budget of a route renews, if it is used up; None while something is left."""
        start, end = period(budget.per, now)
        return end if self.spent(route, start) >= budget.usd else None
