import asyncio
import time

from sidecar.channels import pacing
from sidecar.channels.pacing import Pacer
from sidecar.config.model import Rate

MANY = Rate(1000, 60.0)


async def passed(pacer: Pacer, *conversations: str) -> list[tuple[str, float]]:
    """The conversations in the order in which they passed, and when."""
    order = []
    started = time.monotonic()

    async def one(conversation: str) -> None:
        await pacer.pass_one(conversation)
        order.append((conversation, time.monotonic() - started))

    await asyncio.gather(*(one(conversation) for conversation in conversations))
    return order


async def test_messages_within_the_limits_do_not_wait() -> None:
    pacer = Pacer(Rate(20, 60.0), Rate(10, 60.0))
    order = await passed(pacer, *["a"] * 10, *["b"] * 10)
    assert order[-1][1] < 0.1


async def test_the_total_limit_holds_in_every_window() -> None:
    pacer = Pacer(Rate(3, 0.1), MANY, margin=0.0)
    times = [at for _, at in await passed(pacer, *(str(number) for number in range(10)))]
    for first, fourth in zip(times, times[3:], strict=False):
        assert fourth - first >= 0.099


async def test_a_busy_conversation_does_not_hold_up_others() -> None:
    pacer = Pacer(MANY, Rate(1, 0.1), margin=0.0)
    order = await passed(pacer, "a", "a", "a", "b")
    assert [conversation for conversation, _ in order] == ["a", "b", "a", "a"]
    assert order[1][1] < 0.09


async def test_conversations_take_turns_when_the_total_is_short() -> None:
    pacer = Pacer(Rate(1, 0.03), MANY, margin=0.0)
    order = [conversation for conversation, _ in await passed(pacer, *"aaaaa", "b")]
    assert order.index("b") <= 2


async def test_messages_of_one_conversation_keep_their_order() -> None:
    pacer = Pacer(Rate(2, 0.02), MANY, margin=0.0)
    done = []

    async def one(number: int) -> None:
        await pacer.pass_one("a")
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(8)))
    assert done == list(range(8))


async def test_a_refusal_stops_everybody_for_the_time_that_was_asked() -> None:
    pacer = Pacer(MANY, MANY)
    assert pacer.refused(0.1) == 0.1
    order = await passed(pacer, "a", "b")
    assert all(at >= 0.099 for _, at in order)


async def test_a_refusal_in_a_room_stops_that_room() -> None:
    pacer = Pacer(MANY, MANY)
    pacer.refused_in("a", 0.1)
    order = await passed(pacer, "a", "b")
    assert [conversation for conversation, _ in order] == ["b", "a"]


async def test_an_unexplained_refusal_is_waited_out_until_the_own_window_has_room() -> None:
    pacer = Pacer(Rate(2, 60.0), MANY, margin=0.0)
    await passed(pacer, "a", "b")
    assert 59 < pacer.refused(None) <= 60


async def test_one_who_gives_up_does_not_block_the_others() -> None:
    pacer = Pacer(Rate(1, 0.05), MANY, margin=0.0)
    await pacer.pass_one("a")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(pacer.pass_one("a"))
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(10):
        await pacer.pass_one("a")


async def test_conversations_of_long_ago_are_forgotten() -> None:
    pacer = Pacer(Rate(10**6, 0.001), Rate(1, 0.001), margin=0.0)
    for number in range(pacing.MOST_CONVERSATIONS * 2):
        await pacer.pass_one(str(number))
    assert len(pacer._windows) < pacing.MOST_CONVERSATIONS * 2
