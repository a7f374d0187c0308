"""How the work of a function grows with what it is given: by the time of the processor, relative
to that of less work, so that neither a slow machine nor others who work on it count."""

import time
from collections.abc import Callable

SMALL, LARGE = 1 << 14, 1 << 17
"""Characters; eight times as many."""


def seconds(work: Callable[[], object]) -> float:
    """The time of the processor that it takes: the least of some tries."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


def is_linear(
    work: Callable[[str], object],
    made: Callable[[int], str],
    small: int = SMALL,
    large: int = LARGE,
) -> bool:
    """Whether work on eight times the text takes about eight times as long; quadratic is 64 times.
    `made` makes a text of about so many characters."""
    less, more = made(small), made(large)
    return seconds(lambda: work(more)) < 24 * seconds(lambda: work(less)) + 0.002
