"""The check-up of what a sidecar has to itself: its state folder and its address, and whether one
runs with them."""

import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from sidecar.app.commands.findings import Finding, failure, ok, warning
from sidecar.app.turns.outages import Outage
from sidecar.config.model import Server
from sidecar.server.address import find
from sidecar.server.client import Refusal, fetch_from
from sidecar.store.lock import holder

LEAST_SPACE = 100 * 1024 * 1024
"""Free bytes below which the state folder is a worry."""
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
"""File systems on which SQLite's write-ahead log is not safe: https://sqlite.org/wal.html"""


def examine(state: Path, server: Server | None, *, dev: bool) -> Iterator[Finding]:
    """Look at a state folder, at the sidecar that works with it, and at the address, which is free
    where none does. With `dev`, it will take a free one. Blocks."""
    try:
        process = holder(state)
    except OSError as error:
        text = f"the state folder {state} cannot be looked at: {error.strerror or error}"
        yield failure("sidecar", text, _own(state))
        return
    if process is None:
        yield ok("sidecar", "does not run now")
    else:
        yield from _running(state, process, server)
    yield from _state(state)
    if server is not None and process is None and not dev:
        yield _address(server)


def _running(state: Path, process: int, server: Server | None) -> Iterator[Finding]:
    """Whether a process takes what commands ask it at its address, and what it tells of agents."""
    place, token = find(state), "" if server is None else server.token
    if not place:
        text = f"process {process} tells no address, so nobody can ask how it is"
        yield warning("sidecar", text, "set `server.listen`, and restart it")
        return
    try:
        picture = json.loads(fetch_from(state, place, "GET /status", token=token))
    except Refusal as refusal:
        text = f"process {process} at {place} answers {refusal.status}: {refusal}"
        remedy = "give this config the `server.token` that is in force, or restart it"
        yield failure("sidecar", text, remedy)
        return
    except (OSError, HTTPException, ValueError) as error:
        text = f"process {process} does not answer at {place}: {error}"
        yield failure("sidecar", text, "look at its log; stop it with `sidecar stop --now`")
        return
    yield ok("sidecar", f"runs, and answers at {place}")
    for runtime, told in picture.get("outages", {}).items():
        outage = Outage(**told)
        yield failure(f"runtime {runtime}", f"{outage.text}, as its turns tell", outage.remedy)


def _state(folder: Path) -> Iterator[Finding]:
    # What cannot be looked at is as good as missing: the folder above tells it.
    parents = (folder, *folder.parents)
    existing = next(one for one in parents if os.path.exists(one))  # noqa: PTH110 -- raises nothing
    if not os.access(existing, os.W_OK | os.X_OK):
        yield _not_writable(existing)
        return
    if existing == folder:
        yield from _mode(folder)
    kind = _file_system(existing)
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{existing} is on {kind}, where the journal is not safe"
        yield failure("state", text, "set `state.dir` to a local disk")
    free = shutil.disk_usage(existing).free
    if free < LEAST_SPACE:
        yield warning("state", f"{free >> 20} MiB are free at {existing}", "make room")
    else:
        yield ok("state", f"{folder}, {free >> 30} GiB free")


def _not_writable(folder: Path) -> Finding:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        text = f"{folder} is mounted read-only"
        remedy = "mount it to be written, or set `state.dir` to a folder that can be"
        return failure("state", text, remedy)
    return failure("state", f"{folder} cannot be written", _own(folder))


def _mode(folder: Path) -> Iterator[Finding]:
    """What is wrong with the mode of a state folder."""
    told = folder.stat()
    mode = stat.S_IMODE(told.st_mode)
    if mode & 0o077:
        text = f"{folder} is open to other users (mode {mode:04o})"
        remedy = f"chmod 700 {folder}"
        if os.geteuid() not in (0, told.st_uid):  # such as a volume: only its owner can
            remedy = f"set `state.dir` to {folder / 'state'}, which is made for this user alone"
        yield warning("state", text, remedy)


def _own(folder: Path) -> str:
    return f"chown it to user {os.geteuid()}, or run this as user {_owner(folder)}"


def _owner(folder: Path) -> str:
    """The user that the folder, or what can be seen of the way to it, belongs to."""
    for one in (folder, *folder.parents):
        try:
            return str(one.stat().st_uid)
        except OSError:
            continue
    return "root"


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


def _address(server: Server) -> Finding:
    """Whether the address can be listened at, when no sidecar does."""
    if server.listen.startswith("unix:"):
        folder = Path(server.listen.removeprefix("unix:")).parent
        if os.access(folder, os.W_OK | os.X_OK):
            return ok("server", f"{server.listen} can be used")
        return failure("server", f"{folder} cannot be written", "make it, or change server.listen")
    name, _, port = server.listen.rpartition(":")
    host = name.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except (OSError, ValueError) as error:
        return failure("server", f"{server.listen}: {error}", "change server.listen")
    return ok("server", f"{server.listen} is free")
