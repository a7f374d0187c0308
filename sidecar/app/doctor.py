"""A check-up of everything that a config needs, whether its sidecar runs or not.

It changes nothing, asks no model, and uses no token: a refresh would make that of a running
sidecar worthless.
"""

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

from aiohttp import ClientSession

from sidecar.app.candidate import Candidate
from sidecar.app.check import check
from sidecar.app.discovery import Discovery
from sidecar.app.findings import Finding, failure, ok, warning
from sidecar.channels.discovery import scan
from sidecar.channels.reach import SKEW, reach
from sidecar.config.model import Config, Runtime, Server
from sidecar.errors import ChannelStopped
from sidecar.runtimes.probe import probe
from sidecar.server import address

SHOWN = 5
"""Mistakes of the config that are shown one by one."""
LEAST_SPACE = 100 * 1024 * 1024
"""Free bytes below which the state folder is a worry."""
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
"""File systems on which SQLite's write-ahead log is not safe: https://sqlite.org/wal.html"""


async def examine(path: Path, *, dev: bool = False) -> AsyncIterator[Finding]:
    """Look at one part after the other and tell each as soon as it is known. With `dev`, at what
    `sidecar dev` uses: it gives channels their credentials, takes a free port and logs in."""
    inside = address.DEVELOPMENT if dev else ""
    candidate = await asyncio.to_thread(check, path, inside=inside)
    for finding in _config(path, candidate, {"credentials-missing"} if dev else ()):
        yield finding
    config = candidate.config or candidate.draft
    if config is None:
        return
    state = config.state.dir / inside
    place = await asyncio.to_thread(_place, state)
    yield _running(config, place)
    for finding in await asyncio.to_thread(lambda: list(_state(state))):
        yield finding
    if config.server is not None and place is None and not dev:
        yield await asyncio.to_thread(_port, config.server)
    yield await asyncio.to_thread(_watches, path)
    async for finding in _channels(config, dev=dev):
        yield finding
    if config.control_plane.enabled and config.control_plane.credentials is not None and not dev:
        yield await asyncio.to_thread(_login, config.control_plane.credentials)
    for name, runtime in config.runtimes.items():
        yield await asyncio.to_thread(_runtime, name, runtime)


def _config(path: Path, candidate: Candidate, without: Collection[str]) -> Iterator[Finding]:
    problems = [one for one in candidate.problems if one.code not in without]
    errors = [one for one in problems if one.level == "error"]
    rest = [one for one in problems if one.level != "error"]
    for error in errors[:SHOWN]:
        at = error.position
        text = f"{at.file}:{at.line}:{at.column}: {error.message}"
        yield failure("config", text, error.hint or f"sidecar validate {path}")
    if len(errors) > SHOWN:
        yield failure("config", f"and {len(errors) - SHOWN} more", f"sidecar validate {path}")
    if errors:
        return
    if rest:
        yield warning("config", f"{len(rest)} warning(s)", f"sidecar validate {path}")
    else:
        yield ok("config", f"{path} is valid, its templates render")


def _place(state: Path) -> str | None:
    """Where the sidecar with a state folder answers; None where none does."""
    return next(filter(_answers, address.find(state)), None)


def _running(config: Config, place: str | None) -> Finding:
    if config.server is None:
        return warning(
            "sidecar", "`server` is null: whether it runs cannot be asked", "set `server.listen`"
        )
    if place is not None:
        return ok("sidecar", f"runs, and answers at {place}")
    return ok("sidecar", "does not run now")


def _answers(place: str) -> bool:
    """Whether somebody listens at an address."""
    try:
        if place.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2.0)
                client.connect(place.removeprefix("unix:"))
        else:
            host, _, port = place.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except (OSError, ValueError):
        return False
    return True


def _state(folder: Path) -> Iterator[Finding]:
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield failure("state", f"{existing} cannot be written", f"chown it to user {os.geteuid()}")
        return
    if existing == folder:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & 0o077:
            text = f"{folder} is open to other users (mode {mode:04o})"
            yield warning("state", text, f"chmod 700 {folder}")
    kind = _file_system(existing)
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{existing} is on {kind}, where the journal is not safe"
        yield failure("state", text, "set `state.dir` to a local disk")
    free = shutil.disk_usage(existing).free
    if free < LEAST_SPACE:
        yield warning("state", f"{free >> 20} MiB are free at {existing}", "make room")
    else:
        yield ok("state", f"{folder}, {free >> 30} GiB free")


