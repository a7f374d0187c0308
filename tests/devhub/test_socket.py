import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import WSMsgType

from sidecar.devhub import DevHub, HubLimits
from tests.patience import PATIENCE, until


async def ended(socket: Any) -> int | None:
    """The close code with which a socket ends."""
    while True:
        message = await asyncio.wait_for(socket.receive(), PATIENCE)
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            return int(socket.close_code)


async def test_a_token_opens_the_socket_and_mail_is_signalled_there(hub: DevHub, demo: Any) -> None:
    socket = await demo.socket()
    assert await socket.receive_json() == {"type": "auth_ok", "agent_id": "ag_demo"}
    assert (hub.connected("ag_demo"), hub.connects("ag_demo")) == (1, 1)
    hub.owner_says("ag_demo", "hi")
    assert await socket.receive_json() == {"type": "inbox_update"}
    await socket.send_json({"type": "ping"})
    assert await socket.receive_json() == {"type": "pong"}
    await socket.close()
    await until(lambda: not hub.connected("ag_demo"))


async def test_every_socket_of_an_agent_hears_of_mail(hub: DevHub, demo: Any) -> None:
    sockets = [await demo.socket() for _ in range(2)]
    for socket in sockets:
        await socket.receive_json()
    hub.owner_says("ag_demo", "hi")
    for socket in sockets:
        assert await socket.receive_json() == {"type": "inbox_update"}
    assert hub.connects("ag_demo") == 2


async def test_the_old_hub_tells_versions_when_it_lets_a_client_in(
    start_hub: Any, connect: Any
) -> None:
    client = await connect(await start_hub("0.1.1"))
    socket = await client.socket()
    assert (await socket.receive_json())["latest_plugin_version"] == "0.2.3"


@pytest.mark.parametrize("token", ["wrong", "", None])
async def test_a_wrong_or_missing_token_closes_the_socket_with_4001(demo: Any, token: Any) -> None:
    socket = await demo.socket(token)
    assert await ended(socket) == 4001


async def test_a_replaced_token_closes_a_new_socket_and_keeps_an_old_one(
    hub: DevHub, demo: Any
) -> None:
    socket = await demo.socket()
    await socket.receive_json()
    old = demo.token
    await demo.refresh()
    assert await ended(await demo.socket(old)) == 4001
    hub.owner_says("ag_demo", "hi")
    assert await socket.receive_json() == {"type": "inbox_update"}


async def test_who_does_not_authenticate_in_time_is_closed_with_4001(
    start_hub: Any, connect: Any
) -> None:
    client = await connect(await start_hub(limits=HubLimits(auth_timeout=0.05)))
    socket = await client.http.ws_connect(f"{client.url}/hub/ws")
    assert await ended(socket) == 4001


Later = Callable[[float], None]


@pytest.fixture
async def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Sets the clock of the event loop forward: nobody has to wait, however slow the machine is."""
    loop = asyncio.get_running_loop()
    now, ahead = loop.time, 0.0

    def forward(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: now() + ahead)
    return forward


async def test_a_silent_client_gets_heartbeats_and_is_closed_with_4002(
    start_hub: Any, connect: Any, later: Later
) -> None:
    limits = HubLimits(heartbeat=PATIENCE, idle=2.5 * PATIENCE)
    client = await connect(await start_hub(limits=limits))
    socket = await client.socket()
    assert (await socket.receive_json())["type"] == "auth_ok"
    for _ in range(2):
        later(PATIENCE)
        assert await socket.receive_json() == {"type": "heartbeat"}
    later(PATIENCE)
    assert await ended(socket) == 4002


async def test_pings_of_the_websocket_protocol_do_not_keep_a_client_alive(
    start_hub: Any, connect: Any
) -> None:
    client = await connect(await start_hub(limits=HubLimits(heartbeat=5.0, idle=0.2)))
    socket = await client.socket()
    await socket.receive_json()

    async def ping() -> None:
        while True:
            await socket.ping()
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        pinging = group.create_task(ping())
        assert await ended(socket) == 4002
        pinging.cancel()


async def test_json_frames_keep_a_client_alive(start_hub: Any, connect: Any, later: Later) -> None:
    limits = HubLimits(heartbeat=9 * PATIENCE, idle=2 * PATIENCE)
    client = await connect(await start_hub(limits=limits))
    socket = await client.socket()
    await socket.receive_json()
    for _ in range(4):
        later(PATIENCE)
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}


@pytest.mark.parametrize("frame", ["no json", "[1]", "5", b"bytes"])
async def test_a_frame_that_is_no_json_object_kills_the_connection(demo: Any, frame: Any) -> None:
    for welcomed in (True, False):
        socket = await demo.http.ws_connect(f"{demo.url}/hub/ws")
        if welcomed:
            await socket.send_json({"type": "auth", "token": demo.token})
            await socket.receive_json()
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        else:
            await socket.send_str(frame)
        assert await ended(socket) == 1006


@pytest.mark.parametrize("code", [1012, 4002, 1006])
async def test_sockets_can_be_dropped_with_any_code(hub: DevHub, demo: Any, code: int) -> None:
    socket = await demo.socket()
    await socket.receive_json()
    hub.drop_sockets(code, "ag_demo")
    assert await ended(socket) == code
    await until(lambda: not hub.connected("ag_demo"))


async def test_dropping_one_agents_sockets_leaves_the_others(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    other = await (await connect(hub, "ag_other")).socket()
    await other.receive_json()
    socket = await demo.socket()
    await socket.receive_json()
    hub.drop_sockets(agent="ag_demo")
    assert await ended(socket) == 1012
    assert hub.connected("ag_other") == 1


async def test_a_hub_that_stops_says_1012_and_can_start_again_with_its_state(
    hub: DevHub, demo: Any
) -> None:
    socket = await demo.socket()
    await socket.receive_json()
    stranger = await demo.http.ws_connect(f"{demo.url}/hub/ws")
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.stop())
        assert await ended(socket) == 1012
        assert await ended(stranger) == 1012
    hub.owner_says("ag_demo", "while you were away")
    await hub.start()  # at another port, for others may take the one that it had
    demo.url = hub.url
    assert [item["text"] for item in await demo.inbox()] == ["while you were away"]


async def test_a_silenced_hub_keeps_sockets_open_and_says_nothing(hub: DevHub, demo: Any) -> None:
    hub.faults.silence = True
    socket = await demo.socket()
    await until(lambda: hub.connected("ag_demo"))
    hub.owner_says("ag_demo", "hi")
    await socket.send_json({"type": "ping"})
    with pytest.raises(TimeoutError):
        await socket.receive(timeout=0.1)
    hub.faults.silence = False
    await socket.send_json({"type": "ping"})
    assert await socket.receive_json() == {"type": "pong"}
