"""Which turns the budgets of their routes allow, and what the routes have spent."""

import time
from collections.abc import Iterable, Mapping

from sidecar.app.turns.work import Work
from sidecar.config.model import Route
from sidecar.core import wording
from sidecar.core.admission import Refusal
from sidecar.core.budgets import Ledger, period
from sidecar.model import ConversationKey, Usage

MOST_TOLD = 10_000
"""Conversations of which is kept what they were told; the longest unseen is forgotten first."""


class Budgets:
    """Counts what turns cost. `spent` is what they cost before, as the journal tells it."""

    def __init__(self, spent: Iterable[tuple[str, int, float]] = ()) -> None:
        self._ledger = Ledger(spent)
        self._told: dict[tuple[str, ConversationKey], int] = {}

    def spend(self, work: Work, usage: Usage | None, now: float) -> None:
        """Count what a turn cost, as far as its runtime tells."""
        if usage is not None and usage.cost_usd:
            self._ledger.spend(work.route.name, usage.cost_usd, now)

    def refusal(self, work: Work, now: float) -> Refusal | None:
        """The refusal of a turn that is about to start; its room is told once in a period."""
        route, place = work.route, (work.route.name, work.newest.key)
        if route.budget is None:
            return None
        renews = self._ledger.exhausted(route.name, route.budget, now)
        before = self._told.pop(place, None)
        if renews is None:
            return None
        self._told[place] = renews
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        return Refusal("budget", None if before == renews else wording.budget_used_up(renews))

    def picture(self, routes: Iterable[Route]) -> dict[str, Mapping[str, object]]:
        """What each route with a cost or a budget has spent in its period, a day without one."""
        now = time.time()
        found: dict[str, Mapping[str, object]] = {}
        for route in routes:
            per = route.budget.per if route.budget is not None else "day"
            start, end = period(per, now)
            spent = self._ledger.spent(route.name, start)
            if spent or route.budget is not None:
                usd = route.budget.usd if route.budget is not None else None
                found[route.name] = {"spent": spent, "usd": usd, "per": per, "renews_at": end}
        return found