def _file_system(path: Path) -> str:
    """The type of the file system of a path, as Linux tells it; empty elsewhere."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = [line.split(" ") for line in lines]
    mounts = {fields[1]: fields[2] for fields in found if len(fields) > 2}
    real = path.resolve()
    return next((mounts[str(one)] for one in (real, *real.parents) if str(one) in mounts), "")


def _port(server: Server) -> Finding:
    """Whether the address can be listened at, when no sidecar does."""
    if server.listen.startswith("unix:"):
        folder = Path(server.listen.removeprefix("unix:")).parent
        if os.access(folder, os.W_OK | os.X_OK):
            return ok("server", f"{server.listen} can be used")
        return failure("server", f"{folder} cannot be written", "make it, or change server.listen")
    host, _, port = server.listen.rpartition(":")
    try:
        socket.create_server((host.strip("[]") or "", int(port))).close()
    except (OSError, ValueError) as error:
        return failure("server", f"{server.listen}: {error}", "change server.listen")
    return ok("server", f"{server.listen} is free")


def _watches(path: Path) -> Finding:
    """Whether the system tells changes of files."""
    from watchfiles import watch

    try:
        with tempfile.TemporaryDirectory() as folder:
            for _ in watch(folder, rust_timeout=1, yield_on_timeout=True, recursive=False):
                break
    except (OSError, RuntimeError) as error:
        remedy = "raise fs.inotify.max_user_instances; until then files are looked at every 5 s"
        return warning("watch", f"files cannot be watched: {error}", remedy)
    return ok("watch", f"changes of {path.name} are told by the system")


async def _channels(config: Config, *, dev: bool) -> AsyncIterator[Finding]:
    """The channels of the config, and those of the credentials files in its folder. With `dev`,
    the former have another Hub, which lives no longer than `sidecar dev`."""
    folder = config.discovery.botcord_credentials_dir
    held, warnings = await asyncio.to_thread(scan, folder) if folder is not None else ({}, [])
    for told in warnings:
        yield warning("discovery", told, "mend the file, or take it out of the folder")
    discovery = Discovery(lambda _: (held, []))
    await discovery.look(config)
    async with ClientSession() as http:
        for id_, channel in discovery.channels(config).items():
            if channel.type != "botcord":
                yield ok(f"channel {id_}", f"of type {channel.type}: not examined")
                continue
            if dev and id_ in config.channels:
                yield ok(f"channel {id_}", "led to the Hub of `sidecar dev`: not examined")
                continue
            found = await reach(id_, channel.options, http)
            part = f"channel {id_}"
            if found.problem:
                yield failure(part, found.problem, found.remedy)
            elif abs(found.skew) > SKEW:
                text = f"the clock differs from that of {found.hub} by {found.skew:.0f} s"
                yield warning(part, text, "set this machine's clock, by NTP for one")
            else:
                yield ok(part, f"credentials of {found.account}; {found.hub} answers")


def _login(path: Path) -> Finding:
    """Whether there is a login for the control plane that can be used."""
    from sidecar.control.login import read

    try:
        found = read(path)
    except ChannelStopped as error:
        return failure("control plane", str(error), "log in with `sidecar login`")
    return ok("control plane", f"{path} is a login of {found.user} at {found.hub}")


def _runtime(name: str, runtime: Runtime) -> Finding:
    part = f"runtime {name}"
    if runtime.options.get("command") is None:  # one of another package, which may start nothing
        return ok(part, f"of type {runtime.type}: not examined")
    found = probe(runtime, os.environ, Path.cwd())
    if found.path is None:
        text = found.warning or f"the program {found.program!r} is not found"
        return failure(part, text, "install it, or set `command` to its path")
    text = f"{found.path} {found.version}".rstrip()
    if found.login == "no":
        return failure(part, f"{text}: not logged in", "log in, or give its key in `env`")
    if found.warning:
        return warning(part, f"{text}: {found.warning}", "install a version that was tried")
    return ok(part, f"{text}{', logged in' if found.login == 'yes' else ''}")
