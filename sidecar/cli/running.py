"""How a command finds the running sidecar of a config and asks it something."""

import http.client
import json
import socket
from typing import Any

from sidecar.config.model import Config
from sidecar.server import address

TIMEOUT = 5.0
"""Seconds until a sidecar that does not answer is given up."""
LONG_TIMEOUT = 300.0
"""The same for an answer that takes a check of the config, and maybe one more before it."""


class NotRunning(Exception):
    """No sidecar answers."""


class Refused(Exception):
    """A sidecar runs, and does not answer what was asked."""


def ask(config: Config, request: str, *, timeout: float = TIMEOUT) -> dict[str, Any]:
    """The answer to a request such as `GET /status`, from the sidecar of a config.

    Raises:
        NotRunning: nobody answers; the text tells why.
        Refused: another answer came; the text is it.
    """
    if config.server is None:
        raise NotRunning("`server` is null in the config: there is nobody to ask")
    failure = "no sidecar runs with this state folder"
    for place in address.find(config.state.dir):
        try:
            return _ask(place, config.server.token, request, timeout)
        except (ConnectionRefusedError, FileNotFoundError):
            failure = f"no sidecar runs: nobody answers at {place}, where the last one did"
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"{place}: {error}"
    raise NotRunning(failure)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)


def _ask(place: str, token: str, request: str, timeout: float) -> dict[str, Any]:
    connection: http.client.HTTPConnection
    if place.startswith("unix:"):
        connection = _UnixConnection(place.removeprefix("unix:"), timeout)
    else:
        host, _, port = place.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    method, _, path = request.partition(" ")
    try:
        headers = {"Authorization": f"Bearer {token}", address.OWN_HEADER: "1"}
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        told = body.decode(errors="replace").strip()
        refused = answer.status == http.client.CONFLICT  # which tells people why
        raise Refused(told if refused else f"{place}: {answer.status} {told}")
    found: dict[str, Any] = json.loads(body)
    return found
