"""The HTTP client that all channels share, and how it comes through a proxy."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.request import getproxies_environment, proxy_bypass

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    DummyCookieJar,
    TCPConnector,
    hdrs,
)
from multidict import CIMultiDict
from yarl import URL

_NEAR = frozenset({"localhost", "127.0.0.1", "::1"})
"""A Hub on this machine, as the development Hub is, is behind no proxy."""


def http_client() -> ClientSession:
    """A client that keeps its connections for a while, and uses the proxy of the environment.

    It does not trust the environment as aiohttp understands that, for it would give hosts the
    passwords of a netrc file, in place of our tokens.
    """
    found = getproxies_environment()
    proxied = "http" in found or "https" in found
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=60),
        cookie_jar=DummyCookieJar(),
        middlewares=(_Proxies(found),) if proxied else (),
    )


class _Proxies:
    """Sends each request by the proxy that the environment names for it. A WebSocket goes the way
    of the HTTP that it begins as."""

    def __init__(self, found: Mapping[str, str]) -> None:
        """`found` has the variables, by what stands before `_proxy` in their names."""
        self._found = found

    async def __call__(self, request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        kind = "https" if request.is_ssl() else "http"
        if request.proxy is None and kind in self._found and not _is_spared(request.url):
            proxy = _parsed(self._found[kind])
            if proxy is None:  # never its text, which may hold a password
                name = f"{kind.upper()}_PROXY"
                raise ClientError(f"{name} is no address of a proxy such as http://proxy:3128")
            _lead(request, proxy)
        return await send(request)


def _lead(request: ClientRequest, proxy: URL) -> None:
    request.proxy = proxy.origin()  # messages tell it, so without the password
    if (login := _login(proxy)) is None:
        return
    if request.is_ssl():  # the tunnel is asked for with it
        request.proxy_headers = CIMultiDict({hdrs.PROXY_AUTHORIZATION: login})
    else:
        request.headers[hdrs.PROXY_AUTHORIZATION] = login


def _is_spared(url: URL) -> bool:
    return url.host in _NEAR or bool(proxy_bypass(f"{url.host}:{url.port}"))


def _parsed(text: str) -> URL | None:
    """The address of a proxy; None for what is none, or of a kind that is not supported."""
    try:
        url = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _login(proxy: URL) -> str | None:
    if proxy.user is None and proxy.password is None:
        return None
    login = f"{proxy.user or ''}:{proxy.password or ''}"
    return f"Basic {b64encode(login.encode()).decode()}"
