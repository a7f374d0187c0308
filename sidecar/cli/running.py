"""How a command finds the running sidecar of a config and asks it something."""

import http.client
import json
from pathlib import Path
from typing import Any

from sidecar.config.model import Config
from sidecar.server import address
from sidecar.server.client import Refusal, fetch_from
from sidecar.store.lock import holder

TIMEOUT = 5.0
"""Seconds until a sidecar that does not answer is given up."""
LONG_TIMEOUT = 300.0
"""The same for an answer that takes a check of the config, and maybe one more before it."""

HINT = " (one that began with another `state.dir` is found by a config that names that)"
"""Added where none is found."""


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
    # One that still runs with the `server` that it began with can be asked.
    token = "" if config.server is None else config.server.token
    state = config.state.dir
    failure = NotRunning(f"no sidecar runs with the state folder {state}{HINT}")
    if config.server is None:
        failure = NotRunning("`server` is null in the config: there is nobody to ask")
    for folder in (state, state / address.DEVELOPMENT):
        # Where none runs, the address that a killed one left may be anybody's.
        process = _process(folder)
        place = "" if process is None else address.find(folder)
        if place:
            try:
                return _asked(folder, place, token, request, timeout)
            except NotRunning as error:
                failure = error
        elif process is not None and config.server is not None:
            told = "it just starts, or it began with `server: null`"
            failure = NotRunning(f"process {process} tells no address: {told}")
    raise failure


def rests(config: Config) -> bool:
    """Whether no sidecar works with the state folder."""
    try:
        return holder(config.state.dir) is None
    except OSError:
        return False


def _process(state: Path) -> int | None:
    """The process that works with a state folder. Raises NotRunning."""
    try:
        return holder(state)
    except OSError as error:
        told = f"the state folder {state} cannot be looked at: {error.strerror or error}"
        raise NotRunning(told) from error


def _asked(folder: Path, place: str, token: str, request: str, timeout: float) -> dict[str, Any]:
    """The answer of the sidecar at an address. Raises what `ask` does."""
    try:
        body = fetch_from(folder, place, request, token=token, timeout=timeout)
        found: dict[str, Any] = json.loads(body)
    except Refusal as refusal:
        told = str(refusal)
        refused = refusal.status == http.client.CONFLICT  # which tells people why
        raise Refused(told if refused else f"{place}: {refusal.status} {told}") from refusal
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRunning(f"a sidecar runs, and does not answer at {place}: {error}") from error
    return found
