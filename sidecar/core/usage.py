"""What the runs of a turn used, as their runtimes tell it.

The figures are added up for weeks, so one that no run can have must not be among them: it would
spoil every sum that it is a part of.
"""

from typing import TypeVar

from sidecar.model import Usage

MOST = 10**12
"""Tokens, or dollars, that no single run uses; so many sums of them stay in 64 bits."""

_Number = TypeVar("_Number", int, float)


def together(one: Usage | None, other: Usage | None) -> Usage | None:
    """What two runs used; what neither tells, or can have used, stays unknown."""
    if one is None or other is None:
        found = one or other
        return found and together(found, Usage())
    return Usage(
        _sum(one.input_tokens, other.input_tokens),
        _sum(one.output_tokens, other.output_tokens),
        _sum(one.cost_usd, other.cost_usd),
    )


def _sum(one: _Number | None, other: _Number | None) -> _Number | None:
    known = [value for value in (one, other) if value is not None and 0 <= value <= MOST]
    return sum(known[1:], known[0]) if known else None
