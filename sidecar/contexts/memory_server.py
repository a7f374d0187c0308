"""The MCP server on standard input and output by which an agent changes its working memory.

It serves one account. What the rules forbid is told to the model as the error of its call.
"""

import json
import time
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from sidecar import __version__
from sidecar.contexts.memory_file import MemoryFile, memory_file
from sidecar.core import memory as rules
from sidecar.core.memory import Memory
from sidecar.errors import MemoryRefused, MemoryUnavailable

INSTRUCTIONS = """\
Your working memory: a goal, and sections of notes. You see it in every later turn, in every room \
of yours, and after a restart. Note what will matter then: decisions, promises, how people want \
things done. Keep it short, and bring it up to date instead of adding to it for ever.\
"""

_NAME = Field(
    description="`goal`, or the name of a section: letters, digits and underscores.",
    max_length=200,
)
_TEXT = Field(
    description="The whole new text; it takes the place of what is there. At most "
    f"{rules.LONGEST_GOAL} characters for the goal, {rules.LONGEST_SECTION} for a section, "
    f"{rules.LONGEST} for everything together."
)


def serve(state: Path, account: str) -> None:
    """Serve until standard input ends."""
    server(memory_file(state, account)).run("stdio")


def server(file: MemoryFile) -> MCPServer:
    """The server of one working memory."""
    made = MCPServer("sidecar", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    def memory_get() -> str:
        """Read your working memory as it is now: the goal and all sections, as JSON."""
        try:
            found = file.read() or Memory()
        except MemoryUnavailable as error:
            raise ToolError(str(error)) from error
        record = {"goal": found.goal, "sections": dict(found.sections)}
        return json.dumps(record, ensure_ascii=False, indent=2)

    @made.tool(structured_output=False)
    def memory_set(name: Annotated[str, _NAME], text: Annotated[str, _TEXT]) -> str:
        """Set the goal or one section of your working memory; what else is in it stays."""
        return _change(file, name, text)

    @made.tool(structured_output=False)
    def memory_delete(name: Annotated[str, _NAME]) -> str:
        """Delete the goal or one section of your working memory; what else is in it stays."""
        return _change(file, name, "")

    return made


def _change(file: MemoryFile, name: str, text: str) -> str:
    try:
        after = file.change(lambda memory: rules.changed(memory, name, text, time.time()))
    except (MemoryRefused, MemoryUnavailable) as error:
        raise ToolError(str(error)) from error
    done = "is set" if after.part(name.strip()) else "is not there any more"
    return f"{name.strip()} {done}. The memory has {after.size} of {rules.LONGEST} characters."
