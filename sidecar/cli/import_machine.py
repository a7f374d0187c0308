"""What `sidecar import` has to know of the machine: what the daemon kept beside its config."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sidecar.app.checking.system import MachineSystem
from sidecar.channels.credentials import default_path
from sidecar.channels.discovery import scan
from sidecar.codecs.loose import text_of
from sidecar.config.model import LOGIN_FILE
from sidecar.config.rewriting.imported import credentials_dir, listed_agents
from sidecar.config.rewriting.imported_machine import Agent, Machine
from sidecar.config.rewriting.imported_rules import NoDaemonConfig
from sidecar.control.login import read
from sidecar.errors import ChannelStopped
from sidecar.hubclient.private_file import parse_object


def machine_of(source: Mapping[str, Any]) -> Machine:
    """This machine, as the daemon with this config saw it.

    Raises NoDaemonConfig.
    """
    system = MachineSystem()
    try:
        paths = {agent: default_path(agent) for agent in listed_agents(source)}
    except ChannelStopped as error:
        raise NoDaemonConfig(f"agents: {error}") from error
    unread: list[str] = []
    if not paths:
        found, unread = scan(_path(system, credentials_dir(source)))
        paths = {agent: credentials.path for agent, credentials in found.items()}
    agents = {}
    for agent, path in paths.items():
        try:
            record = parse_object(path, path.read_bytes())
            agents[agent] = Agent(text_of(record, "runtime") or "", text_of(record, "cwd") or "")
        except OSError as error:
            unread.append(f"{path}: cannot be read: {error.strerror}")
        except ChannelStopped as error:
            unread.append(f"{error}")
    return Machine(agents, unread, partial(_is_dir, system), system.env, _login(system))


def _path(system: MachineSystem, text: str) -> Path:
    """A path as a config means it: only `~` itself is the home folder."""
    in_home = text == "~" or text.startswith("~/")
    return system.home / text[2:] if in_home else Path(text)


def _is_dir(system: MachineSystem, text: str) -> bool:
    path = _path(system, text)
    return path.is_absolute() and system.is_dir(path)


def _login(system: MachineSystem) -> str | None:
    path = _path(system, LOGIN_FILE)
    if not system.exists(path):
        return None
    try:
        read(path)
    except ChannelStopped as error:
        return str(error)
    return ""
