"""Component types by name: the built-in ones, and those that other packages register.

A built-in type is imported when it is first used, and costs no look at what is installed. Another
package registers its types as entry points, `name = "module:OBJECT"`, of the groups
`sidecar.channels`, `sidecar.runtimes` and `sidecar.context`; `docs/extending.md` is for its author.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib import import_module, invalidate_caches
from typing import TYPE_CHECKING, Generic, TypeVar

from sidecar.api import ChannelType, ComponentKind, ContextType, RuntimeType
from sidecar.errors import PluginError
from sidecar.prompts.contract import NAMES

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

CHANNELS = {"botcord": "sidecar.channels.botcord:CHANNEL"}
RUNTIMES = {
    "claude-code": "sidecar.runtimes.claude_code:CLAUDE_CODE",
    "codex": "sidecar.runtimes.codex:CODEX",
    "gemini": "sidecar.runtimes.gemini:GEMINI",
    "acp": "sidecar.runtimes.acp:ACP",
    "command": "sidecar.runtimes.command:COMMAND",
}
CONTEXTS = {
    "memory": "sidecar.contexts.memory:MEMORY",
    "activity": "sidecar.contexts.activity:ACTIVITY",
    "room": "sidecar.contexts.room:ROOM",
    "repo": "sidecar.contexts.repo:REPO",
    "quoted": "sidecar.contexts.quoted:QUOTED",
}

_Type = TypeVar("_Type", ChannelType, RuntimeType, ContextType)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[_Type]):
    """What a type of one kind is, and where one is found."""

    word: ComponentKind
    record: type[_Type]
    group: str
    built_in: Mapping[str, str]


_CHANNEL = _Kind("channel", ChannelType, "sidecar.channels", CHANNELS)
_RUNTIME = _Kind("runtime", RuntimeType, "sidecar.runtimes", RUNTIMES)
_CONTEXT = _Kind("context", ContextType, "sidecar.context", CONTEXTS)


@cache
def channel_type(name: str) -> ChannelType:
    """The channel type of a name. Raises PluginError."""
    return _loaded(_CHANNEL, name)


@cache
def runtime_type(name: str) -> RuntimeType:
    """The runtime type of a name. Raises PluginError."""
    return _loaded(_RUNTIME, name)


@cache
def context_type(name: str) -> ContextType:
    """The type of a context provider. Raises PluginError."""
    return _loaded(_CONTEXT, name)


def import_types(named: Iterable[tuple[ComponentKind, str]]) -> None:
    """Import types that will be used soon. Blocks, so that using them does not.

    One that cannot be imported is told when it is used, and tried again here.
    """
    for kind, name in named:
        _failed.pop((kind, name), None)
        try:
            _FIND[kind](name)
        except PluginError as error:
            _failed[kind, name] = str(error)


def installed(kind: ComponentKind) -> list[str]:
    """The names for which other packages register types of a kind, usable or not, in order.

    A name that is built in is not among them: it means the built-in type.
    """
    found = {point.name for point in _entry_points(_KINDS[kind].group)}
    return sorted(found.difference(_KINDS[kind].built_in))


def options(kind: ComponentKind, name: str) -> Mapping[str, object]:
    """The JSON Schema of the options of a type. Raises PluginError."""
    return _FIND[kind](name).options


_KINDS: Mapping[ComponentKind, _Kind[ChannelType] | _Kind[RuntimeType] | _Kind[ContextType]] = {
    kind.word: kind for kind in (_CHANNEL, _RUNTIME, _CONTEXT)
}
_FIND: Mapping[ComponentKind, Callable[[str], ChannelType | RuntimeType | ContextType]] = {
    "channel": channel_type,
    "runtime": runtime_type,
    "context": context_type,
}
_failed: dict[tuple[ComponentKind, str], str] = {}
"""Why types could not be imported when that was tried last."""


def _loaded(kind: _Kind[_Type], name: str) -> _Type:
    if name in kind.built_in:
        module, _, attribute = kind.built_in[name].partition(":")
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]  # our table
    if (kind.word, name) in _failed:
        raise PluginError(_failed[kind.word, name])
    point = _registered(kind, name)
    told = f"the {kind.word} type {name!r} of {_package(point)}"
    found = _imported(point, told)
    if not isinstance(found, kind.record):
        raise PluginError(f"{told}: {point.value} is no {kind.record.__name__}")
    if found.name != name:
        raise PluginError(f"{told}: {point.value} calls itself {found.name!r}")
    if kind.record is ContextType and name in NAMES:
        raise PluginError(f"{told}: in templates, {name!r} means something else")
    return found


def _registered(kind: _Kind[_Type], name: str) -> "EntryPoint":
    found = [point for point in _entry_points(kind.group) if point.name == name]
    if not found:
        known = ", ".join([*kind.built_in, *installed(kind.word)])
        raise PluginError(f"unknown {kind.word} type {name!r}: known are {known}")
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found)))
        raise PluginError(f"the {kind.word} type {name!r} is registered by {packages}")
    return found[0]


def _imported(point: "EntryPoint", told: str) -> object:
    invalidate_caches()  # it may have been installed since this process looked
    try:
        # What a package prints when it is imported is no part of what a command prints.
        with redirect_stdout(sys.stderr):
            return point.load()
    except (Exception, SystemExit) as error:  # a package can do anything when it is imported
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise PluginError(f"{told} cannot be imported: {reason}") from error


def _entry_points(group: str) -> "tuple[EntryPoint, ...]":
    from importlib.metadata import entry_points  # megabytes that only those with plug-ins pay

    return tuple(entry_points(group=group))


def _package(point: "EntryPoint") -> str:
    return "an unknown package" if point.dist is None else point.dist.name
