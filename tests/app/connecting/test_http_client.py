"""The client and the environment: proxies are used, and no password of a netrc file ever is."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.app.connecting.http_client import http_client
from sidecar.errors import ChannelUnavailable
from sidecar.hubclient.http import request
from tests.app.connecting.forward_proxy import forward_proxy
from tests.patience import PATIENCE

HUB = "hub.test"
"""No name server knows it: only a proxy finds it."""
LOGIN = "Basic " + b64encode(b"proxy-user:p@ss").decode()


class Hub:
    """A Hub that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []

    @asynccontextmanager
    async def serve(self, host: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Answer at an address; its port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        server = TestServer(app, host=host)
        await server.start_server(ssl=tls)
        try:
            yield server.port or 0
        finally:
            await server.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.path != "/ws":
            return web.json_response({})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("welcome")
        await socket.close()
        return socket

    def told(self, header: str = "Authorization") -> list[str | None]:
        return [one.headers.get(header) for one in self.asked]


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a password for every host, and an environment without proxies."""
    for name in ("http", "https", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    file = tmp_path / "netrc"
    file.write_text("default login alice password corporate\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of the Hub, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HUB)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HUB)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "hub.pem"
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(own + certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(file)
    return server, client


async def ask_all(http: ClientSession, hub: str, **how: Any) -> None:
    """A request with a token, one without, and a WebSocket."""
    for headers in ({"Authorization": "Bearer token"}, {}):
        async with http.get(f"{hub}/inbox", headers=headers, **how) as answer:
            assert answer.status == 200
    async with http.ws_connect(hub.replace("http", "ws") + "/ws", **how) as socket:
        assert await socket.receive_str() == "welcome"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize(("form", "login"), [("{}", None), ("http://proxy-user:p%40ss@{}", LOGIN)])
async def test_requests_and_sockets_take_the_proxy_and_carry_our_tokens_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, form: str, login: str | None
) -> None:
    hub = Hub()
    async with hub.serve("127.0.0.1") as port, forward_proxy("127.0.0.1", port) as proxy:
        monkeypatch.setenv(name, form.format(proxy.address))
        async with http_client() as http:
            await ask_all(http, f"http://{HUB}")
    assert hub.told() == ["Bearer token", None, None]
    assert hub.told("Proxy-Authorization") == [login] * 3  # which a proxy would have taken off


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_tls_goes_through_a_tunnel_that_alone_is_asked_for_with_the_proxys_password(
    monkeypatch: pytest.MonkeyPatch,
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
    name: str,
) -> None:
    hub, (server, client) = Hub(), certified
    async with hub.serve("127.0.0.1", server) as port, forward_proxy("127.0.0.1", port) as proxy:
        monkeypatch.setenv(name, f"http://proxy-user:p%40ss@{proxy.address}")
        async with http_client() as http:
            await ask_all(http, f"https://{HUB}", ssl=client)
    assert hub.told() == ["Bearer token", None, None]
    assert hub.told("Proxy-Authorization") == [None] * 3
    assert proxy.heads
    for head in proxy.heads:
        assert head.startswith(f"CONNECT {HUB}:443 ")
        assert f"\r\nProxy-Authorization: {LOGIN}\r\n" in head
        assert "Bearer" not in head


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("host", "spared"),
    [
        ("127.0.0.2", "other.test, 127.0.0.2"),
        ("127.0.0.2", "127.0.0.2:{port}"),
        ("127.0.0.2", ".0.2"),
        ("127.0.0.2", "*"),
        ("127.0.0.1", "other.test"),
    ],
)
async def test_what_no_proxy_spares_and_what_is_on_this_machine_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str, spared: str
) -> None:
    hub = Hub()
    async with hub.serve(host) as port, forward_proxy(host, port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv(name, spared.format(port=port))
        async with http_client() as http:
            await ask_all(http, f"http://{host}:{port}")
    assert hub.told() == ["Bearer token", None, None]
    assert proxy.heads == []


async def test_a_proxy_of_another_host_is_still_used(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    async with hub.serve("127.0.0.2") as port, forward_proxy("127.0.0.2", port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "other.test,127.0.0.2:1")
        async with http_client() as http:
            await ask_all(http, f"http://127.0.0.2:{port}")
    assert proxy.heads


async def test_without_a_proxy_no_netrc_is_read_either() -> None:
    hub = Hub()
    async with hub.serve("127.0.0.1") as port, http_client() as http:
        await ask_all(http, f"http://127.0.0.1:{port}")
    assert hub.told() == ["Bearer token", None, None]


async def test_a_proxy_that_refuses_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with forward_proxy("127.0.0.1", 0) as proxy:
        proxy.refuses = True
        monkeypatch.setenv("HTTPS_PROXY", f"http://proxy-user:pass-word@{proxy.address}")
        async with http_client() as http:
            with pytest.raises(ChannelUnavailable, match="407") as caught:
                await request(http, "GET", f"https://{HUB}/inbox", token="t", timeout=PATIENCE)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5://", "http://[", "http://:1/"])
async def test_what_is_no_proxy_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}proxy-user:pass-word@proxy")
    async with http_client() as http:
        told = "HTTPS_PROXY is no address of a proxy such as http://proxy:3128"
        with pytest.raises(ChannelUnavailable, match=told) as caught:
            await request(http, "GET", f"https://{HUB}/inbox", timeout=PATIENCE)
    assert "pass-word" not in str(caught.value)
