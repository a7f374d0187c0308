"""A check-up of everything that a config needs, whether its sidecar runs or not.

It changes nothing, asks no model, and uses no token of a channel: a refresh would make that of a
running sidecar worthless.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.commands.doctor_state import examine as own
from sidecar.app.commands.findings import Finding, failure, ok, warning
from sidecar.app.connecting.discovery import channels_now
from sidecar.app.connecting.http_client import http_client
from sidecar.channels.reach import SKEW, reach
from sidecar.config.model import Config, Runtime
from sidecar.errors import ChannelStopped
from sidecar.runtimes.probe import probe
from sidecar.server import address

SHOWN = 5
"""Mistakes of the config that are shown one by one."""


async def examine(path: Path, *, dev: bool = False) -> AsyncIterator[Finding]:
    """Look at one part after the other and tell each as soon as it is known. With `dev`, at what
    `sidecar dev` uses: it gives channels their credentials, takes a free port and logs in."""
    inside = address.DEVELOPMENT if dev else ""
    candidate = await asyncio.to_thread(check, path, inside=inside)
    without = {"credentials-missing"} if dev else set[str]()
    for finding in await asyncio.to_thread(lambda: list(_config(path, candidate, without))):
        yield finding
    config = candidate.config or candidate.draft
    if config is None:
        return
    state = config.state.dir / inside
    for finding in await asyncio.to_thread(lambda: list(own(state, config.server, dev=dev))):
        yield finding
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
        is_there = error.code != "unreadable" or error.path or path.exists()
        remedy = f"sidecar {'validate' if is_there else 'init'} {path}"
        yield failure("config", text, error.hint or remedy)
    if len(errors) > SHOWN:
        yield failure("config", f"and {len(errors) - SHOWN} more", f"sidecar validate {path}")
    if errors:
        return
    if rest:
        yield warning("config", f"{len(rest)} warning(s)", f"sidecar validate {path}")
    else:
        yield ok("config", f"{path} is valid, its templates render")


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
    channels, warnings = await asyncio.to_thread(channels_now, config)
    for told in warnings:
        yield warning("discovery", told, "mend the file, or take it out of the folder")
    async with http_client() as http:
        for id_, channel in channels.items():
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
    from sidecar.control.login import command, is_expired, read

    remedy = f"log in with `{command(path)}`"
    try:
        found = read(path)
    except ChannelStopped as error:
        return failure("control plane", str(error), remedy)
    if is_expired(path):
        text = f"{found.hub} has taken the login in {path} away"
        return failure("control plane", text, remedy)
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
