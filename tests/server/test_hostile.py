"""Whatever bytes come over a connection, they learn nothing, do nothing, and stop nobody else."""

import asyncio
import hmac
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.patience import PATIENCE
from tests.server.test_http import Rig, get

TOKEN = "s3cret"
REQUESTS = [
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic czNjcmV0\r\n\r\n",
    b"GET /status?token=s3cret HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /livez/../status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET //status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /-/plan?config=/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Sidecar: 1\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1:99999999999\r\n\r\n",
    b"GET /status HTTP/1.1\r\n\r\n",
    b"GET http://evil.example/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Sidecar: 1\r\nContent-Length: -1\r\n\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Sidecar: 1\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 5\r\n\r\nffffffffffffffff\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    b"\0" * 1000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    found = Rig()
    yield found
    for server in found.servers:
        await server.close()


async def ask(address: str, request: bytes) -> bytes:
    """The answer to these bytes; empty where the connection was closed without one."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        await writer.drain()
        with suppress(OSError):  # the connection was just closed: what came of it is read
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("number", range(len(REQUESTS)))
async def test_a_strange_request_is_refused(rig: Rig, number: int) -> None:
    address = (await rig.serve(token=TOKEN)).address
    answer = await ask(address, REQUESTS[number])
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), answer[:300]
    assert b"Traceback" not in answer
    assert rig.reloads == 0
    assert await get(f"http://{address}/livez") == (200, "ok\n")


async def test_bytes_in_any_order_are_no_way_in(rig: Rig) -> None:
    address = (await rig.serve(token=TOKEN)).address
    chance = random.Random(1)
    for _ in range(60):
        data = bytearray(chance.choice(REQUESTS[:15]))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        answer = await ask(address, bytes(data))
        assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), (data, answer[:300])
    assert rig.reloads == 0
    assert await get(f"http://{address}/livez") == (200, "ok\n")


async def test_every_token_is_compared_whole_in_constant_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared, digest = [], hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append({one, other})
        return digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    address = (await rig.serve(token=TOKEN)).address
    told = [TOKEN, TOKEN[:-1], "x" + TOKEN[1:], "x"]
    for token in told:
        status, _ = await get(f"http://{address}/status", Authorization=f"Bearer {token}")
        assert status == (200 if token == TOKEN else 401)
    assert compared == [{TOKEN.encode(), token.encode()} for token in told]
