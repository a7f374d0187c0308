import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSServerHandshakeError

from sidecar.devhub import DevHub
from tests.patience import PATIENCE


async def open_socket(http: ClientSession, hub: DevHub, **headers: str) -> ClientWebSocketResponse:
    url = hub.chat_url.replace("/chat?", "/chat/ws?")
    return await http.ws_connect(url, headers={"Origin": hub.url, **headers})


async def until(socket: ClientWebSocketResponse, kind: str) -> Any:
    """The next frame of a kind."""
    while True:
        frame = json.loads((await asyncio.wait_for(socket.receive(), PATIENCE)).data)
        if frame["type"] == kind:
            return frame


@pytest.fixture
async def page(
    http: ClientSession, hub: DevHub, demo: Any
) -> AsyncIterator[ClientWebSocketResponse]:
    socket = await open_socket(http, hub)
    yield socket
    await socket.close()


@pytest.fixture
async def rooms(page: ClientWebSocketResponse) -> dict[str, str]:
    """The rooms that the page offers, by role."""
    return {place["role"]: place["room"] for place in (await until(page, "hello"))["places"]}


async def test_the_page_is_self_contained_and_allows_nothing_from_elsewhere(
    http: ClientSession, hub: DevHub
) -> None:
    async with http.get(hub.chat_url) as response:
        assert response.status == 200
        html = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    [nonce] = set(re.findall(r'nonce="([^"]+)"', html))
    assert f"script-src 'nonce-{nonce}'" in policy
    assert f"style-src 'nonce-{nonce}'" in policy
    assert not re.search(r"https?://|src=|@import|url\(", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", html)
    assert not re.search(r"\son\w+=|style=", html.partition("<script")[0])
    async with http.get(hub.chat_url) as response:
        assert nonce not in await response.text()


async def test_the_page_opens_with_its_key_and_on_this_machine_alone(
    http: ClientSession, hub: DevHub
) -> None:
    port = urlsplit(hub.url).port
    for url, host in (
        (f"{hub.url}/chat", f"127.0.0.1:{port}"),
        (f"{hub.url}/chat?key=wrong", f"127.0.0.1:{port}"),
        (f"{hub.url}/chat?key=%FF", f"127.0.0.1:{port}"),
        (hub.chat_url, f"evil.example:{port}"),
        (hub.chat_url, "127.0.0.1"),
        (hub.chat_url, f"127.0.0.1:{port}.evil.example"),
    ):
        async with http.get(url, headers={"Host": host}) as response:
            assert response.status == 403, (url, host)
    async with http.get(hub.chat_url, headers={"Host": f"localhost:{port}"}) as response:
        assert response.status == 200


async def test_the_socket_opens_for_the_page_alone(http: ClientSession, hub: DevHub) -> None:
    port = urlsplit(hub.url).port
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": f"http://127.0.0.1:{port}", "Host": f"evil.example:{port}"},
        {"Origin": f"http://evil.example:{port}", "Host": f"evil.example:{port}"},
    ):
        with pytest.raises(WSServerHandshakeError) as caught:
            await open_socket(http, hub, **headers)
        assert caught.value.status == 403
    for url in (f"{hub.url}/chat/ws", f"{hub.url}/chat/ws?key=x"):
        with pytest.raises(WSServerHandshakeError):
            await http.ws_connect(url, headers={"Origin": hub.url})
    with pytest.raises(WSServerHandshakeError):
        await http.ws_connect(hub.chat_url.replace("/chat?", "/chat/ws?"))
    socket = await open_socket(http, hub)
    assert (await until(socket, "hello"))["places"] == []
    await socket.close()


async def test_the_page_offers_the_owner_a_room_and_another_agent(
    page: ClientWebSocketResponse,
) -> None:
    places = (await until(page, "hello"))["places"]
    assert [(place["role"], place["title"]) for place in places] == [
        ("owner", "Demo"),
        ("human", "Team room"),
        ("agent", "Demo"),
    ]
    assert {place["agents"][0]["id"] for place in places} == {"ag_demo"}


async def test_agents_and_rooms_that_come_later_appear(
    hub: DevHub, page: ClientWebSocketResponse
) -> None:
    await until(page, "hello")
    await asyncio.to_thread(hub.add_agent, "ag_late", name="Late")
    async with asyncio.timeout(PATIENCE):
        while len(places := (await until(page, "hello"))["places"]) < 5:
            pass
    [room] = [place for place in places if place["role"] == "human"]
    assert [agent["name"] for agent in room["agents"]] == ["Demo", "Late"]
    own = hub.add_room("Own", [hub.add_person("Ann"), "ag_late"])
    async with asyncio.timeout(PATIENCE):
        while own not in {place["room"] for place in (await until(page, "hello"))["places"]}:
            pass


