import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sidecar.channels.progress import Pace
from sidecar.model import Block, Conversation, Message, Sender
from tests.channels.scripted_hub import raw, reset, says
from tests.patience import PATIENCE, until

BLOCKS = "/hub/stream-block"


def message(**changes: Any) -> Message:
    given = {
        "channel": "ch",
        "account": "ag",
        "id": "h_1",
        "conversation": Conversation("rm_oc_1", "direct"),
        "sender": Sender("ag", "owner"),
        "text": "hi",
        "received_at": 0.0,
        "extra": {"trace_id": "h_1"},
        **changes,
    }
    return Message(**given)


def blocks(world: Any) -> list[Any]:
    return [seen.body["block"] for seen in world.hub.requests(BLOCKS)]


def with_pace(world: Any, **changes: float) -> Any:
    return replace(world.fast, progress=replace(world.fast.progress, **changes))


async def test_blocks_arrive_in_order_before_the_turn_is_closed(world: Any) -> None:
    progress = world.channel().progress(message())
    for number in range(30):
        progress.show(Block("tool_use", name=f"tool-{number}"))
    await progress.close(reply_follows=True)
    assert [block["payload"]["name"] for block in blocks(world)] == [
        f"tool-{number}" for number in range(30)
    ]
    assert [seen.body["seq"] for seen in world.hub.requests(BLOCKS)] == list(range(1, 31))
    assert {seen.body["trace_id"] for seen in world.hub.requests(BLOCKS)} == {"h_1"}
    assert world.hub.requests("/hub/stream-end") == []


async def test_the_end_is_told_when_no_reply_follows(world: Any) -> None:
    progress = world.channel().progress(message())
    progress.show(Block("assistant", "text"))
    await progress.close(reply_follows=False)
    assert [seen.path for seen in world.hub.seen][-1] == "/hub/stream-end"
    assert world.hub.requests("/hub/stream-end")[0].body == {"trace_id": "h_1"}


async def test_the_agent_types_from_the_start_until_the_end(world: Any) -> None:
    progress = world.channel(with_pace(world, typing=0.02)).progress(message())
    await until(lambda: len(world.hub.requests("/hub/typing")) >= 3)
    assert world.hub.requests("/hub/typing")[0].body == {"room_id": "rm_oc_1"}
    await progress.close(reply_follows=True)
    count = len(world.hub.requests("/hub/typing"))
    await asyncio.sleep(0.06)
    assert len(world.hub.requests("/hub/typing")) <= count + 1  # of one that was on its way


@pytest.mark.parametrize("facts", [{}, {"trace_id": None}, {"trace_id": ""}, {"trace_id": [1]}])
async def test_only_the_owner_is_shown_progress(world: Any, facts: Any) -> None:
    assert world.channel().progress(message(extra=facts)) is None


async def test_progress_can_be_switched_off(world: Any) -> None:
    assert world.channel(stream=False).progress(message()) is None


async def test_pieces_of_text_gather_between_posts(world: Any) -> None:
    progress = world.channel(with_pace(world, blocks=PATIENCE)).progress(message())
    progress.show(Block("assistant", "one ", partial=True))
    await until(lambda: blocks(world))
    for text in ("two ", "three ", "four"):
        progress.show(Block("assistant", text, partial=True))
        await asyncio.sleep(0.01)
    await progress.close(reply_follows=True)
    assert [block["payload"]["text"] for block in blocks(world)] == ["one ", "two three four"]


async def test_a_hub_that_refuses_blocks_is_left_in_peace(world: Any) -> None:
    world.hub.script(BLOCKS, *[says(500, "broken")] * 100)
    progress = world.channel().progress(message())
    for number in range(50):
        progress.show(Block("tool_use", name=f"tool-{number}"))
    await progress.close(reply_follows=True)
    assert len(blocks(world)) == 3


@pytest.mark.parametrize("fault", [reset, raw(500, b""), says(429, "slow_down")])
async def test_a_block_that_fails_does_not_stop_the_others(world: Any, fault: Any) -> None:
    world.hub.script(BLOCKS, fault)
    progress = world.channel().progress(message())
    for number in range(4):
        progress.show(Block("tool_use", name=f"tool-{number}"))
    await progress.close(reply_follows=True)
    assert [block["seq"] for block in blocks(world)] == [1, 2, 3, 4]


async def test_a_hub_that_hangs_holds_up_no_turn_for_longer_than_agreed(world: Any) -> None:
    async def never(_: Any) -> Any:
        await asyncio.Event().wait()

    world.hub.script(BLOCKS, never)
    world.hub.script("/hub/typing", never)
    # No request ends by itself: only the time agreed on is short.
    timing = replace(with_pace(world, close=0.1), short_request=3600.0)
    progress = world.channel(timing).progress(message())
    progress.show(Block("tool_use", name="tool"))
    await until(lambda: blocks(world))
    async with asyncio.timeout(PATIENCE):
        await progress.close(reply_follows=False)


async def test_progress_of_a_channel_that_cannot_work_harms_nothing(world: Any) -> None:
    world.credentials.unlink()
    progress = world.channel().progress(message())
    progress.show(Block("assistant", "text"))
    await progress.close(reply_follows=False)
    assert world.hub.seen == []


async def test_nothing_is_shown_after_the_end(world: Any) -> None:
    progress = world.channel().progress(message())
    await progress.close(reply_follows=True)
    progress.show(Block("assistant", "late"))
    await progress.close(reply_follows=True)
    assert blocks(world) == []


async def test_an_old_hub_without_typing_is_asked_once(world: Any) -> None:
    world.hub.script("/hub/typing", raw(405, b'{"detail": "Method Not Allowed"}'))
    channel = world.channel(with_pace(world, typing=0.01))
    progress = channel.progress(message())
    await until(lambda: world.hub.requests("/hub/typing"))
    await asyncio.sleep(0.05)
    await progress.close(reply_follows=True)
    assert len(world.hub.requests("/hub/typing")) == 1


def test_the_default_pace_keeps_to_five_posts_a_second() -> None:
    assert Pace().blocks >= 0.2
    assert Pace().close <= 5.0
