"""Counters, durations and states, by name and labels.

Counting costs a microsecond, in whatever thread; `sidecar.server.exposition` shows all of it to
Prometheus. Labels are few and bounded: a channel, a route, a reason; never a conversation or a
message.
"""

from bisect import bisect_left
from collections.abc import Mapping
from threading import RLock

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted."""

BUCKETS: tuple[float, ...] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BUCKETS += (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Upper bounds of durations, in seconds: from what a reply of a program takes to the longest turn
that makes sense."""
MOST_SERIES = 500
"""Combinations of labels that one name may have; all further ones are counted as `other`."""


class Durations:
    """How many durations fell into each bucket (the last one is without a bound), and their sum
    in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


# The garbage collector may end what counts while its own thread counts: hence one to enter again.
_lock = RLock()
_counts: dict[str, dict[Labels, float]] = {}
_durations: dict[str, dict[Labels, Durations]] = {}
_gauges: dict[str, dict[Labels, float]] = {}


def count(name: str, amount: float = 1, **labels: str) -> None:
    """Add to a counter, which is made by its first increment."""
    with _lock:
        series = _counts.setdefault(name, {})
        key = _key(labels, series)
        series[key] = series.get(key, 0) + amount


def observe(name: str, seconds: float, **labels: str) -> None:
    """Count a duration."""
    with _lock:
        series = _durations.setdefault(name, {})
        key = _key(labels, series)
        found = series.get(key)
        if found is None:
            found = series[key] = Durations()
        found.add(seconds)


def gauge(name: str, state: float, **labels: str) -> None:
    """Tell a state that only its owner knows."""
    with _lock:
        series = _gauges.setdefault(name, {})
        series[_key(labels, series)] = state


def value(name: str, **labels: str) -> float:
    """The present value of a counter; 0 for one that was never incremented."""
    with _lock:
        return _counts.get(name, {}).get(tuple(sorted(labels.items())), 0)


def gauges() -> Mapping[str, Mapping[Labels, float]]:
    """A copy of all states."""
    with _lock:
        return {name: dict(series) for name, series in _gauges.items()}


def counters() -> Mapping[str, Mapping[Labels, float]]:
    """A copy of all counters."""
    with _lock:
        return {name: dict(series) for name, series in _counts.items()}


def durations() -> Mapping[str, Mapping[Labels, tuple[tuple[int, ...], float]]]:
    """A copy of all durations: the counts of the buckets, and the sum."""
    with _lock:
        return {
            name: {key: (tuple(found.counts), found.total) for key, found in series.items()}
            for name, series in _durations.items()
        }


def snapshot() -> dict[str, float]:
    """All counters as `name{label="value"}` to value, sorted by name."""
    counted = counters()
    return {
        _text(name, labels): counted[name][labels]
        for name in sorted(counted)
        for labels in sorted(counted[name])
    }


def _key(labels: Mapping[str, str], series: Mapping[Labels, object]) -> Labels:
    key = tuple(sorted(labels.items()))
    if key in series or len(series) < MOST_SERIES:
        return key
    return tuple((name, "other") for name, _ in key)


def _text(name: str, labels: Labels) -> str:
    if not labels:
        return name
    inside = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{inside}}}"
