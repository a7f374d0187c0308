"""`sidecar login`: let a person's Hub steer this machine."""

import argparse
import asyncio
import itertools
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.qr import qr_code
from sidecar.config.model import LOGIN_FILE
from sidecar.errors import SidecarError

if TYPE_CHECKING:
    from sidecar.control.device import Invitation
    from sidecar.control.login import Login

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--hub", metavar="URL", help="the Hub (default: that of the last login)")
    parser.add_argument("--label", help="a name for this machine, to tell it from others")
    parser.add_argument(
        "--install-token",
        metavar="TOKEN",
        help="log in without a browser, with a token from the Hub's pages; - reads it from input",
    )
    add_file(parser)


def add_file(parser: argparse.ArgumentParser) -> None:
    """Describe where the login is."""
    parser.add_argument(
        "--file",
        type=Path,
        default=Path(LOGIN_FILE),
        metavar="FILE",
        help=f"where the login is kept, as control_plane.credentials tells (default: {LOGIN_FILE})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Return 0 when somebody has logged in; 1 when not; 2 for an address that is none."""
    from sidecar.codecs.hub.botcord import hub_url
    from sidecar.control import login as logins

    path = arguments.file.expanduser()
    if arguments.install_token is None and not sys.stderr.isatty():
        print(
            "sidecar: no terminal to show a code at. Log in on another machine and mount its"
            f" {LOGIN_FILE} at {path}, writable and with mode 600; or use --install-token.",
            file=sys.stderr,
        )
        return 1
    try:
        hub = hub_url(arguments.hub or _last_hub(path))
    except ValueError as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 2
    try:
        logins.prepare(path)  # an install token is good for one login
        login = asyncio.run(_log_in(hub, arguments.label, arguments.install_token))
        logins.write(path, replace(login, label=arguments.label), now=time.time())
        logins.clear_expired(path)
    except SidecarError as error:
        print(f"sidecar: not logged in: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        told = f"{path} cannot be written: {error.strerror or error}"
        print(f"sidecar: not logged in: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsidecar: not logged in", file=sys.stderr)
        return 1
    print(f"logged in at {login.hub} as {login.user}, this machine is {login.instance}")
    print(f"the login is in {path}")
    return 0


def _last_hub(path: Path) -> str:
    from sidecar.control.device import DEFAULT_HUB
    from sidecar.control.login import read

    with suppress(SidecarError):
        return read(path).hub
    return DEFAULT_HUB


async def _log_in(hub: str, label: str | None, token: str | None) -> "Login":
    from sidecar.app.connecting.http_client import http_client
    from sidecar.control.device import log_in, redeem

    async with http_client() as session:
        if token is not None:
            given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 -- a sign
            return await redeem(session, hub, given, label=label)
        screen = _Screen()
        found: Login | SidecarError
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(screen.wait(), name="login-screen")
            try:
                found = await log_in(session, hub, label=label, invite=screen.invite)
            except SidecarError as error:  # the group would wrap it
                found = error
            finally:
                waiting.cancel()
                screen.clear()
        if isinstance(found, SidecarError):
            raise found
        return found


class _Screen:
    """The page, also as a QR code, and the code; below them a sign that something still waits."""

    def __init__(self) -> None:
        self._ends: float | None = None

    def invite(self, invitation: "Invitation") -> None:
        self._ends = time.monotonic() + invitation.seconds
        print(f"\n{qr_code(invitation.page, sys.stderr, below=5)}", end="", file=sys.stderr)
        print(f"\nOpen   {invitation.page}", file=sys.stderr)
        print(f"Code   {invitation.code}\n", file=sys.stderr, flush=True)

    async def wait(self) -> None:
        for frame in itertools.cycle(_FRAMES):
            await asyncio.sleep(0.1)
            if self._ends is not None:
                minutes, seconds = divmod(max(0, int(self._ends - time.monotonic())), 60)
                told = f"{frame} waiting for you to approve it, {minutes}:{seconds:02} left"
                print(f"\r\x1b[K{told}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
