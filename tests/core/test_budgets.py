"""Budgets: periods of the calendar, sums by the hour."""

from datetime import UTC, datetime

import pytest

from sidecar.config.model import Budget, Period
from sidecar.core import wording
from sidecar.core.budgets import Ledger, period


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("per", "start", "end"),
    [
        ("hour", "2026-12-31T23:00", "2027-01-01T00:00"),
        ("day", "2026-12-31T00:00", "2027-01-01T00:00"),
        ("week", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("month", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_period_is_that_of_the_calendar(per: Period, start: str, end: str) -> None:
    assert period(per, at("2026-12-31T23:59")) == (at(start), at(end))


def test_a_budget_is_used_up_when_its_turns_cost_as_much_and_renews_with_the_period() -> None:
    ledger, budget = Ledger(), Budget(1.0, "day")
    ledger.spend("r", 5.0, at("2026-01-01T23:59"))
    ledger.spend("r", 0.5, at("2026-01-02T00:00"))
    ledger.spend("r", 0.4, at("2026-01-02T11:00"))
    ledger.spend("other", 9.0, at("2026-01-02T11:00"))
    now = at("2026-01-02T12:00")
    assert ledger.exhausted("r", budget, now) is None
    ledger.spend("r", 0.1, now)
    assert ledger.exhausted("r", budget, now) == at("2026-01-03T00:00")
    assert ledger.exhausted("r", Budget(1.01, "day"), now) is None
    assert ledger.exhausted("r", budget, at("2026-01-03T00:00")) is None


def test_what_was_spent_before_a_start_counts() -> None:
    ledger = Ledger([("r", 3600, 0.75), ("r", 7200, 0.25)])
    assert ledger.exhausted("r", Budget(1.0, "day"), 7300.0) == 86400
    assert ledger.exhausted("r", Budget(1.0, "hour"), 7300.0) is None


def test_spending_that_no_period_reaches_is_forgotten() -> None:
    ledger = Ledger()
    for day in range(400):
        ledger.spend("r", 1.0, day * 86400.0)
    assert 31 <= ledger.spent("r", 0.0) <= 34


def test_the_room_is_told_when_a_budget_renews() -> None:
    assert "2026-01-03 00:00 UTC" in wording.budget_used_up(at("2026-01-03T00:00"))
