"""A progress block in words, the same for the page and the terminal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LONGEST = 4000
"""Characters of one line that are shown."""

LineKind = Literal["text", "thinking", "tool", "result", "note"]


@dataclass(frozen=True, slots=True)
class Line:
    """What a block tells: a piece of the answer, a thought, a tool's call, its result, a note."""

    kind: LineKind
    title: str
    text: str


def describe(block: Mapping[str, object]) -> Line | None:
    """What a block tells; None when there is nothing to show. Any object may come in."""
    payload = block.get("payload")
    if not isinstance(payload, dict):
        payload = {}
    match block.get("kind"):
        case "assistant" | "assistant_text":
            line = Line("text", "", _text(payload, "text"))
        case "thinking":
            return Line("thinking", _text(payload, "label") or "Thinking", _text(payload, "text"))
        case "tool_call" | "tool_use":
            return Line("tool", _text(payload, "name") or "tool", _text(payload, "params"))
        case "tool_result":
            return Line("result", _text(payload, "name"), _text(payload, "result"))
        case _:
            line = Line("note", "", _text(payload, "text"))
    return line if line.text else None


def _text(payload: Mapping[str, object], name: str) -> str:
    """A member as text: objects as JSON, nothing for what is not there."""
    value = payload.get(name)
    if value is None or value == {}:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
