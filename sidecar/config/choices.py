"""What routes and runtimes choose of an agent: its model, its effort, its budget, its sessions.

What a type of runtime knows of it is told by its schema: `x-flags` are, for `model` and `effort`,
the arguments that would set the same; where a name is missing there, the type has no such choice.
`x-tells-cost` are the options with which it tells what a turn costs; without it, it never does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidecar.config.model import Budget, SessionBounds
from sidecar.config.part import Part
from sidecar.config.schema import Schema

CHOICES = ("model", "effort")


def budget(part: Part) -> Budget | None:
    """The budget of a route."""
    inner = part.part("budget")
    return Budget(float(inner.data["usd"]), inner.get("per", "day")) if inner.has("usd") else None


def session_bounds(part: Part) -> SessionBounds:
    """The bounds of sessions that a mapping tells."""
    turns, tokens = part.get("max_turns"), part.get("max_tokens")
    return SessionBounds(
        max_turns=None if turns is None else int(turns),
        max_tokens=None if tokens is None else int(tokens),
        idle=part.duration("idle", 0.0) if part.has("idle") else None,
    )


def check_choices(root: Part, schema: Schema) -> None:
    """Note where a choice is made that the runtime does not know, or is made twice; and warn of a
    budget that nothing is ever counted against."""
    runtimes = {
        str(part.place[-1]): part
        for part in root.parts("runtimes")
        if part.has("type") and ("runtime", part.data["type"]) not in schema.unusable
    }
    for runtime in runtimes.values():
        _check(runtime, runtime, schema)
    for route in _routes(root):
        name = route.get("runtime")
        if isinstance(name, str) and name in runtimes:
            _check(route, runtimes[name], schema)
            _check_budget(route, runtimes[name], schema)


def _told(schema: Schema, name: str) -> Mapping[str, Any]:
    """The schema of a type of runtime."""
    told: Mapping[str, Any] = schema.joined["definitions"].get(f"runtime.{name}", {})
    return told


def _routes(root: Part) -> Iterator[Part]:
    yield from root.parts("routes")
    if root.has("default_route"):
        yield root.part("default_route")


def _check(part: Part, runtime: Part, schema: Schema) -> None:
    """Check the choices of a runtime, or those of a route with its runtime."""
    name = str(runtime.data["type"])
    known: Mapping[str, Sequence[str]] = _told(schema, name).get("x-flags", {})
    for key in CHOICES:
        if part.get(key) is not None and key not in known:
            message = f"a runtime of type {name} knows no {key}"
            part.problem("no-choice", message, key, at=part.key_at(key))
            continue
        chooser = part if part.get(key) is not None else runtime
        if chooser.get(key) is None:
            continue
        for holder in (part,) if chooser is not part or part is runtime else (runtime, part):
            _check_twice(chooser, holder, key, known.get(key, ()))


def _check_twice(chooser: Part, holder: Part, key: str, flags: Sequence[str]) -> None:
    """Note a problem where the arguments of `holder` set what `chooser` chooses by a key."""
    index = _index(holder.texts("args"), flags)
    if index is None:
        return
    shown = holder.shown(holder.texts("args")[index], "args", index)
    message = f"{shown} sets the {key}, and so does `{key}`"
    holder.problem(
        "set-twice", message, "args", index, hint="keep one of the two",
        related=chooser.key_at(key),
    )  # fmt: skip


def _index(args: Sequence[str], flags: Sequence[str]) -> int | None:
    """The first argument that is one of the flags: `--x`, `--x=V`, `-xV`; of a flag such as
    `-c KEY` only with that key."""
    for index, argument in enumerate(args):
        following = args[index + 1] if index + 1 < len(args) else ""
        if any(_sets(argument, following, flag) for flag in flags):
            return index
    return None


def _sets(argument: str, following: str, flag: str) -> bool:
    name, _, key = flag.partition(" ")
    if argument == name:
        value = following
    elif name.startswith("--") and argument.startswith(f"{name}="):
        value = argument.removeprefix(f"{name}=")
    elif not name.startswith("--") and argument.startswith(name):
        value = argument.removeprefix(name).removeprefix("=")
    else:
        return False
    return not key or value.partition("=")[0].strip() == key


def _check_budget(route: Part, runtime: Part, schema: Schema) -> None:
    name = str(runtime.data["type"])
    needed = _told(schema, name).get("x-tells-cost")
    if not route.part("budget").has("usd"):
        return
    if needed is None or any(runtime.get(key) != value for key, value in needed.items()):
        message = f"a runtime of type {name} tells no cost here: this budget is never used up"
        route.problem("cost-unknown", message, "budget", level="warning", at=route.key_at("budget"))
