"""What an ACP agent asks of its client: permissions and files, within the trust of the turn.

Nothing waits for a person. An owner's turn is allowed what it asks for, once and not for ever; a
trusted one may edit what is in its folder; a public one is refused everything but reading a file.
Whether a path is in the folder is for whoever can look: that is a `Wish`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.codecs.jsonrpc import Request
from sidecar.codecs.loose import Record, count_of, record_of, records_of, text_of
from sidecar.model import ToolServer, Trust

PERMISSION, READ, WRITE = "session/request_permission", "fs/read_text_file", "fs/write_text_file"

_EDITS = frozenset({"edit", "move", "delete"})
"""Kinds of tools that do nothing but change the files that they name."""
_ALLOW, _REJECT = ("allow_once", "allow_always"), ("reject_once", "reject_always")


@dataclass(frozen=True, slots=True)
class MayEdit:
    """Whether all of these paths may be written. The answer is the one or the other result."""

    request: Request
    paths: tuple[str, ...]
    allowed: Mapping[str, object]
    rejected: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The text of a file: all of it, or at most `most` lines from `first` on, counted from 1."""

    request: Request
    path: str
    first: int
    most: int | None


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A text that replaces a file, or becomes a new one."""

    request: Request
    path: str
    text: str


Wish = MayEdit | ReadFile | WriteFile


def capabilities(trust: Trust) -> Mapping[str, object]:
    """What the client offers. There are no terminals.

    An owner's agent looks after its files itself: through the client it would reach those of the
    folder only. A trusted one writes through the client, and reads by itself: Gemini CLI creates no
    file when it was the client who has told that there is none.
    """
    files = {"readTextFile": trust == "public", "writeTextFile": trust == "trusted"}
    return {"fs": files, "terminal": False}


def wish_of(
    request: Request, trust: Trust, servers: Sequence[ToolServer] = ()
) -> Wish | Mapping[str, object] | None:
    """What a request needs, or its result where nothing has to be looked at; None when the client
    does not know it, or offers it to other turns only."""
    params = request.params
    match request.method:
        case "session/request_permission":
            return _permission(request, trust, servers)
        case "fs/read_text_file":
            first, most = count_of(params, "line"), count_of(params, "limit")
            return ReadFile(request, _path(params), max(first or 1, 1), most)
        case "fs/write_text_file" if trust != "public":
            text = params.get("content")
            return WriteFile(request, _path(params), text if isinstance(text, str) else "")
    return None


def _permission(
    request: Request, trust: Trust, servers: Sequence[ToolServer]
) -> MayEdit | Mapping[str, object]:
    options = {
        kind: option
        for one in records_of(request.params, "options")
        if (kind := text_of(one, "kind")) and (option := text_of(one, "optionId"))
    }
    allowed = _outcome(options, _ALLOW)
    rejected = _outcome(options, _REJECT)
    tool = record_of(request.params, "toolCall")
    called = (text_of(tool, "name"), text_of(tool, "title"))
    if trust == "owner" or not _names(servers).isdisjoint(called):
        return allowed
    paths = (*_paths(tool, "locations"), *_paths(tool, "content"))
    if trust == "public" or text_of(tool, "kind") not in _EDITS or not paths:
        return rejected
    # What is allowed for good would hold for later turns too, whoever causes them.
    once = {kind: option for kind, option in options.items() if kind == "allow_once"}
    return MayEdit(request, paths, _outcome(once, _ALLOW), rejected)


def _names(servers: Sequence[ToolServer]) -> set[object]:
    """What agents call the tools of these servers: Claude, and Gemini."""
    named = [(server.name, tool) for server in servers for tool in server.tools]
    calls = [(f"mcp__{name}__{tool}", f"{tool} ({name} MCP Server)") for name, tool in named]
    return {call for both in calls for call in both}


def _outcome(options: Mapping[str, str], kinds: tuple[str, ...]) -> Mapping[str, object]:
    """The first option of one of these kinds; without one, that nobody has decided."""
    found = next((options[kind] for kind in kinds if kind in options), None)
    if found is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": found}}


def _paths(tool: Record, name: str) -> tuple[str, ...]:
    paths = (one.get("path") for one in records_of(tool, name))
    return tuple(path for path in paths if isinstance(path, str))


def _path(params: Record) -> str:
    path = params.get("path")
    return path if isinstance(path, str) else ""
