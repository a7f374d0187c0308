import typing

import pytest

from sidecar.config.model import Grant
from sidecar.core.backoff import delay
from sidecar.core.trust import granted, lower
from sidecar.core.wording import duration, failure_text, size
from sidecar.model import Failure, FailureKind, Sender


def test_the_wait_doubles_up_to_the_most_and_is_jittered_downwards() -> None:
    full = [delay(n, first=1, most=60, random=lambda: 1.0) for n in range(8)]
    assert full == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay(3, first=1, most=60, random=lambda: 0.0) == 4
    assert delay(10**6, first=1, most=60, random=lambda: 1.0) == 60


def test_trust_is_the_lower_of_route_and_sender() -> None:
    assert lower("owner", "public") == "public"
    assert lower("trusted", "owner") == "trusted"


def test_a_grant_by_id_beats_the_grant_by_kind() -> None:
    grant = Grant(senders={"friend": "trusted"})
    assert granted(grant, Sender("friend", "agent")) == "trusted"
    assert granted(grant, Sender("x", "agent")) == "public"
    assert granted(grant, Sender("x", "human")) == "public"
    assert granted(grant, Sender("x", "owner")) == "owner"


@pytest.mark.parametrize("kind", typing.get_args(FailureKind))
def test_every_failure_has_words_with_a_reference_and_without_details(kind: FailureKind) -> None:
    text = failure_text(Failure(kind, "/home/x: secret"), reference="7f3a", limit=600)
    assert "7f3a" in text
    assert "secret" not in text


def test_a_clock_is_told_in_words() -> None:
    text = failure_text(Failure("turn_timeout", ""), reference="r", limit=600)
    assert "within 10 minutes" in text


def test_a_usage_limit_is_told_with_its_reset() -> None:
    text = failure_text(Failure("usage_limit", "", resets_at=0.0), reference="r", limit=1)
    assert "resets at 1970-01-01 00:00 UTC" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (7200, "2 hours"), (0.2, "1 second")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 byte"), (1500, "1500 bytes"), (1 << 10, "1 KiB"), (3 << 20, "3 MiB")],
)
def test_sizes_read_well(count: int, text: str) -> None:
    assert size(count) == text
