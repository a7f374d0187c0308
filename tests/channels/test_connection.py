import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from sidecar.channels.websocket import Limits
from sidecar.errors import ChannelStopped


async def test_a_connected_channel_tells_since_when_and_by_which_connection(world: Any) -> None:
    channel = world.channel()
    assert channel.status.state == "starting"
    async with world.running() as channel:
        status = channel.status
        assert (status.state, status.reason, status.reconnects) == ("connected", "", 0)
        assert status.connection
        assert channel.account == world.agent
        assert channel.max_text is None
    assert channel.status.state == "stopped"
    assert channel.status.connection is None


@pytest.mark.parametrize("code", [1000, 1001, 1012, 4002, 4999])
async def test_a_closed_socket_is_opened_again_as_another_connection(world: Any, code: int) -> None:
    async with world.running() as channel:
        first = channel.status.connection
        await world.hub.sockets[0].close(code=code)
        await world.until(lambda: channel.status.connection not in (None, first))
        assert channel.status.reconnects == 1
        await world.hub.push(world.item())
        await world.until(lambda: world.hub.acked == ["h_1"])


async def test_a_broken_socket_is_opened_again(world: Any) -> None:
    async with world.running() as channel:
        transport = world.hub.sockets[0]._req.transport
        transport.abort()
        await world.until(lambda: channel.status.reconnects == 1)


async def test_whoever_has_something_to_send_is_told_that_the_hub_answers(world: Any) -> None:
    told: list[int] = []
    world.host = replace(world.host, reached=lambda: told.append(world.hub.handshakes))
    async with world.running():
        await world.hub.sockets[0].close()
        await world.until(lambda: told == [1, 2])


async def test_what_came_meanwhile_is_fetched_after_a_reconnect(world: Any) -> None:
    async with world.running() as channel:
        world.hub.inbox = {"h_1": world.item()}
        await world.hub.sockets[0].close()
        await world.until(lambda: world.hub.acked == ["h_1"])
        assert channel.status.reconnects == 1


@pytest.mark.parametrize("fault", [(500,), (403,), (200,), "mute", "hang", 4002, 1011])
async def test_a_login_that_does_not_succeed_is_tried_again(world: Any, fault: Any) -> None:
    limits = Limits(handshake=0.2, login=0.2, close=0.1)
    world.hub.welcome.extend([fault, fault])
    async with world.running(replace(world.fast, socket=limits)) as channel:
        assert world.hub.handshakes == 3
        assert channel.status.reconnects == 0
        await world.hub.push(world.item())
        await world.until(lambda: world.hub.acked == ["h_1"])


async def test_while_waiting_the_status_tells_why(world: Any) -> None:
    world.hub.welcome.extend([(503,)] * 100)
    channel = world.channel(replace(world.fast, first_wait=10.0, longest_wait=10.0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run(world.kept))
        await world.until(lambda: channel.status.state == "waiting")
        assert "503" in channel.status.reason
        assert channel.status.connection is None
        task.cancel()


async def test_a_silent_hub_is_left_and_asked_anew(world: Any) -> None:
    limits = Limits(ping=0.02, silence=0.1, close=0.1)
    world.hub.welcome.append("deaf")
    async with world.running(replace(world.fast, socket=limits)) as channel:
        await world.until(lambda: channel.status.reconnects == 1)
        connection = channel.status.connection
        await world.until(lambda: len(world.hub.frames) > 15)
        assert channel.status.connection == connection
    assert {frame["type"] for frame in world.hub.frames} == {"ping"}


async def test_frames_that_make_no_sense_are_ignored(world: Any) -> None:
    async with world.running() as channel:
        connection = channel.status.connection
        for frame in ("{", "[]", '"x"', "", '{"type": []}', '{"type": "of_tomorrow"}', "[" * 9999):
            await world.hub.send(frame)
        await world.hub.sockets[0].send_bytes(b"\xff\x00")
        await world.hub.send({"type": "auth_ok"})
        await world.hub.push(world.item())
        await world.until(lambda: world.hub.acked == ["h_1"])
        assert channel.status.connection == connection


async def test_a_frame_beyond_all_bounds_costs_only_the_socket(world: Any) -> None:
    async with world.running() as channel:
        with suppress(ConnectionError):  # the Hub is cut off while it writes
            await world.hub.send("x" * (5 << 20))
        await world.until(lambda: channel.status.reconnects == 1)


async def test_a_token_that_ran_out_is_replaced_and_the_login_repeated_at_once(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["new"]
    async with world.running(replace(world.fast, first_wait=60.0, longest_wait=60.0)):
        assert world.hub.handshakes == 2
        assert len(world.hub.tokens) == 2


async def test_five_refused_logins_in_a_row_stop_the_channel(world: Any) -> None:
    world.hub.welcome.extend([4001] * 10)
    channel = world.channel()
    error = await world.ending(channel)
    assert isinstance(error, ChannelStopped)
    assert world.hub.handshakes == 5
    assert channel.status.state == "stopped"


async def test_logins_that_are_refused_now_and_then_do_not_stop_the_channel(world: Any) -> None:
    async with world.running() as channel:
        for reconnects in range(1, 4):
            world.hub.welcome.extend([4001, 4001])
            await world.hub.sockets[0].close(code=4001)
            await world.until(lambda: channel.status.reconnects == reconnects)  # noqa: B023 -- awaited here
        assert channel.status.state == "connected"


async def test_a_hub_that_does_not_take_such_clients_stops_the_channel(world: Any) -> None:
    world.hub.welcome.append(4010)
    error = await world.ending(world.channel())
    assert isinstance(error, ChannelStopped)
    assert world.hub.handshakes == 1


async def test_an_unreachable_hub_is_tried_again_and_no_key_is_logged(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = world.channel(hub_url="http://127.0.0.1:9")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run(world.kept))
        await world.until(lambda: caplog.text.count("not connected") >= 3)
        task.cancel()
    assert "AAECAwQFBgc" not in caplog.text
