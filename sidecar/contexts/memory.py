"""The context `memory`: what the account's agent has noted, read anew for every turn."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.contexts.memory_file import file_path, memory_file
from sidecar.core.memory import Memory, neutral
from sidecar.model import ToolServer

SERVER = "sidecar"
"""The name of the tool server, of which agents make a part of the names of its tools."""
TOOLS = ("memory_get", "memory_set", "memory_delete")

FRESH = 60.0
"""Seconds after which a file is read again though it seems to be the same: where there is none, one
of the BotCord daemon may have come."""
MOST_KNOWN = 1000
"""Accounts whose memory is kept."""

_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from sidecar.cli import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file held when it had this signature, as it is shown to agents without and with the
    tools; for how long that is believed."""

    path: str
    signature: tuple[int, ...]
    until: float
    shown: tuple[object, object]


class MemoryProvider:
    """Reads the working memories of a state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._known: dict[str, _Known] = {}

    def value(self, asked: Asked) -> object:
        """The goal on one line, the sections with their names, when it was changed (in seconds
        since the epoch, or None), its size in characters, and whether the turn's agent has the
        tools that change it.

        Raises:
            MemoryUnavailable: it cannot be read.
        """
        known = self._known.get(asked.message.account)
        # A look at the file takes microseconds, which is less than another thread costs.
        if known is None or asked.now > known.until or known.signature != _signature(known.path):
            return self._read(asked)
        return known.shown[SERVER in asked.tools]

    async def _read(self, asked: Asked) -> object:
        account = asked.message.account
        path = os.fspath(file_path(self._state, account))
        signature = _signature(path)
        memory = await asyncio.to_thread(memory_file(self._state, account).read) or Memory()
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        both = shown(memory, tool=False), shown(memory, tool=True)
        self._known[account] = _Known(path, signature, asked.now + FRESH, both)
        return both[SERVER in asked.tools]

    async def close(self) -> None:
        """Nothing is held."""


def _signature(path: str) -> tuple[int, ...]:
    """What is another one when the file is; each change puts another file in its place."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- a Path costs several times as much
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def shown(memory: Memory, *, tool: bool) -> dict[str, object]:
    """A memory as templates see it: nothing in its texts passes for a tag around a section."""
    return {
        "goal": neutral(" ".join(memory.goal.split())),
        "sections": [
            {"name": name, "text": neutral(text)} for name, text in memory.sections.items()
        ],
        "updated_at": memory.updated_at,
        "size": memory.size,
        "tool": tool,
    }


def tool_server(state: Path, account: str) -> ToolServer:
    """The program by which an agent changes the memory of one account, and of no other."""
    # It must not take modules from the folder in which it happens to run.
    program = ("-I", "-c", _PROGRAM, json.dumps([entry for entry in sys.path if entry]))
    return ToolServer(
        name=SERVER,
        command=sys.executable,
        args=(*program, "mcp", f"--state={state}", f"--account={account}"),
        tools=TOOLS,
    )


def build(options: Mapping[str, object], host: Host) -> ContextProvider:
    """A provider of this type."""
    return MemoryProvider(host.state)


MEMORY = ContextType(
    "memory",
    {"type": "object", "additionalProperties": False},
    build,
    empty=shown(Memory(), tool=False),
)
