"""A task that never has to wait lets others go on."""

import asyncio
from collections.abc import Callable

import pytest

from sidecar.runtimes.processes import slices
from sidecar.runtimes.processes.slices import Slice

Work = Callable[[float], None]


@pytest.fixture
async def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """What takes so many seconds, and nothing else does, by the clock of the event loop."""
    now = 0.0

    def take(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    return take


async def steps(work: Work, done: list[int], count: int) -> None:
    for number in range(count):
        work(2 * slices.QUIET)
        done.append(number)
        await asyncio.sleep(0)


async def test_what_takes_several_steps_is_done_when_the_time_of_another_is_over(
    work: Work,
) -> None:
    share, done = Slice(), list[int]()
    other = asyncio.ensure_future(steps(work, done, 4))  # noqa: TID251 -- a test's own
    work(2 * slices.LONGEST)
    await share.give_way()
    assert done == [0, 1, 2, 3]
    await other


async def test_who_gives_way_gets_on_also_beside_one_that_always_has_something_to_do(
    work: Work,
) -> None:
    share, done = Slice(), list[int]()
    other = asyncio.ensure_future(steps(work, done, 1000))  # noqa: TID251 -- a test's own
    work(2 * slices.LONGEST)
    await share.give_way()
    assert len(done) == slices.MOST_ROUNDS
    other.cancel()


async def test_what_was_waited_for_counts_for_nobody(work: Work) -> None:
    share, done = Slice(), list[int]()
    other = asyncio.ensure_future(steps(work, done, 4))  # noqa: TID251 -- a test's own
    share.pause()
    work(4 * slices.LONGEST)  # as if others had had this time
    share.resume()
    await share.give_way()
    assert done == []
    await other
