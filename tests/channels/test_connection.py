import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from sidecar.channels.websocket import Limits
from sidecar.errors import ChannelStopped
from tests.patience import PATIENCE, until


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
        await until(lambda: channel.status.connection not in (None, first))
        assert channel.status.reconnects == 1
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])


async def test_a_broken_socket_is_opened_again(world: Any) -> None:
    async with world.running() as channel:
        transport = world.hub.sockets[0]._req.transport
        transport.abort()
        await until(lambda: channel.status.reconnects == 1)


async def test_whoever_has_something_to_send_is_told_that_the_hub_answers(world: Any) -> None:
    told: list[int] = []
    world.host = replace(world.host, reached=lambda: told.append(world.hub.handshakes))
    async with world.running():
        await world.hub.sockets[0].close()
        await until(lambda: told == [1, 2])


async def test_what_came_meanwhile_is_fetched_after_a_reconnect(world: Any) -> None:
    async with world.running() as channel:
        world.hub.inbox = {"h_1": world.item()}
        await world.hub.sockets[0].close()
        await until(lambda: world.hub.acked == ["h_1"])
        assert channel.status.reconnects == 1


@pytest.mark.parametrize("fault", [(500,), (403,), (200,), "mute", "hang", 4002, 1011])
async def test_a_login_that_does_not_succeed_is_tried_again(world: Any, fault: Any) -> None:
    # Where the Hub says nothing, one more may be given up that is just slow.
    short = {"mute": "login", "hang": "handshake"}.get(fault)
    limits = replace(world.fast.socket, **{short: 0.2} if short else {})
    world.hub.welcome.extend([fault, fault])
    async with world.running(replace(world.fast, socket=limits)) as channel:
        assert world.hub.handshakes == 3 or (short and world.hub.handshakes > 3)
        assert channel.status.reconnects == 0
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])


async def test_while_waiting_the_status_tells_why(world: Any) -> None:
    world.hub.welcome.extend([(503,)] * 100)
    channel = world.channel(replace(world.fast, first_wait=10.0, longest_wait=10.0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.run(world.kept))
        await until(lambda: channel.status.state == "waiting")
        assert "503" in channel.status.reason
        assert channel.status.connection is None
        task.cancel()


async def test_a_silent_hub_is_left_and_asked_anew(world: Any) -> None:
    limits = Limits(ping=0.02, silence=0.1, close=0.1)
    world.hub.welcome.append("deaf")
    pings = dict[str | None, int]()

    def most() -> int:
        """The pings of the connection that had most of them: this process may stand still, too."""
        connection = channel.status.connection
        pings.setdefault(connection, len(world.hub.frames))
        return len(world.hub.frames) - pings[connection]

    async with world.running(replace(world.fast, socket=limits)) as channel:
        await until(lambda: channel.status.reconnects)
        await until(lambda: channel.status.connection and most() > 15)
    assert {frame["type"] for frame in world.hub.frames} == {"ping"}


async def test_frames_that_make_no_sense_are_ignored(world: Any) -> None:
    async with world.running() as channel:
        connection = channel.status.connection
        for frame in ("{", "[]", '"x"', "", '{"type": []}', '{"type": "of_tomorrow"}', "[" * 9999):
            await world.hub.send(frame)
        await world.hub.sockets[0].send_bytes(b"\xff\x00")
        await world.hub.send({"type": "auth_ok"})
        await world.hub.push(world.item())
        await until(lambda: world.hub.acked == ["h_1"])
        assert channel.status.connection == connection


async def test_a_frame_beyond_all_bounds_costs_only_the_socket(world: Any) -> None:
    async with world.running() as channel:
        with suppress(ConnectionError):  # the Hub is cut off while it writes
            await world.hub.send("x" * (5 << 20))
        await until(lambda: channel.status.reconnects == 1)


async def test_a_token_that_ran_out_is_replaced_and_the_login_repeated_at_once(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["new"]
    async with world.running(replace(world.fast, first_wait=60.0, longest_wait=60.0)):
        assert world.hub.handshakes == 2
        assert len(world.hub.tokens) == 2


@pytest.mark.parametrize(("stable", "failures"), [(0.0, [0, 0, 0]), (PATIENCE, [0, 1, 2])])
async def test_a_socket_that_was_stable_makes_the_next_wait_short_again(
    world: Any, stable: float, failures: list[int]
) -> None:
    told: list[int] = []
    async with world.running(replace(world.fast, stable=stable)) as channel:
        connection = channel._parts.connection
        delay = connection._delay
        connection._delay = lambda failures: (told.append(failures), delay(failures))[1]
        for reconnects in range(1, 4):
            await world.hub.sockets[0].close(code=1012)
            await until(lambda: channel.status.reconnects == reconnects)  # noqa: B023 -- awaited here
    assert told == failures


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
            await until(lambda: channel.status.reconnects == reconnects)  # noqa: B023 -- awaited here
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
        await until(lambda: caplog.text.count("not connected") >= 3)
        task.cancel()
    assert "AAECAwQFBgc" not in caplog.text
