"""What is remembered of runtimes that can answer nobody."""

import pytest

from sidecar.app.turns.outages import TOLD_AGAIN, Outage, Outages
from sidecar.model import Failure

AUTH, OTHER = Failure("auth", "401 secret detail"), Failure("api", "overloaded")


@pytest.fixture
def outages() -> Outages:
    return Outages()


def test_a_login_that_expired_is_known_since_its_first_failure_until_a_turn_succeeds(
    outages: Outages,
) -> None:
    outages.note("claude", OTHER, 0.0)
    assert outages.present(["claude"], 0.0) == {}
    for now, failure in ((60.0, AUTH), (120.0, OTHER), (180.0, AUTH)):
        outages.note("claude", failure, now)
    assert outages.present(["claude", "codex"], 200.0) == {"claude": Outage("auth", 60.0)}
    assert outages.present(["codex"], 200.0) == {}
    outages.note("codex", None, 210.0)
    assert outages.present(["claude"], 220.0)
    outages.note("claude", None, 230.0)
    assert outages.present(["claude"], 230.0) == {}


def test_a_usage_limit_is_over_when_it_resets(outages: Outages) -> None:
    outages.note("codex", Failure("usage_limit", "", resets_at=3600.0), 0.0)
    outages.note("codex", Failure("usage_limit", "", resets_at=7200.0), 60.0)
    assert outages.present(["codex"], 7199.0) == {"codex": Outage("usage_limit", 0.0, 7200.0)}
    assert outages.present(["codex"], 7200.0) == {}
    outages.note("codex", AUTH, 7300.0)
    assert outages.present(["codex"], 7300.0) == {"codex": Outage("auth", 7300.0)}


def test_each_beginning_is_told_and_the_same_at_most_once_in_a_while(outages: Outages) -> None:
    told: list[tuple[str, str]] = []
    outages.tell = lambda *one: told.append(one)
    ends = [
        ("a", AUTH, 0.0),
        ("a", AUTH, 1.0),
        ("b", AUTH, 2.0),
        ("a", None, 3.0),
        ("a", AUTH, 4.0),
        ("a", Failure("usage_limit", ""), 5.0),
        ("a", None, 6.0),
        ("a", AUTH, TOLD_AGAIN),
        ("a", AUTH, TOLD_AGAIN * 3),
    ]
    for end in ends:
        outages.note(*end)
    assert [runtime for runtime, _ in told] == ["a", "b", "a", "a"]
    assert "secret detail" not in str(told)


@pytest.mark.parametrize(
    ("outage", "line"),
    [
        (Outage("auth", 60.0), "not logged in since 1970-01-01 00:01 UTC; log it in again"),
        (
            Outage("usage_limit", 60.0, 3600.0),
            "its usage limit is reached since 1970-01-01 00:01 UTC, resets at 1970-01-01 01:00 UTC",
        ),
        (Outage("usage_limit", 0.0, 1e300), "is reached since 1970-01-01 00:00 UTC; wait"),
    ],
)
def test_a_line_tells_people_what_is_wrong_since_when_and_what_to_do(
    outage: Outage, line: str
) -> None:
    told = outage.line("claude")
    assert told.startswith("runtime claude: ")
    assert line in told
