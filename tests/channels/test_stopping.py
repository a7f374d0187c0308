import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.patience import PATIENCE, until


async def stopped_cleanly(world: Any, reached: Any, accept: Any = None) -> None:
    """Run a channel until it has reached a place, stop it there, and look what is left."""
    channel = world.channel(replace(world.fast, first_wait=PATIENCE, longest_wait=PATIENCE))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run(accept or world.kept))
        await until(lambda: reached(channel))
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([task])
    assert task.cancelled()
    assert channel.status.state == "stopped"
    assert [left for left in asyncio.all_tasks() if left.get_name().startswith("channel:")] == []
    await until(lambda: world.hub.opened == 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/registry/agents/ag_ff73a0647bbc/token/refresh"),
        ("GET", "/hub/inbox"),
        ("POST", "/hub/inbox/ack"),
    ],
)
async def test_stopped_during_a_request_nothing_is_left(world: Any, method: str, path: str) -> None:
    reached = asyncio.Event()

    async def never(_: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    world.hub.script(path, never, method=method)
    world.hub.inbox = {"h_1": world.item()}
    await stopped_cleanly(world, lambda _: reached.is_set())


@pytest.mark.parametrize("place", ["hang", "mute"])
async def test_stopped_while_it_connects_no_socket_is_left(world: Any, place: str) -> None:
    world.hub.welcome.append(place)
    await stopped_cleanly(world, lambda _: world.hub.handshakes)


async def test_stopped_while_it_waits_for_the_next_try_nothing_is_left(world: Any) -> None:
    world.hub.welcome.append((503,))
    await stopped_cleanly(world, lambda channel: channel.status.state == "waiting")


async def test_stopped_while_messages_are_handed_over_none_is_acknowledged(world: Any) -> None:
    reached = asyncio.Event()

    async def never(_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    world.hub.inbox = {"h_1": world.item()}
    await stopped_cleanly(world, lambda _: reached.is_set(), never)
    assert world.hub.acked == []


async def test_a_defect_of_the_receiver_ends_the_channel_and_its_socket(world: Any) -> None:
    async def defect(_: Any) -> None:
        raise RuntimeError("a defect")

    world.hub.inbox = {"h_1": world.item()}
    channel = world.channel()
    with pytest.raises(RuntimeError, match="a defect"):
        await channel.run(defect)
    assert channel.status.reason == "a defect"
    await until(lambda: world.hub.opened == 0)


async def test_a_stopped_channel_closes_its_socket_in_order(world: Any) -> None:
    async with world.running():
        (socket,) = world.hub.sockets
    await until(lambda: world.hub.opened == 0)
    assert socket.close_code == 1000


async def test_a_channel_runs_again_after_it_was_stopped(world: Any) -> None:
    channel = world.channel()
    for number in (1, 2):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(channel.run(world.kept))
            await until(lambda: channel.status.state == "connected")
            await world.hub.push(world.item(f"h_{number}"))
            await until(lambda: f"h_{number}" in world.hub.acked)  # noqa: B023 -- awaited here
            task.cancel()
        await until(lambda: world.hub.opened == 0)
    await channel.close()
    assert world.kept.ids == ["h_1", "h_2"]
