"""The rules of a BotCord daemon's config, as routes."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
KINDS = ("direct", "group")
RULE = ("adapter", "cwd", "extraArgs", "trustLevel", "match")
UNKNOWN = "not taken over: the daemon does not know it either"
FULL_AUTO = "--full-auto"
"""What older versions of Codex had for `--sandbox workspace-write`; newer ones refuse to start."""


class NoDaemonConfig(ValueError):
    """What the daemon would not run with; the text begins with the key."""


@dataclass(slots=True)
class Import:
    """One import under way: what it told, and the runtimes that it needs, by name."""

    report: list[str] = field(default_factory=list)
    runtimes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tell(self, key: str, what: str) -> None:
        """Account for a key."""
        self.report.append(f"{key}: {what}")

    def runtime(self, adapter: str) -> str:
        """The name of the runtime that takes the place of an adapter."""
        self.runtimes.setdefault(adapter, {"type": adapter})
        return adapter


def default_rule(work: Import, given: object) -> dict[str, Any]:
    """The `default_route`: the daemon had a rule for each agent in front of it, which took nothing
    but the adapter from it."""
    rule = _checked(work, "defaultRoute", given)
    told = "its adapter, and no more: the daemon did not use the rest of it for any agent"
    work.tell("defaultRoute", f"default_route: {told}")
    return {"runtime": work.runtime(rule["adapter"]), "trust": "trusted"}


def routes(work: Import, rules: object) -> Iterator[dict[str, Any]]:
    """A route for each rule that can match."""
    if not isinstance(rules, list):
        raise NoDaemonConfig("routes: is not a list")
    for number, given in enumerate(rules):
        key, name = f"routes[{number}]", f"route-{number + 1}"
        rule = _checked(work, key, given)
        match = _match(work, key, rule.get("match"))
        if odd := [target for target, value in match.items() if not _can_hold(target, value)]:
            work.tell(key, f"not taken over: no message ever matched it, for its {odd[0]}")
            continue
        work.tell(key, f"routes: {name}")
        yield {"name": name, **({"match": match} if match else {}), **_route(work, key, rule)}


def _checked(work: Import, key: str, rule: object) -> Mapping[str, Any]:
    if not isinstance(rule, Mapping):
        raise NoDaemonConfig(f"{key}: is not an object")
    for name in ("adapter", "cwd"):
        if not isinstance(rule.get(name), str):
            raise NoDaemonConfig(f"{key}.{name}: is not a text")
    for unknown in sorted(rule.keys() - set(RULE)):
        work.tell(f"{key}.{unknown}", UNKNOWN)
    return rule


def _route(work: Import, key: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    level = rule.get("trustLevel")
    # Without a level the daemon let an agent edit files of its folder.
    trust = "trusted" if level is None else "owner" if level == "owner" else "public"
    route = {"runtime": work.runtime(rule["adapter"]), "cwd": rule["cwd"]}
    args = _arguments(work, f"{key}.extraArgs", rule.get("extraArgs"))
    if rule["adapter"] == "codex" and FULL_AUTO in args:
        args = _without_full_auto(work, f"{key}.extraArgs", args, trust)
    return {**route, **({"args": args} if args else {}), "trust": trust}


def _arguments(work: Import, key: str, given: object) -> list[str]:
    if not given:
        return []
    if isinstance(given, str):  # the daemon gave each letter as an argument
        try:
            found = shlex.split(given)
        except ValueError:
            work.tell(key, "not taken over: it is no list, but a text with a quote that stays open")
            return []
        work.tell(key, f"args: the text is split as a shell does it, into {len(found)}")
        return found
    if not isinstance(given, list) or any(type(one) not in (str, int, float) for one in given):
        work.tell(key, "not taken over: it is no list of texts")
        return []
    return [str(one) for one in given]


def _without_full_auto(work: Import, key: str, args: list[str], trust: str) -> list[str]:
    rest = [one for one in args if one != FULL_AUTO]
    if trust == "owner":  # else it could do more than it could with the flag
        work.tell(key, f"{FULL_AUTO}, which Codex knows no more, is `--sandbox workspace-write`")
        return ["--sandbox", "workspace-write", *rest]
    told = f"what a turn may do is told by `trust: {trust}`"
    work.tell(key, f"{FULL_AUTO} is left out, as Codex knows it no more; {told}")
    return rest


def _match(work: Import, key: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given:
        work.tell(f"{key}.match", "there is none: the route takes every message")
        return {}
    found: dict[str, Any] = {}
    for name in sorted(given, key=lambda one: one in ALIASES):  # the present name wins
        value, target = given[name], MATCHES.get(ALIASES.get(name, name))
        if target is None:
            work.tell(f"{key}.match.{name}", UNKNOWN)
        elif not (isinstance(value, bool) if target == "mentioned" else value):
            work.tell(f"{key}.match.{name}", "not taken over: the daemon ignored such a value")
        elif target in found:
            work.tell(f"{key}.match.{name}", f"not taken over: {target} is given by its new name")
        else:
            found[target] = value
    return found


def _can_hold(target: str, value: object) -> bool:
    """Whether a message can be so: the daemon took any value."""
    if target == "kind":
        return value in KINDS
    return target == "mentioned" or isinstance(value, str)