async def test_the_owner_sees_progress_and_the_reply(
    hub: DevHub, demo: Any, page: ClientWebSocketResponse, rooms: dict[str, str]
) -> None:
    room = rooms["owner"]
    await page.send_json({"type": "say", "room": room, "text": "list <b>files</b>"})
    said = await until(page, "post")
    assert (said["mine"], said["received"], said["text"]) == (True, False, "list <b>files</b>")
    [item] = await demo.inbox()
    trace = item["hub_msg_id"]
    assert (item["room_id"], item["source_type"]) == (room, "dashboard_user_chat")
    await demo.call("POST", "/hub/inbox/ack", {"message_ids": [trace]})
    assert (await until(page, "received"))["id"] == trace
    await demo.call("POST", "/hub/typing", {"room_id": room})
    assert (await until(page, "typing"))["name"] == "Demo"
    block = {"kind": "tool_call", "payload": {"name": "Bash", "params": {"command": "ls"}}}
    await demo.call("POST", "/hub/stream-block", {"trace_id": trace, "seq": 1, "block": block})
    assert await until(page, "block") == {
        "type": "block",
        "room": room,
        "trace": trace,
        "kind": "tool",
        "title": "Bash",
        "text": '{"command": "ls"}',
    }
    await demo.send(room, "two files", trace_id=trace)
    reply = await until(page, "post")
    assert (reply["mine"], reply["name"], reply["text"]) == (False, "Demo", "two files")
    assert (await until(page, "ended"))["trace"] == trace


async def test_a_page_that_opens_late_sees_what_was_said(
    http: ClientSession, hub: DevHub, demo: Any
) -> None:
    trace = hub.owner_says("ag_demo", "hi")
    block = {"kind": "thinking", "payload": {"label": "Thinking"}}
    await demo.call("POST", "/hub/stream-block", {"trace_id": trace, "seq": 1, "block": block})
    await demo.inbox()
    await demo.call("POST", "/hub/inbox/ack", {"message_ids": [trace]})
    socket = await open_socket(http, hub)
    owner = (await until(socket, "hello"))["places"][0]
    assert [(post["text"], post["received"]) for post in owner["posts"]] == [("hi", True)]
    assert [block["kind"] for block in owner["blocks"]] == ["thinking"]
    assert owner["open"] == [trace]
    await socket.close()


async def test_a_guest_can_mention_the_agent_in_a_room(
    demo: Any, page: ClientWebSocketResponse, rooms: dict[str, str]
) -> None:
    for text in ("hi all", "hi @demo!", "mail x@demo.org", "@ag_demo", "@all", "@demolition"):
        await page.send_json({"type": "say", "room": rooms["human"], "text": text})
        await until(page, "post")
    items = await demo.inbox()
    assert [item["mentioned"] for item in items] == [False, True, False, True, True, False]
    assert {item["source_user_name"] for item in items} == {"Guest"}


async def test_another_agent_writes_directly_and_gets_the_reply(
    demo: Any, page: ClientWebSocketResponse, rooms: dict[str, str]
) -> None:
    await page.send_json({"type": "say", "room": rooms["agent"], "text": "hello"})
    assert (await until(page, "post"))["mine"] is True
    [item] = await demo.inbox()
    assert (item["source_type"], item["mentioned"]) == ("agent", True)
    assert item["envelope"]["from"] == "ag_peer"
    await demo.send(item["room_id"], "hello yourself")
    assert (await until(page, "post"))["mine"] is False


async def test_the_page_sees_when_an_agent_comes_and_goes(
    demo: Any, page: ClientWebSocketResponse
) -> None:
    await until(page, "hello")
    socket = await demo.socket()
    assert await until(page, "presence") == {
        "type": "presence",
        "agent": "ag_demo",
        "online": True,
    }
    await socket.close()
    assert (await until(page, "presence"))["online"] is False


async def test_what_the_page_cannot_send_is_explained(
    hub: DevHub, page: ClientWebSocketResponse, rooms: dict[str, str]
) -> None:
    say = {"type": "say", "room": rooms["owner"], "text": "x"}
    for frame in (
        say | {"text": " "},
        say | {"text": "x" * 8001},
        say | {"room": "rm_unknown"},
        say | {"text": 5},
        {"type": "unknown"},
        [],
    ):
        await page.send_json(frame)
        assert (await until(page, "error"))["text"]
    await page.send_str("no json")
    assert (await until(page, "error"))["text"]
    assert hub.unacknowledged("ag_demo") == []


async def test_a_page_hears_that_the_hub_stops(hub: DevHub, page: ClientWebSocketResponse) -> None:
    await until(page, "hello")
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.stop())
        while not page.closed:
            await page.receive()
    assert page.close_code == 1012
