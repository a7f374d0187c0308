"""What routes and runtimes choose of an agent: its model, its effort, its budget, its sessions.

What a type of runtime knows of it is told by its schema: `x-flags` are, for `model` and `effort`,
the arguments that would set the same; where a name is missing there, the type has no such choice.
`x-tells-cost` are the options with which it tells what a turn costs; without it, it never does.
`x-programs` are, by the name of the `command`, those of the two that are otherwise for one program.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from sidecar.config.building.part import Part
from sidecar.config.model import Budget, SessionBounds
from sidecar.config.schemas.schema import Schema

CHOICES = ("model", "effort")


def budget(part: Part) -> Budget | None:
    """The budget of a route. Warns where the route has no name, to which its sum could belong."""
    inner = part.part("budget")
    if not inner.has("usd"):
        return None
    if isinstance(part.place[-1], int) and "name" not in part.data:  # not the default route
        told = "without a name, what it has spent counts for whichever route stands at its place"
        hint = "give the route a `name`, with which the sum goes"
        part.problem("budget-unnamed", told, "budget", level="warning", hint=hint,
                     at=part.key_at("budget"))  # fmt: skip
    return Budget(float(inner.data["usd"]), inner.get("per", "day"))


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
    told = {name: _told(schema, runtime) for name, runtime in runtimes.items()}
    for name, runtime in runtimes.items():
        _check(runtime, runtime, told[name])
    for route in _routes(root):
        name = route.get("runtime")
        if isinstance(name, str) and name in runtimes:
            _check(route, runtimes[name], told[name])
            _check_budget(route, runtimes[name], told[name])


def _told(schema: Schema, runtime: Part) -> Mapping[str, Any]:
    """What the schema of a runtime's type tells, for its program."""
    name = runtime.data["type"]
    told: Mapping[str, Any] = schema.joined["definitions"].get(f"runtime.{name}", {})
    program = PurePath(next(iter(runtime.texts("command")), "")).name
    return {**told, **told.get("x-programs", {}).get(program, {})}


def _routes(root: Part) -> Iterator[Part]:
    yield from root.parts("routes")
    if root.has_part("default_route"):
        yield root.part("default_route")


def _check(part: Part, runtime: Part, told: Mapping[str, Any]) -> None:
    """Check the choices of a runtime, or those of a route with its runtime."""
    known: Mapping[str, Sequence[str]] = told.get("x-flags", {})
    for key in CHOICES:
        if part.get(key) is not None and key not in known:
            if part is not runtime:  # there, it is an unknown key
                message = f"a runtime of type {runtime.data['type']} knows no {key}"
                part.problem("no-choice", message, key, at=part.key_at(key))
            continue
        chooser = part if part.get(key) is not None else runtime
        if chooser.get(key) is None:
            continue
        for holder in (part,) if chooser is not part or part is runtime else (runtime, part):
            _check_twice(chooser, holder, key, known.get(key, ()))


def _check_twice(chooser: Part, holder: Part, key: str, flags: Sequence[str]) -> None:
    """Note a problem where the arguments of `holder` set what `chooser` chooses by a key."""
    for place in ("command", "args"):
        given = holder.texts(place)
        index = _index(given, flags)
        if index is not None:
            message = f"{holder.shown(given[index], place, index)} sets the {key}"
            holder.problem(
                "set-twice", f"{message}, and so does `{key}`", place, index,
                hint="keep one of the two", related=chooser.key_at(key),
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


def _check_budget(route: Part, runtime: Part, told: Mapping[str, Any]) -> None:
    needed = told.get("x-tells-cost")
    if not route.part("budget").has("usd"):
        return
    if needed is None or any(runtime.get(key) != value for key, value in needed.items()):
        type_ = runtime.data["type"]
        message = f"a runtime of type {type_} tells no cost here: this budget is never used up"
        route.problem("cost-unknown", message, "budget", level="warning", at=route.key_at("budget"))
