import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.channels import pacing
from sidecar.channels.pacing import LATEST, Pacer
from sidecar.config.model import Rate
from sidecar.errors import ReplyHeld
from tests.patience import PATIENCE

MANY = Rate(1000, 60.0)


async def passed(
    pacer: Pacer, *conversations: str, begun: Callable[[], object] = lambda: None
) -> list[str]:
    """The conversations in the order in which they passed; `begun` is told when all have asked."""
    order = []

    async def one(conversation: str) -> None:
        await pacer.pass_one(conversation)
        order.append(conversation)

    passing = asyncio.gather(*(one(conversation) for conversation in conversations))
    asyncio.get_running_loop().call_soon(begun)
    await passing
    return order


class Clock:
    """The pacer's time, which a test sets."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "_now", lambda: clock.now)
    return clock


@pytest.fixture
async def go_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Lets the pacer's time go on, which stands still until then."""
    loop = asyncio.get_running_loop()
    stood = [loop.time()]
    monkeypatch.setattr(pacing, "_now", lambda: stood[0] if stood else loop.time())
    return stood.clear


async def held(pacer: Pacer, *conversations: str) -> list[float]:
    """Seconds for which a message of each has to wait, one after the other; 0 is passed."""
    waits = []
    for conversation in conversations:
        try:
            await pacer.pass_one(conversation)
        except ReplyHeld as error:
            waits.append(error.wait)
        else:
            waits.append(0.0)
    return waits


async def test_messages_within_the_limits_do_not_wait() -> None:
    pacer = Pacer(Rate(20, 3600.0), Rate(10, 3600.0))
    async with asyncio.timeout(PATIENCE):
        await passed(pacer, *["a"] * 10, *["b"] * 10)


async def test_the_total_limit_holds_in_every_window() -> None:
    pacer = Pacer(Rate(3, 0.1), MANY, margin=0.0)
    take, times = pacer._total.take, list[float]()
    pacer._total.take = lambda now: (times.append(now), take(now))  # type: ignore[assignment]
    assert len(await passed(pacer, *(str(number) for number in range(10)))) == len(times)
    for first, fourth in zip(times, times[3:], strict=False):
        assert fourth - first >= 0.099


async def test_a_busy_conversation_does_not_hold_up_others(go_on: Any) -> None:
    pacer = Pacer(MANY, Rate(1, 0.1), margin=0.0)
    assert await passed(pacer, "a", "a", "a", "b", begun=go_on) == ["a", "b", "a", "a"]


async def test_conversations_take_turns_when_the_total_is_short(go_on: Any) -> None:
    pacer = Pacer(Rate(1, 0.03), MANY, margin=0.0)
    assert (await passed(pacer, *"aaaaa", "b", begun=go_on)).index("b") <= 2


async def test_messages_of_one_conversation_keep_their_order() -> None:
    pacer = Pacer(Rate(2, 0.02), MANY, margin=0.0)
    done = []

    async def one(number: int) -> None:
        await pacer.pass_one("a")
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(8)))
    assert done == list(range(8))


async def test_a_refusal_stops_everybody_for_the_time_that_was_asked() -> None:
    pacer, began = Pacer(MANY, MANY), time.monotonic()
    assert pacer.refused(0.1) == 0.1
    for conversation in ("a", "b"):
        await pacer.pass_one(conversation)
        assert time.monotonic() - began >= 0.099


async def test_a_refusal_in_a_room_stops_that_room(go_on: Any) -> None:
    pacer = Pacer(MANY, MANY)
    pacer.refused_in("a", 0.1)
    assert await passed(pacer, "a", "b", begun=go_on) == ["b", "a"]


async def test_an_unexplained_refusal_is_waited_out_until_the_own_window_has_room() -> None:
    pacer, began = Pacer(Rate(2, 60.0), MANY, margin=0.0), time.monotonic()
    await passed(pacer, "a", "b")
    wait = pacer.refused(None)
    assert 59.9 - (time.monotonic() - began) < wait <= 60


async def test_one_who_gives_up_does_not_block_the_others() -> None:
    pacer = Pacer(Rate(1, 0.05), MANY, margin=0.0)
    await pacer.pass_one("a")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(pacer.pass_one("a"))
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(PATIENCE):
        await pacer.pass_one("a")


async def test_conversations_of_long_ago_are_forgotten() -> None:
    pacer = Pacer(Rate(10**6, 0.001), Rate(1, 0.001), margin=0.0)
    for number in range(pacing.MOST_CONVERSATIONS * 2):
        await pacer.pass_one(str(number))
    assert len(pacer._windows) < pacing.MOST_CONVERSATIONS * 2


async def test_who_waits_for_long_waits_elsewhere_and_keeps_the_turn(clock: Any) -> None:
    pacer = Pacer(Rate(2, 60.0), MANY, margin=0.0)
    assert await held(pacer, *"abcdef") == [0, 0, 60, 60, 120, 120]
    clock.now = 60.0
    assert await held(pacer, *"gfcaed") == [120, 60, 0, 120, 60, 0]
    clock.now = 120.0
    assert await held(pacer, *"agfe") == [60, 60, 0, 0]


async def test_who_does_not_come_back_loses_the_turn(clock: Any) -> None:
    pacer = Pacer(Rate(1, 60.0), MANY, margin=0.0)
    assert await held(pacer, *"abc") == [0, 60, 120]
    clock.now = 60.0
    assert await held(pacer, "c") == [60]
    clock.now = 60.0 + LATEST + 0.1
    assert await held(pacer, *"cb") == [0, 60]


async def test_who_has_no_room_in_its_own_conversation_holds_up_no_other(clock: Any) -> None:
    pacer = Pacer(Rate(1, 60.0), Rate(1, 600.0), margin=0.0)
    assert await held(pacer, *"aab") == [0, 600, 60]
    clock.now = 60.0
    pacer.refused_in("b", 30.0)
    assert await held(pacer, *"bc") == [30, 0]


async def test_who_is_told_to_wait_longer_keeps_the_turn(clock: Any) -> None:
    pacer = Pacer(Rate(1, 60.0), MANY, margin=0.0)
    assert await held(pacer, *"abc") == [0, 60, 120]
    pacer.refused(3600.0)
    assert await held(pacer, *"cb") == [3600, 3600]
    clock.now = 3600.0
    assert await held(pacer, *"cb") == [60, 0]


async def test_who_gives_up_leaves_the_line(clock: Any) -> None:
    pacer = Pacer(Rate(1, 0.9), MANY, margin=0.0)
    await pacer.pass_one("a")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(pacer.pass_one("b"))
        await asyncio.sleep(0)
        assert await held(pacer, "c") == [1.8]
        waiting.cancel()
    clock.now = 0.9
    assert await held(pacer, "c") == [0]
