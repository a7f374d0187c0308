"""Texts with a unit: durations, sizes and rates."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.config.model import Rate

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)")
_RATE = re.compile(r"([0-9]+)/(.+)", re.DOTALL)

LONGEST_DURATION = 3650 * 86400.0
"""Ten years, in seconds: anything longer is a slip, and timers of the system refuse it."""
LARGEST_SIZE = 1 << 30
"""1 GiB: texts of a turn are held in memory."""
LEAST_MEMORY = 1 << 24
"""16 MiB: with less, no agent starts."""
LARGEST_COUNT = 1_000_000
"""Of a rate: a larger one is no limit."""


def duration(text: str) -> float:
    """Seconds of a text such as `500ms`, `10s`, `10m`, `2h` or `30d`. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if not found or len(text) > 20:
        raise ValueError(f"expected {EXPECTED['duration']}")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= LONGEST_DURATION:
        raise ValueError("a duration is longer than zero and at most 3650d")
    return seconds


def size(text: str) -> int:
    """Bytes of a text such as `64B`, `256KiB`, `1MiB` or `1GiB`. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if not found or len(text) > 20:
        raise ValueError(f"expected {EXPECTED['size']}")
    count = int(found[1]) * _BYTES[found[2]]
    if not 0 < count <= LARGEST_SIZE:
        raise ValueError("a size is larger than zero and at most 1GiB")
    return count


def memory(text: str) -> int:
    """Bytes of a text such as `512MiB` or `4GiB`. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if not found or len(text) > 20:
        raise ValueError(f"expected {EXPECTED['memory']}")
    count = int(found[1]) * _BYTES[found[2]]
    if not LEAST_MEMORY <= count < 1 << 50:
        raise ValueError("an amount of memory is at least 16MiB")
    return count


def rate(text: str) -> Rate:
    """The rate of a text such as `20/1m`: a count and the duration that it holds for.

    Raises ValueError.
    """
    found = _RATE.fullmatch(text)
    if not found or len(found[1]) > 20:
        raise ValueError(f"expected {EXPECTED['rate']}")
    if not 0 < int(found[1]) <= LARGEST_COUNT:
        raise ValueError(f"the count of a rate is from 1 to {LARGEST_COUNT}")
    try:
        return Rate(int(found[1]), duration(found[2]))
    except ValueError as error:
        raise ValueError(f"expected {EXPECTED['rate']}") from error


PARSERS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {"duration": duration, "size": size, "rate": rate, "memory": memory}
)
"""By the `x-kind` of the schema."""

EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "duration": "a duration such as 500ms, 10s, 10m, 2h or 30d",
        "size": "a size such as 256KiB or 1MiB",
        "rate": "a rate such as 20/1m: a count and a duration",
        "memory": "an amount of memory such as 512MiB or 4GiB",
    }
)
"""What each parser takes, in words."""
