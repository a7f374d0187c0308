"""What a command asks a running sidecar over HTTP."""

import http.client
import socket
from pathlib import Path

from sidecar.server.address import OWN_HEADER, find_token

CONNECT = 5.0
"""Seconds until a Unix socket that takes nobody is given up."""


class Refusal(Exception):
    """Another answer than 200: `status`, and as the text of this what was said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


def fetch(place: str, request: str, *, token: str = "", timeout: float = 5.0) -> bytes:
    """The answer to a request such as `GET /status` of whoever listens at an address, `host:port`
    or `unix:/path`. `timeout` is in seconds, for each step. Blocks.

    Raises:
        Refusal: another answer came.
        OSError: nobody answers.
        http.client.HTTPException: what came is no HTTP.
        ValueError: that is no address.
    """
    connection: http.client.HTTPConnection
    if place.startswith("unix:"):
        connection = _UnixConnection(place.removeprefix("unix:"), timeout)
    else:
        host, _, port = place.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    method, _, path = request.partition(" ")
    try:
        headers = {"Authorization": f"Bearer {token}", OWN_HEADER: "1"}
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Refusal(answer.status, body.decode(errors="replace").strip())
    return body


def fetch_from(
    state: Path, place: str, request: str, *, token: str = "", timeout: float = 5.0
) -> bytes:
    """The same of the sidecar that works with a state folder: with the token that is told there,
    and `token`, that of a config, where it wants another one than that."""
    for _ in range(2):  # while a new config takes effect, it changes
        if told := find_token(state):
            try:
                return fetch(place, request, token=told, timeout=timeout)
            except Refusal as refusal:
                if refusal.status != http.client.UNAUTHORIZED:
                    raise
    return fetch(place, request, token=token, timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT)
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)
