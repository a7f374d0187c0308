"""What an ACP agent tells while it works: its `session/update`s become blocks, and the answer.

The answer is what it says after the last use of a tool; what it said before is progress. A tool is
shown as soon as its input is known: some agents announce it before, some never do. What is unknown
or has another shape than expected is passed on as `other`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.codecs.loose import Record, clean, record_of, records_of, text_of
from sidecar.codecs.outcome import Answer
from sidecar.model import Block

_ENDS = {"completed": False, "failed": True}
"""The last states of a tool, and whether it failed."""
_SILENT = frozenset(
    {
        "available_commands_update",
        "config_option_update",
        "session_info_update",
        "usage_update",
        "user_message_chunk",
    }
)
_OUTPUTS = ("output", "formatted_output", "error", "message")
"""Where agents put what a tool printed, below `rawOutput`."""
MOST_TOOLS = 1000
"""Uses of tools that are remembered, the last ones."""
LONGEST_ID = 200
"""Characters of the id of one use that count."""


@dataclass(slots=True)
class _Tool:
    """One use of a tool: what is known before it is shown, and how far it is."""

    name: str = ""
    kind: str = ""
    title: str = ""
    shown: bool = False
    ended: bool = False


class Updates:
    """The blocks of one turn, and its answer of at most `output` bytes."""

    def __init__(self, output: int) -> None:
        self.answer = Answer(output)
        self._message = ""
        self._after_tool = False
        self._tools: dict[str, _Tool] = {}

    def feed(self, update: Record) -> Iterator[Block]:
        """Take one `update`."""
        match text_of(update, "sessionUpdate"):
            case "agent_message_chunk":
                yield from self._said(update)
            case "agent_thought_chunk":
                text = content_text(record_of(update, "content"))
                if text:
                    yield Block("thinking", text, partial=True)
            case "tool_call" | "tool_call_update":
                yield from self.tool(update)
            case "plan":
                yield Block("other", _plan(update), name="plan")
            case kind if kind not in _SILENT:
                yield Block("other", name=kind or "")

    def tool(self, told: Record, *, begun: bool = False) -> Iterator[Block]:
        """Take what is told about a tool. `begun`: it is about to run, whatever its state says."""
        identity = (text_of(told, "toolCallId") or "")[:LONGEST_ID]
        tool = self._tools.setdefault(identity, _Tool())
        if len(self._tools) > MOST_TOOLS:
            del self._tools[next(iter(self._tools))]
        if tool.ended:
            return
        self._after_tool = True
        status, given = text_of(told, "status") or "pending", record_of(told, "rawInput")
        if not tool.shown:
            tool.name = text_of(told, "name") or tool.name
            tool.kind = text_of(told, "kind") or tool.kind
            tool.title = text_of(told, "title") or tool.title
            tool.shown = begun or status != "pending" or bool(given)
            if tool.shown:
                name = tool.name or tool.kind or "tool"
                yield Block("tool_use", tool.title, name, identity, given)
        if status in _ENDS:
            tool.ended = True
            yield Block("tool_result", _result(told), id=identity, failed=_ENDS[status])

    def _said(self, update: Record) -> Iterator[Block]:
        text = content_text(record_of(update, "content"))
        if not text:
            return
        message = text_of(update, "messageId") or ""
        if self._after_tool:
            self.answer.replace(text)
        elif message != self._message and self.answer.text:
            self.answer.add_part(text)
        else:
            self.answer.add(text)
        self._after_tool, self._message = False, message
        yield Block("assistant", text, partial=True)


def content_text(content: Record) -> str:
    """The text of a content block; of a link, where it leads to; empty for pictures and sounds."""
    match content.get("type"):
        case "text":
            text = content.get("text")
            return clean(text) if isinstance(text, str) else ""
        case "resource_link":
            return text_of(content, "uri") or ""
        case "resource":
            return text_of(record_of(content, "resource"), "text") or ""
    return ""


def _result(tool: Record) -> str:
    """What a tool printed or changed, as a text."""
    parts = []
    for content in records_of(tool, "content"):
        if content.get("type") == "diff":
            parts.append(text_of(content, "path") or "")
        else:
            parts.append(content_text(record_of(content, "content")))
    text = "\n".join(part for part in parts if part)
    if text:
        return text
    raw = tool.get("rawOutput")
    if isinstance(raw, str):
        return clean(raw)
    if not isinstance(raw, dict):
        return ""
    found = (text_of(raw, name) for name in _OUTPUTS)
    return next((text for text in found if text), json.dumps(raw))


def _plan(update: Record) -> str:
    return "\n".join(
        f"[{'x' if entry.get('status') == 'completed' else ' '}] {text_of(entry, 'content') or ''}"
        for entry in records_of(update, "entries")
    )
