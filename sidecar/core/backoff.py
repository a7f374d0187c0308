"""How long to wait before the next try."""

from collections.abc import Callable


def delay(attempt: int, *, first: float, most: float, random: Callable[[], float]) -> float:
    """Seconds before try number `attempt` + 1: doubling from `first` up to `most`, with jitter.

    `random` gives numbers from 0 to 1; the result lies between half of the full delay and all of
    it, so that many that failed together do not come back together.
    """
    full = min(most, first * 2.0 ** min(attempt, 32))
    return full * (0.5 + 0.5 * random())
