"""Counters of what happened, by name and labels.

A counter is made by its first increment. Labels are few and bounded: a channel, a route, a
reason; never a conversation or a message.
"""

from collections import Counter

_counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()


def count(name: str, amount: int = 1, **labels: str) -> None:
    """Add to a counter."""
    _counts[name, tuple(sorted(labels.items()))] += amount


def value(name: str, **labels: str) -> int:
    """The present value of a counter; 0 for one that was never incremented."""
    return _counts[name, tuple(sorted(labels.items()))]


def snapshot() -> dict[str, int]:
    """All counters as `name{label="value"}` to value, sorted by name."""
    return {_text(name, labels): _counts[name, labels] for name, labels in sorted(_counts)}


def _text(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return name
    inside = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{inside}}}"
