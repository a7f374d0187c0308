"""The keys of one component type: defaults, absolute paths, and what they must name.

What a key means is told by its schema: `x-path` a path, `x-command` a program, `x-credentials` a
file with secrets, `x-secret` a secret, `x-account` the account of a channel, `x-default-id` that
the id of the channel is the default, `x-kind` a duration, a size or a rate.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.api import ComponentKind
from sidecar.config.building.part import Part
from sidecar.config.problems import Position
from sidecar.config.schemas.mistakes import HIDDEN
from sidecar.config.schemas.schema import Schema
from sidecar.config.system import ProgramPath, SecretPath, made_private


def options(part: Part, schema: Schema, kind: ComponentKind, type_: str) -> dict[str, object]:
    """All keys of the type of a component, as JSON values; None where there is none."""
    return _values(part, schema.options(kind, type_))


def can_use(part: Part, schema: Schema, kind: ComponentKind, type_: str, at: Position) -> bool:
    """Whether a type of another package can be used; a problem at `at`, which names it, if not."""
    reason = schema.unusable.get((kind, type_))
    if reason is not None:
        part.problem("type-unusable", reason, at=at)
    return reason is None


def check_credentials(part: Part, key: str, text: str) -> None:
    """Note what is wrong with a file of secrets: it may come later, but must be private."""
    path = part.absolute(text, key)
    told = part.shown(text, key)
    part.reading.inputs.add(SecretPath(path))
    private = part.system.is_private(path)
    if private is None:
        part.problem("credentials-missing", f"{told} does not exist yet", key, level="warning")
    elif part.system.is_dir(path):
        part.problem("credentials-missing", f"{told} is a folder", key)
    elif not private:
        message = f"{told} can be used by other users of this machine"
        name = told if told == HIDDEN else shlex.quote(str(path))
        hint = made_private(path, name, part.system.is_dir)
        part.problem("credentials-open", message, key, hint=hint)


def _values(part: Part, keys: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    return {key: _value(part, key, told) for key, told in keys.items()}


def _value(part: Part, key: str, told: Mapping[str, Any]) -> object:
    default = part.place[-1] if "x-default-id" in told else told.get("default")
    value = part.get(key, default)
    if told.get("x-secret"):
        for text in _texts(value):
            part.source.interpolation.remember(text)
    if told.get("type") == "object" and "properties" in told:
        return _values(part.part(key), told["properties"])
    if "x-command" in told and _is_command(value):
        return _command(part, key, value)
    if isinstance(value, str) and "x-path" in told:
        if "x-credentials" in told:
            check_credentials(part, key, value)
        return str(part.absolute(value, key))
    if "x-kind" in told:
        part.check_kind(key, told["x-kind"])
    return value


def _texts(value: object) -> Iterator[str]:
    """All texts in a value, without the names of keys."""
    match value:
        case str():
            yield value
        case Mapping():
            for one in value.values():
                yield from _texts(one)
        case list():
            for one in value:
                yield from _texts(one)


def _is_command(value: object) -> bool:
    program = value[0] if isinstance(value, list) and value else value
    return isinstance(program, str) and bool(program)


def _command(part: Part, key: str, value: str | list[str]) -> str | list[str]:
    """A program with its arguments; a path becomes absolute, a name stays what it is."""
    steps: tuple[str | int, ...] = (key,) if isinstance(value, str) else (key, 0)
    program, *rest = [value] if isinstance(value, str) else value
    if "/" in program:
        program = str(part.absolute(program, *steps))
    folder = part.reading.folder(part.value_at(key).file)
    if part.system.which(program, folder) is None:
        part.reading.inputs.update(map(ProgramPath, part.system.places(program, folder)))
        told = part.shown(program, *steps)
        hint = "is it there, and executable?" if "/" in program else "is it installed, in PATH?"
        if part.system.which(program.split(" ", 1)[0], folder) is not None:
            hint = "its arguments go into `args`, or are further items of a list"
        part.problem("command-not-found", f"the command {told} is not found", *steps, hint=hint)
    return program if isinstance(value, str) else [program, *rest]
