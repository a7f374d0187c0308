from collections.abc import Callable

import pytest

from sidecar.config.model import Rate
from sidecar.config.values import duration, rate, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10.0), ("10m", 600.0), ("2h", 7200.0), ("30d", 2592000.0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("1B", 1), ("256KiB", 262144), ("1MiB", 1 << 20), ("1GiB", 1 << 30)]
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(("text", "found"), [("20/1m", Rate(20, 60.0)), ("1/500ms", Rate(1, 0.5))])
def test_rates_are_a_count_and_a_window(text: str, found: Rate) -> None:
    assert rate(text) == found


@pytest.mark.parametrize(
    ("parse", "text", "reason"),
    [
        (duration, "10", "a duration such as"),
        (duration, "1h30m", "a duration such as"),
        (duration, " 1h", "a duration such as"),
        (duration, "1h\n", "a duration such as"),
        (duration, "-1s", "a duration such as"),
        (duration, "\uff11s", "a duration such as"),
        (duration, "0s", "longer than zero"),
        (duration, "3651d", "at most 3650d"),
        (duration, "9" * 5000 + "s", "a duration such as"),
        (size, "1MB", "a size such as"),
        (size, "0B", "larger than zero"),
        (size, "2GiB", "at most 1GiB"),
        (rate, "20", "a rate such as"),
        (rate, "20/m", "a rate such as"),
        (rate, "0/1m", "the count"),
        (rate, "20/0s", "a rate such as"),
        (rate, "9" * 5000 + "/1m", "a rate such as"),
    ],
)
def test_what_is_wrong_with_a_value_is_told(
    parse: Callable[[str], object], text: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)
