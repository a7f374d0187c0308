"""Component types by name. A built-in type is imported when it is first used."""

from importlib import import_module

from sidecar.api import ChannelType, RuntimeType
from sidecar.errors import PluginError

CHANNELS = {"botcord": "sidecar.channels.botcord:CHANNEL"}
RUNTIMES = {
    "claude-code": "sidecar.runtimes.claude_code:CLAUDE_CODE",
    "codex": "sidecar.runtimes.codex:CODEX",
    "gemini": "sidecar.runtimes.gemini:GEMINI",
    "command": "sidecar.runtimes.command:COMMAND",
}


def channel_type(name: str) -> ChannelType:
    """The channel type of a name. Raises PluginError."""
    found = _load(CHANNELS, name)
    if not isinstance(found, ChannelType):
        raise PluginError(f"channel type {name!r} is not a ChannelType")
    return found


def runtime_type(name: str) -> RuntimeType:
    """The runtime type of a name. Raises PluginError."""
    found = _load(RUNTIMES, name)
    if not isinstance(found, RuntimeType):
        raise PluginError(f"runtime type {name!r} is not a RuntimeType")
    return found


def _load(table: dict[str, str], name: str) -> object:
    if name not in table:
        raise PluginError(f"unknown type {name!r}: known are {', '.join(table)}")
    module, _, attribute = table[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"type {name!r} cannot be loaded: {error}") from error
