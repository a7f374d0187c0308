"""Sessions are left at their bounds, not before."""

import pytest

from sidecar.config.model import SessionBounds
from sidecar.core.rotation import bounds, worn


def test_a_session_without_bounds_is_kept() -> None:
    assert worn(SessionBounds(), turns=10**6, tokens=10**12, idle=1e9) is None


@pytest.mark.parametrize(
    ("turns", "tokens", "idle", "reached"),
    [
        (2, 99, 59.0, None),
        (3, 0, 0.0, "max_turns"),
        (0, 100, 0.0, "max_tokens"),
        (0, 0, 60.0, "idle"),
    ],
)
def test_a_session_is_left_at_each_of_its_bounds(
    turns: int, tokens: int, idle: float, reached: str | None
) -> None:
    limits = SessionBounds(max_turns=3, max_tokens=100, idle=60.0)
    assert worn(limits, turns=turns, tokens=tokens, idle=idle) == reached


def test_a_route_changes_single_bounds_of_its_runtime() -> None:
    runtime = SessionBounds(max_turns=3, idle=60.0)
    assert bounds(SessionBounds(max_turns=5), runtime) == SessionBounds(max_turns=5, idle=60.0)
    assert bounds(SessionBounds(), runtime) == runtime
