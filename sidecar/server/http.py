"""The HTTP server: is it alive, is it ready, how is it.

`/livez` answers while the event loop turns; `/readyz` answers 200 while what should be connected
is, else 503 with the reasons, and tells when what is saved is not in force, which is a reason too
for `/readyz?strict`; `/metrics` is what Prometheus reads, `/status` the whole picture as JSON.
`GET /-/plan?config=FILE` tells what a config would change, `POST /-/reload` applies the saved one:
both answer, as JSON, when it is done. `/events` tells what happens, and `acts` has what is asked
about single turns.
"""

import asyncio
import hmac
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from sidecar.server import acts, event_stream
from sidecar.server.address import OWN_HEADER

if TYPE_CHECKING:
    from sidecar.server.exposition import Gauge

log = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "sidecar",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer, also of a refusal: none is a page, and none is to be kept.
https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""


class Inside(Protocol):
    """The sidecar as the server sees it. All answers are JSON values."""

    async def picture(self) -> Mapping[str, object]:
        """How it is."""

    def gauges(self) -> "Iterable[Gauge]":
        """The states that a monitoring system asks for."""

    def not_ready(self) -> list[str]:
        """Why it is not ready; an empty list when it is."""

    def remarks(self) -> list[str]:
        """What a person has to do, though it is ready."""

    def degraded(self) -> str:
        """Why it works, but not with all that the config file holds; empty where it does."""

    async def plan(self, path: Path) -> Mapping[str, object]:
        """What would change if the config file held what this one holds."""

    async def reload(self) -> Mapping[str, object]:
        """What a reload led to."""

    def channel_states(self) -> Mapping[str, str]:
        """The state of each channel."""

    async def act(self, kind: str, verb: str, target: str) -> Mapping[str, object]:
        """Do one of `acts.ACTS`. Raises ActionRefused."""


class HttpServer:
    """Serves on `host:port` or `unix:/path`.

    What `token` tells at each request, where it is not empty, guards all but `/livez` and
    `/readyz`.
    """

    def __init__(self, listen: str, token: Callable[[], str], inside: Inside) -> None:
        self._listen = listen
        self._token = token
        self._inside = inside
        self._runner: web.AppRunner | None = None
        self._socket: os.stat_result | None = None
        self.address = ""

    async def start(self) -> None:
        """Listen; `address` is then the address, with the real port.

        Raises:
            OSError: the address is in use or cannot be used.
        """
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/status", self._status)
        app.router.add_get("/-/plan", self._plan)
        app.router.add_post("/-/reload", self._reload)
        event_stream.add_route(app, self._inside.channel_states, self._check_token)
        acts.add_routes(app, self._inside.act, self._check_work)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            self.address = await self._site(runner)
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            if self._socket is not None:
                await asyncio.to_thread(_remove, self._path, self._socket)

    @property
    def _path(self) -> Path:
        return Path(self._listen.removeprefix("unix:"))

    async def _site(self, runner: web.AppRunner) -> str:
        if self._listen.startswith("unix:"):
            await web.UnixSite(runner, self._path).start()
            await asyncio.to_thread(self._path.chmod, 0o600)
            self._socket = await asyncio.to_thread(self._path.stat)
            return self._listen
        host, _, port = self._listen.rpartition(":")
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        bound = runner.addresses[0]
        return f"{host}:{bound[1]}"

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # A page in a browser may have its name point here; it cannot forge these two headers.
        if "Origin" in request.headers or not self._is_our_name(request):
            raise web.HTTPForbidden(text="not for browsers\n")
        return await handler(request)

    def _is_our_name(self, request: web.Request) -> bool:
        host, _, _ = self._listen.rpartition(":")
        if self._listen.startswith("unix:") or not _is_loopback(host):
            return True
        try:
            return _is_loopback(request.url.host or "")
        except ValueError:  # a `Host` that is none
            return False

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons, notes = [*self._inside.not_ready()], [*self._inside.remarks()]
        if degraded := self._inside.degraded():
            (reasons if "strict" in request.query else notes).append(f"degraded: {degraded}")
        text = "".join(f"{line}\n" for line in [*(reasons or ["ok"]), *notes])
        return web.Response(text=text, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        self._check_token(request)
        # A sidecar that nobody scrapes does without the megabytes of this.
        from sidecar.server.exposition import CONTENT_TYPE, Figures, render

        figures = Figures.now(self._inside.gauges())
        body = await asyncio.to_thread(render, figures)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, request: web.Request) -> web.Response:
        self._check_token(request)
        return web.json_response(await self._inside.picture(), dumps=_dumps)

    async def _plan(self, request: web.Request) -> web.Response:
        self._check_work(request)
        path = Path(request.query.get("config", ""))
        if not path.is_absolute() or "\0" in str(path):
            raise web.HTTPBadRequest(text="tell the absolute path of a file as ?config=\n")
        return web.json_response(await self._inside.plan(path), dumps=_dumps)

    async def _reload(self, request: web.Request) -> web.Response:
        self._check_work(request)
        return web.json_response(await self._inside.reload(), dumps=_dumps)

    def _check_work(self, request: web.Request) -> None:
        self._check_token(request)
        if OWN_HEADER not in request.headers:
            raise web.HTTPForbidden(text=f"send the header {OWN_HEADER}: 1\n")

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        # Bytes that are no UTF-8 are lone surrogates in a header.
        sent = given.encode("utf-8", "surrogateescape")
        token = self._token()
        if token and not hmac.compare_digest(sent, token.encode()):
            raise web.HTTPUnauthorized(text="give the token of the config as a bearer token\n")


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _dumps(picture: object) -> str:
    return json.dumps(picture, default=str)


def _remove(path: Path, socket: os.stat_result) -> None:
    """Remove a socket that we made, as Python does from 3.13 on; another may be there now."""
    with suppress(OSError):  # one that stays is replaced by the next start
        if os.path.samestat(path.stat(), socket):
            path.unlink()


def _is_loopback(host: str) -> bool:
    name = host.strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
