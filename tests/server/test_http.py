import asyncio
import json
import stat
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, UnixConnector

from sidecar.errors import ActionRefused
from sidecar.server import address
from sidecar.server.acts import ACTS
from sidecar.server.http import HttpServer
from tests.patience import PATIENCE


class Rig:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.shortfall = ""
        self.token = ""
        self.reloads = 0
        self.servers: list[HttpServer] = []

    async def serve(self, listen: str = "127.0.0.1:0", token: str = "") -> HttpServer:
        server = HttpServer(listen, lambda: self.token or token, self)
        await server.start()
        self.servers.append(server)
        return server

    async def picture(self) -> dict[str, Any]:
        return {"version": "x", "path": Path("/p")}

    def gauges(self) -> list[tuple[str, dict[str, str], float]]:
        return [("channel_connected", {"channel": "demo"}, 1.0)]

    def channel_states(self) -> dict[str, str]:
        return {}

    def not_ready(self) -> list[str]:
        return self.reasons

    def remarks(self) -> list[str]:
        return []

    def degraded(self) -> str:
        return self.shortfall

    async def plan(self, path: Path) -> dict[str, Any]:
        return {"plan": str(path)}

    async def reload(self) -> dict[str, Any]:
        self.reloads += 1
        return {"result": "applied"}

    async def act(self, kind: str, verb: str, target: str) -> dict[str, Any]:
        if target == "gone":
            raise ActionRefused("there is no such thing")
        return {"did": [kind, verb, target]}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    found = Rig()
    yield found
    for server in found.servers:
        await server.close()


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_it_is_alive_and_ready_until_there_is_a_reason_not_to_be(rig: Rig) -> None:
    url = f"http://{(await rig.serve()).address}"
    assert await get(f"{url}/livez") == (200, "ok\n")
    assert await get(f"{url}/readyz") == (200, "ok\n")
    rig.reasons = ["channel demo: stopped: revoked"]
    assert await get(f"{url}/readyz") == (503, "channel demo: stopped: revoked\n")
    assert await get(f"{url}/livez") == (200, "ok\n")


async def test_it_stays_ready_with_an_earlier_config_and_says_so(rig: Rig) -> None:
    url = f"http://{(await rig.serve()).address}"
    rig.shortfall = "the saved config is in force in part: channel x: does not start"
    status, text = await get(f"{url}/readyz")
    assert status == 200
    assert text == f"ok\ndegraded: {rig.shortfall}\n"
    assert await get(f"{url}/readyz?strict") == (503, f"degraded: {rig.shortfall}\n")
    rig.shortfall = ""
    assert await get(f"{url}/readyz?strict") == (200, "ok\n")


async def test_a_loop_that_is_stuck_fails_liveness(rig: Rig) -> None:
    started: Future[tuple[asyncio.AbstractEventLoop, HttpServer, asyncio.Event]] = Future()
    free = threading.Event()

    async def serve() -> None:
        server, end = HttpServer("127.0.0.1:0", str, rig), asyncio.Event()
        await server.start()
        started.set_result((asyncio.get_running_loop(), server, end))
        await end.wait()
        await server.close()

    other = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    other.start()
    loop, server, end = await asyncio.wrap_future(started)
    url = f"http://{server.address}/livez"
    assert await get(url) == (200, "ok\n")
    loop.call_soon_threadsafe(free.wait)
    async with ClientSession(timeout=ClientTimeout(0.3)) as http:
        with pytest.raises(TimeoutError):
            await http.get(url)
    free.set()
    assert await get(url) == (200, "ok\n")
    loop.call_soon_threadsafe(end.set)
    await asyncio.to_thread(other.join)


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/status", 401), ("/events", 401), ("/none", 404)]
)
async def test_no_answer_is_kept_guessed_at_or_framed(rig: Rig, path: str, status: int) -> None:
    url = f"http://{(await rig.serve(token='s3cret')).address}{path}"
    async with ClientSession() as http, http.get(url) as answer:
        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Server"] == "sidecar"


async def test_status_is_json_and_wants_the_token_where_there_is_one(rig: Rig) -> None:
    open_url = f"http://{(await rig.serve()).address}/status"
    assert await get(open_url) == (200, '{"version": "x", "path": "/p"}')
    guarded = f"http://{(await rig.serve(token='s3cret')).address}/status"
    assert (await get(guarded))[0] == 401
    assert (await get(guarded, Authorization="Bearer wrong"))[0] == 401
    assert (await get(guarded, Authorization="Bearer s3cret"))[0] == 200
    rig.token = "another"
    assert (await get(guarded, Authorization="Bearer s3cret"))[0] == 401
    assert (await get(guarded, Authorization="Bearer another"))[0] == 200


