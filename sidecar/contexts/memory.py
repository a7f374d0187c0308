"""The context `memory`: what the account's agent has noted, read anew for every turn."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.contexts.memory_file import memory_file
from sidecar.core.memory import Memory, neutral
from sidecar.model import ToolServer

SERVER = "sidecar"
"""The name of the tool server, of which agents make a part of the names of its tools."""
TOOLS = ("memory_get", "memory_set", "memory_delete")

_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from sidecar.cli import main
sys.exit(main())
"""


class MemoryProvider:
    """Reads the working memories of a state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def value(self, asked: Asked) -> object:
        """The goal on one line, the sections with their names, when it was changed (in seconds
        since the epoch, or None), its size in characters, and whether the turn's agent has the
        tools that change it.

        Raises:
            MemoryUnavailable: it cannot be read.
        """
        found = await asyncio.to_thread(self._read, asked.message.account)
        return shown(found or Memory(), tool=SERVER in asked.tools)

    def _read(self, account: str) -> Memory | None:
        return memory_file(self._state, account).read()

    async def close(self) -> None:
        """Nothing is held."""


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
