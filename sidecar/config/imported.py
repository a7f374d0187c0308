"""The config of a BotCord daemon (`~/.botcord/daemon/config.json`), as one of the sidecar.

The daemon is `@botcord/daemon` 0.1.1. Each of its fields is accounted for: taken over, or told.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOME = "~/.botcord"
CREDENTIALS = f"{HOME}/credentials"
MATCHES = {
    "channel": "channel",
    "accountId": "account",
    "conversationId": "conversation",
    "conversationPrefix": "conversation_prefix",
    "conversationKind": "kind",
    "senderId": "sender",
    "mentioned": "mentioned",
}
ALIASES = {"roomId": "conversationId", "roomPrefix": "conversationPrefix"}
KNOWN = ("agents", "agentId", "agentDiscovery", "defaultRoute", "routes", "streamBlocks")
RULE = ("adapter", "cwd", "extraArgs", "trustLevel", "match")


class NoDaemonConfig(ValueError):
    """What the daemon would not run with; the text begins with the key."""


@dataclass(frozen=True, slots=True)
class Imported:
    """`data` is the config as plain values; `report` has a line for each field of the daemon's."""

    data: dict[str, Any]
    report: list[str]


@dataclass(slots=True)
class _Import:
    """One import under way."""

    source: Mapping[str, Any]
    is_dir: Callable[[str], bool]
    report: list[str] = field(default_factory=list)
    runtimes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tell(self, key: str, what: str) -> None:
        self.report.append(f"{key}: {what}")


def convert(source: Mapping[str, Any], is_dir: Callable[[str], bool]) -> Imported:
    """Turn the daemon's config into ours. `is_dir` tells whether a folder exists.

    Raises NoDaemonConfig for what the daemon would refuse too.
    """
    work = _Import(source, is_dir)
    agents = _agents(work)
    channels = _channels(work, agents)
    default = _default_route(work)
    routes = [*_routes(work), *_workspaces(work, agents, default)]
    data: dict[str, Any] = {"version": 1}
    if channels:
        data["channels"] = channels
    else:
        data["discovery"] = _discovery(work)
    data |= {"runtimes": work.runtimes, "routes": routes, "default_route": default}
    for key in source.keys() - set(KNOWN):
        work.tell(key, "not taken over: the daemon does not know it either")
    return Imported(data, work.report)


def _agents(work: _Import) -> list[str]:
    listed, single = work.source.get("agents") or [], work.source.get("agentId")
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise NoDaemonConfig("agents: is not a list of ids")
    agents = list(dict.fromkeys(listed)) or ([single] if isinstance(single, str) else [])
    if listed:
        work.tell("agents", f"{len(agents)} channel(s)")
    if single is not None:
        ignored = listed and single not in listed
        work.tell("agentId", "not taken over: `agents` won" if ignored else "a channel")
    return agents


def _channels(work: _Import, agents: list[str]) -> dict[str, dict[str, Any]]:
    stream = work.source.get("streamBlocks")
    if stream is not None:
        work.tell("streamBlocks", "channels.*.stream; the daemon never looked at it")
    options = {"stream": False} if stream is False else {}
    if "agentDiscovery" in work.source and agents:
        work.tell("agentDiscovery", "not taken over: with a list of agents it had no effect")
    return {
        agent: {"type": "botcord", "credentials": f"{CREDENTIALS}/{agent}.json", **options}
        for agent in agents
    }


def _discovery(work: _Import) -> dict[str, Any]:
    given = work.source.get("agentDiscovery") or {}
    if not isinstance(given, Mapping) or given.get("enabled") is False:
        raise NoDaemonConfig("agents: there are none, and agentDiscovery is off")
    work.tell("agentDiscovery", "discovery.botcord: each credentials file becomes a channel")
    return {"botcord": {"credentials_dir": given.get("credentialsDir") or CREDENTIALS}}


def _default_route(work: _Import) -> dict[str, Any]:
    route = _rule(work, "defaultRoute", work.source.get("defaultRoute"))
    work.tell("defaultRoute", "default_route; the daemon used nothing of it but the adapter")
    return route


def _routes(work: _Import) -> Iterator[dict[str, Any]]:
    rules = work.source.get("routes", [])
    if not isinstance(rules, list):
        raise NoDaemonConfig("routes: is not a list")
    for number, rule in enumerate(rules):
        key = f"routes[{number}]"
        route = _rule(work, key, rule)
        match = _match(work, key, rule.get("match"))
        yield {"name": f"route-{number + 1}", **({"match": match} if match else {}), **route}
        work.tell(key, f"routes: route-{number + 1}")


def _rule(work: _Import, key: str, rule: object) -> dict[str, Any]:
    if not isinstance(rule, Mapping):
        raise NoDaemonConfig(f"{key}: is not an object")
    for name in ("adapter", "cwd"):
        if not isinstance(rule.get(name), str):
            raise NoDaemonConfig(f"{key}.{name}: is not a text")
    for unknown in rule.keys() - set(RULE):
        work.tell(f"{key}.{unknown}", "not taken over: the daemon does not know it either")
    work.runtimes.setdefault(rule["adapter"], {"type": rule["adapter"]})
    route: dict[str, Any] = {"runtime": rule["adapter"], "cwd": rule["cwd"]}
    if rule.get("extraArgs"):
        route["args"] = [str(one) for one in rule["extraArgs"]]
    # Without a level the daemon let an agent edit files of its folder.
    levels = {None: "trusted", "owner": "owner"}
    route["trust"] = levels.get(rule.get("trustLevel"), "public")
    return route


def _match(work: _Import, key: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given:
        work.tell(f"{key}.match", "there is none: the route takes every message")
        return {}
    found: dict[str, Any] = {}
    for name in sorted(given, key=lambda one: one in ALIASES):  # the present name wins
        value, target = given[name], MATCHES.get(ALIASES.get(name, name))
        if target is None:
            work.tell(f"{key}.match.{name}", "not taken over: the daemon does not know it either")
        elif value == "" or (target == "mentioned") != isinstance(value, bool):
            work.tell(f"{key}.match.{name}", "not taken over: the daemon ignored such a value")
        elif target in found:
            work.tell(f"{key}.match.{name}", f"not taken over: {target} is given by its new name")
        else:
            found[target] = value
    return found


def _workspaces(
    work: _Import, agents: list[str], default: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What the daemon did for each agent by itself: it worked in a folder of its own."""
    for agent in agents:
        folder = f"{HOME}/agents/{agent}/workspace"
        if work.is_dir(folder):
            work.tell(f"(agent {agent})", f"routes: {agent} works in {folder}, as before")
            yield {
                "name": agent,
                "match": {"account": agent},
                "runtime": default["runtime"],
                "cwd": folder,
                "trust": "trusted",
            }


def default_source(home: Path) -> Path:
    """Where the daemon keeps its config."""
    return home / ".botcord/daemon/config.json"
