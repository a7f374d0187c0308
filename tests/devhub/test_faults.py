import asyncio
from typing import Any

import pytest
from aiohttp import ClientConnectionError, WSServerHandshakeError

from sidecar.devhub import DevHub
from tests.patience import PATIENCE


async def test_a_fault_happens_as_often_as_ordered(hub: DevHub, demo: Any) -> None:
    hub.add_agent("ag_peer")
    hub.faults.add("/hub/send", status=500, times=2)
    assert hub.faults.left == 2
    for _ in range(2):
        assert await demo.send("ag_peer") == (500, "Internal Server Error")
    assert (await demo.send("ag_peer"))[0] == 202
    assert (hub.faults.left, hub.requests["/hub/send"], len(hub.sent)) == (0, 3, 1)


async def test_faults_of_a_route_happen_in_order_and_can_be_cleared(demo: Any, hub: DevHub) -> None:
    hub.faults.add("/hub/inbox", status=503)
    hub.faults.add("/hub/inbox", status=429, code="rate_limit_exceeded")
    hub.faults.add("/hub/inbox", status=404, times=5)
    assert (await demo.call("GET", "/hub/inbox"))[0] == 503
    status, answer = await demo.call("GET", "/hub/inbox")
    assert (status, answer["code"]) == (429, "rate_limit_exceeded")
    assert "code" not in (await demo.call("GET", "/hub/inbox"))[1]
    hub.faults.clear()
    assert (await demo.call("GET", "/hub/inbox"))[0] == 200


async def test_a_fault_can_have_any_body_and_headers(hub: DevHub, demo: Any) -> None:
    headers = {"Retry-After": "1", "Content-Type": "text/html"}
    hub.faults.add("/hub/inbox/ack", status=502, body=b"<html>", headers=headers)
    async with await demo.raw("POST", "/hub/inbox/ack", {"message_ids": []}) as response:
        assert (response.status, await response.text()) == (502, "<html>")
        assert response.headers["Retry-After"] == "1"
    hub.faults.add("/hub/inbox", body=b"{", headers={"Content-Type": "application/json"})
    async with await demo.raw("GET", "/hub/inbox") as response:
        assert (response.status, await response.text()) == (200, "{")


async def test_a_connection_can_be_reset_before_or_after_the_work(hub: DevHub, demo: Any) -> None:
    hub.add_agent("ag_peer")
    hub.faults.add("/hub/send", reset=True)
    with pytest.raises(ClientConnectionError):
        await demo.send("ag_peer")
    assert hub.sent == []
    hub.faults.add("/hub/send", reset=True, after=True)
    with pytest.raises(ClientConnectionError):
        await demo.send("ag_peer")
    assert len(hub.sent) == 1


async def test_an_answer_can_be_late(hub: DevHub, demo: Any) -> None:
    hub.add_agent("ag_peer")
    hub.faults.add("/hub/send", delay=0.1, after=True)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(demo.send("ag_peer"))
        await hub.wait_sent(timeout=PATIENCE)
        assert not sending.done()
    assert sending.result()[0] == 202
    hub.faults.add("/hub/inbox", delay=5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(demo.call("GET", "/hub/inbox"), 0.05)


async def test_the_token_and_the_socket_can_fail_too(hub: DevHub, demo: Any) -> None:
    hub.faults.add("/registry/agents/{agent}/token/refresh", status=401, code="any_code")
    assert (await demo.refresh())[1]["code"] == "any_code"
    hub.faults.add("/hub/ws", status=502)
    with pytest.raises(WSServerHandshakeError) as caught:
        await demo.socket()
    assert caught.value.status == 502


async def test_a_fault_of_an_unknown_route_is_refused_at_once(hub: DevHub) -> None:
    with pytest.raises(ValueError, match="no such route"):
        hub.faults.add("/hub/sent", status=500)
