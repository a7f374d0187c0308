"""The lines of which agents print thousands: pieces of a text, decoded a whole read at a time.

Each shape names what its codec reads of such a line. Lines of any other shape are left to the
codec's `feed`, which knows what else there is; it makes the same of these. Imported when an agent
prints something, like `msgspec` itself.
"""

from dataclasses import fields
from typing import ClassVar, Generic, TypeVar

import msgspec

from sidecar.model import Block, BlockKind

MOST = 1 << 17
"""Bytes that are looked at in one go: in more than a read brings, there is a long line."""

T = TypeVar("T")

_kind, _text, _name, _id, _input, _failed, _partial = (
    vars(Block)[field.name].__set__ for field in fields(Block)
)


def partial(kind: BlockKind, text: str) -> Block:
    """A piece as an event: a `Block` that is `partial`.

    Its constructor, like that of any frozen dataclass, would take three times as long.
    """
    block = object.__new__(Block)
    _kind(block, kind)
    _text(block, text)
    _name(block, "")
    _id(block, "")
    _input(block, {})
    _failed(block, False)
    _partial(block, True)
    return block


class Pieces(Generic[T]):
    """Decodes lines of one shape."""

    def __init__(self, shape: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(list[shape])  # type: ignore[valid-type]

    def read(self, lines: bytes) -> list[T] | None:
        """What whole lines, with their ends, hold; None when one of them is of another shape."""
        if not lines:
            return []
        if len(lines) > MOST:
            return None
        # As an array, of which the length is known: msgspec's `decode_lines` takes any white space
        # for the end of a line, so two objects on one line, and one on two lines, too.
        array = lines.replace(b"\n", b",\n")
        count = len(array) - len(lines)
        try:
            found = self._decoder.decode(b"".join((b"[", memoryview(array)[:-2], b"]")))
        except (ValueError, RecursionError):
            return None
        return found if len(found) == count else None


class Struct(msgspec.Struct, gc=False):
    """A part of a line. Nothing in it can refer to it, which spares the garbage collector work."""


class ClaudeText(Struct, tag="text_delta"):
    """What Claude Code says."""

    kind: ClassVar[BlockKind] = "assistant"
    text: str


class ClaudeThought(Struct, tag="thinking_delta"):
    """What it thinks."""

    kind: ClassVar[BlockKind] = "thinking"
    text: str = msgspec.field(name="thinking")


class ClaudeEvent(Struct):
    """An event of the model's API."""

    delta: ClaudeText | ClaudeThought


class ClaudePiece(Struct, tag="stream_event"):
    """A line of `claude --include-partial-messages`, but of a subagent."""

    event: ClaudeEvent
    parent_tool_use_id: None = None


class GeminiPiece(Struct, tag="message"):
    """A line of Gemini CLI. `delta` may be anything."""

    content: str
    role: str | None = None
    delta: object = None


class AgentPiece(Struct, tag="text"):
    """A line of an agent that speaks the protocol `ndjson`."""

    text: str


CLAUDE = Pieces(ClaudePiece)
GEMINI = Pieces(GeminiPiece)
AGENT = Pieces(AgentPiece)
