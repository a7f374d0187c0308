"""The config of a BotCord daemon (`~/.botcord/daemon/config.json`), as one of the sidecar.

The daemon is `@botcord/daemon` 0.1.1. Each of its fields is accounted for: taken over, or told; and
so is what it took from elsewhere on its machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.config.rewriting.imported_machine import Agent, Machine, control_plane, environment
from sidecar.config.rewriting.imported_rules import (
    UNKNOWN,
    Import,
    NoDaemonConfig,
    default_rule,
    routes,
)

HOME = "~/.botcord"
CREDENTIALS = f"{HOME}/credentials"
KNOWN = ("agents", "agentId", "agentDiscovery", "defaultRoute", "routes", "streamBlocks")
ADAPTERS = ("claude-code", "codex", "gemini")
"""Those that the daemon had. One that a credentials file names was not checked by it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """`data` is the config as plain values; `report` has a line for each field of the daemon's."""

    data: dict[str, Any]
    report: list[str]


def convert(source: Mapping[str, Any], machine: Machine) -> Imported:
    """Turn the daemon's config into ours.

    Raises NoDaemonConfig for what the daemon would refuse too.
    """
    work = Import()
    agents = listed_agents(source)
    data: dict[str, Any] = {"version": 1}
    if agents:
        data["channels"] = _channels(work, source, agents)
    else:
        data["discovery"] = _discovery(work, source, machine)
    default = default_rule(work, source.get("defaultRoute"))
    found = list(routes(work, source.get("routes", [])))
    found += [
        _own_route(work, machine, agent, default["runtime"])
        for agent in agents or sorted(machine.agents)
    ]
    data |= {"runtimes": work.runtimes, "routes": found, "default_route": default}
    if plane := control_plane(work, machine):
        data["control_plane"] = plane
    environment(work, machine)
    for line in machine.unread:
        work.tell("(credentials)", line)
    if machine.unread:
        told = "an agent whose file cannot be used keeps neither its runtime nor its folder"
        work.tell("(credentials)", f"{told}: mend it and import again")
    for key in sorted(source.keys() - set(KNOWN)):
        work.tell(key, UNKNOWN)
    return Imported({key: _literal(value) for key, value in data.items()}, work.report)


def listed_agents(source: Mapping[str, Any]) -> list[str]:
    """The agents that the daemon's config names. Without any, it took those of a folder.

    Raises NoDaemonConfig.
    """
    listed, single = source.get("agents") or [], source.get("agentId")
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise NoDaemonConfig("agents: is not a list of ids")
    return list(dict.fromkeys(listed)) or ([single] if isinstance(single, str) and single else [])


def credentials_dir(source: Mapping[str, Any]) -> str:
    """The folder of the agents, where none are listed.

    Raises NoDaemonConfig.
    """
    given = source.get("agentDiscovery") or {}
    if not isinstance(given, Mapping) or given.get("enabled") is False:
        raise NoDaemonConfig("agents: there are none, and agentDiscovery is off")
    return str(given.get("credentialsDir") or CREDENTIALS)


def _channels(
    work: Import, source: Mapping[str, Any], agents: list[str]
) -> dict[str, dict[str, Any]]:
    listed, single, stream = (source.get(key) for key in ("agents", "agentId", "streamBlocks"))
    if listed:
        work.tell("agents", f"{len(agents)} channel(s)")
    if single is not None:
        ignored = listed and single not in listed
        work.tell("agentId", "not taken over: `agents` won" if ignored else "a channel")
    if "agentDiscovery" in source:
        work.tell("agentDiscovery", "not taken over: with a list of agents it had no effect")
    options = {}
    if stream is not None:
        work.tell("streamBlocks", "channels.*.stream; the daemon never looked at it")
        options = {"stream": False} if stream is False else {}
    return {
        agent: {"type": "botcord", "credentials": f"{CREDENTIALS}/{agent}.json", **options}
        for agent in agents
    }


def _discovery(work: Import, source: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    folder = credentials_dir(source)
    work.tell("agentDiscovery", f"discovery.botcord: each file in {folder} becomes a channel")
    told = "what such a file says of runtime and cwd is read by `sidecar import` alone"
    work.tell("agentDiscovery", f"an agent that comes later works by default_route: {told}")
    if source.get("streamBlocks") is not None:
        work.tell("streamBlocks", "not taken over: the daemon never looked at it")
    return {"botcord": {"credentials_dir": folder}}


def _own_route(work: Import, machine: Machine, agent: str, adapter: str) -> dict[str, Any]:
    """What the daemon did for each agent after all rules: the adapter and the folder that its
    credentials file names, else the default adapter and a workspace."""
    key, told = f"(agent {agent})", machine.agents.get(agent, Agent())
    runtime = told.runtime or adapter
    if told.runtime and told.runtime not in ADAPTERS:
        work.tell(key, f"the daemon had no runtime {told.runtime}: {adapter} takes its place")
        runtime = adapter
    places = (told.cwd, f"{HOME}/agents/{agent}/workspace")
    cwd = next((place for place in places if place and machine.is_dir(place)), None)
    if told.cwd and cwd != told.cwd:
        work.tell(key, f"not taken over: its cwd, {told.cwd}, is no folder here")
    where = cwd or "its own folder in the sidecar's state folder"
    work.tell(key, f"routes: {agent}: {runtime} in {where}")
    return {
        "name": agent,
        "match": {"account": agent},
        "runtime": work.runtime(runtime),
        **({"cwd": cwd} if cwd else {}),
        "trust": "trusted",
    }


def _literal(value: Any) -> Any:
    """A value of a config that means this one: a dollar is written twice."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _literal(one) for key, one in value.items()}
    return [_literal(one) for one in value] if isinstance(value, list) else value


def default_source(home: Path) -> Path:
    """Where the daemon keeps its config."""
    return home / ".botcord/daemon/config.json"