async def test_a_page_of_another_site_cannot_read_it(rig: Rig) -> None:
    url = f"http://{(await rig.serve()).address}/status"
    assert (await get(url, Host="evil.example"))[0] == 403
    assert (await get(url, Origin="http://evil.example"))[0] == 403
    assert (await get(url, Host="localhost"))[0] == 200


async def post(url: str, **headers: str) -> tuple[int, str]:
    async with ClientSession() as http, http.post(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_a_reload_is_answered_when_it_is_done_and_a_page_cannot_cause_one(rig: Rig) -> None:
    url = f"http://{(await rig.serve()).address}/-/reload"
    own = {"X-Sidecar": "1"}
    assert (await get(url, **own))[0] == 405
    assert (await post(url))[0] == 403
    assert (await post(url, **own, Origin="http://evil.example"))[0] == 403
    assert (await post(url, **own, Host="evil.example"))[0] == 403
    assert rig.reloads == 0
    assert await post(url, **own) == (200, '{"result": "applied"}')
    assert rig.reloads == 1


async def test_work_wants_the_token_where_there_is_one(rig: Rig) -> None:
    base = f"http://{(await rig.serve(token='s3cret')).address}/-"
    given = {"X-Sidecar": "1", "Authorization": "Bearer s3cret"}
    assert (await post(f"{base}/reload", **{"X-Sidecar": "1"}))[0] == 401
    assert (await get(f"{base}/plan?config=/c", **{"X-Sidecar": "1"}))[0] == 401
    assert rig.reloads == 0
    assert (await post(f"{base}/reload", **given))[0] == 200
    assert await get(f"{base}/plan?config=/a%20b", **given) == (200, '{"plan": "/a b"}')
    for wrong in ("", "?config=", "?config=b", "?config=/%00"):
        assert (await get(f"{base}/plan{wrong}", **given))[0] == 400


async def test_turns_sessions_and_replies_are_acted_on_by_those_who_may(rig: Rig) -> None:
    base = f"http://{(await rig.serve(token='s3cret')).address}/-"
    own = {"X-Sidecar": "1"}
    given = {**own, "Authorization": "Bearer s3cret"}
    for kind, verb in ACTS:
        url = f"{base}/{kind}/rm%2F1%20x/{verb}"
        assert (await post(url, **own))[0] == 401
        assert (await post(url, Authorization="Bearer s3cret"))[0] == 403
        status, text = await post(url, **given)
        assert (status, json.loads(text)) == (200, {"did": [kind, verb, "rm/1 x"]})
    assert await post(f"{base}/turns/gone/retry", **given) == (409, "there is no such thing\n")
    assert (await post(f"{base}/turns/t/forget", **given))[0] == 404
    assert (await get(f"{base}/turns/t/cancel", **given))[0] == 405


async def test_a_socket_file_is_for_its_owner_only_and_goes_with_its_server(
    rig: Rig, tmp_path: Path
) -> None:
    file = tmp_path / "s.sock"
    server = await rig.serve(f"unix:{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with (
        ClientSession(connector=UnixConnector(str(file))) as http,
        http.get("http://localhost/livez") as answer,
    ):
        assert await answer.text() == "ok\n"
    await server.close()
    assert not file.exists()
    server = await rig.serve(f"unix:{file}")
    other = tmp_path / "other"
    other.touch()
    other.replace(file)
    await server.close()
    assert file.exists()  # it is somebody else's


async def test_an_address_in_use_is_an_error_that_leaves_nothing_open(rig: Rig) -> None:
    taken = (await rig.serve()).address
    with pytest.raises(OSError, match="address already in use"):
        await rig.serve(taken)


def test_the_address_is_told_and_taken_back(tmp_path: Path) -> None:
    address.write(tmp_path, "127.0.0.1:1")
    assert address.find(tmp_path) == "127.0.0.1:1"
    address.remove(tmp_path)
    address.remove(tmp_path)
    assert address.find(tmp_path) == ""


async def test_metrics_need_the_token_and_are_read_by_prometheus(rig: Rig) -> None:
    url = f"http://{(await rig.serve(token='secret')).address}/metrics"
    assert (await get(url))[0] == 401
    status, text = await get(url, Authorization="Bearer secret")
    assert status == 200
    assert 'sidecar_channel_connected{channel="demo"} 1.0' in text.splitlines()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Host: localhost\r\nAuthorization: Bearer \xff", b"401"),
        (b"Host: \xff", b"403"),
        (b"Host: localhost:99999", b"403"),
    ],
)
async def test_headers_that_are_no_text_are_refused_as_others_are(
    rig: Rig, head: bytes, status: bytes
) -> None:
    server = await rig.serve(token="secret")
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /status HTTP/1.1\r\n" + head + b"\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
    assert answer.split()[1] == status
