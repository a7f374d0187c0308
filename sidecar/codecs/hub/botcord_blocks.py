"""The blocks of a turn on their way to the owner's dashboard: merged, capped and numbered.

The dashboard puts the texts of `assistant` blocks one after the other, so that what was shown in
pieces is not shown again as a whole.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from sidecar.codecs.loose import clean
from sidecar.model import Block

MOST_BLOCKS = 200
"""Blocks of one turn that the Hub passes on; it drops the rest in silence."""
MOST_PARTIAL = 100
"""Of these, pieces of text: the rest is kept for what the agent does."""
LONGEST_DETAIL = 4096
"""Characters of a tool's input or output that leave this machine."""
LONGEST_TEXT = 32768
"""Characters of one piece of the answer."""


class BlockFeed:
    """Takes blocks as they come and gives them as the Hub wants them."""

    def __init__(self, *, most: int = MOST_BLOCKS, most_partial: int = MOST_PARTIAL) -> None:
        self._most = most
        self._most_partial = most_partial
        self._queue: deque[Block] = deque()
        self._pieces: list[str] = []  # of the text of the last block that waits
        self._shown = 0
        self._shown_partial = 0
        self._said = ""
        self._thinking = False

    def add(self, block: Block) -> bool:
        """Queue a block; False when there is no room for it."""
        if block.kind == "thinking":
            if self._thinking:
                return True
        elif block.partial and block.kind != "assistant":
            return True
        self._thinking = block.kind == "thinking"
        if self._pieces and block.kind == "assistant":
            if block.partial:
                self._pieces.append(block.text)
            else:
                self._queue[-1], self._pieces = block, []
            return True
        if self._shown + len(self._queue) >= self._most:
            return False
        self._join()
        self._queue.append(block)
        if block.kind == "assistant" and block.partial:
            self._pieces = [block.text]
        return True

    def take(self) -> dict[str, object] | None:
        """The next block as the Hub wants it, None when nothing waits. `seq` counts from 1."""
        while self._queue:
            if len(self._queue) == 1:
                self._join()
            block = self._queue.popleft()
            if block.kind == "assistant" and not (block := self._unsaid(block)).text:
                continue
            self._shown += 1
            return {"kind": _KINDS[block.kind], "seq": self._shown, "payload": _payload(block)}
        return None

    def _join(self) -> None:
        """Let the last block have its text, to which no more is added then."""
        if self._pieces:
            self._queue[-1] = replace(self._queue[-1], text="".join(self._pieces))
            self._pieces = []

    def _unsaid(self, block: Block) -> Block:
        """The block without what was shown before; without text when nothing is left."""
        if not block.partial:
            said, self._said = self._said, ""
            return replace(block, text=block.text.removeprefix(said))
        if self._shown_partial >= self._most_partial:
            return replace(block, text="")
        self._shown_partial += 1
        self._said += block.text
        return block


_KINDS = {
    "assistant": "assistant",
    "thinking": "thinking",
    "tool_use": "tool_call",
    "tool_result": "tool_result",
    "system": "system",
    "other": "other",
}


def _payload(block: Block) -> dict[str, object]:
    match block.kind:
        case "assistant":
            return {"text": _cut(block.text, LONGEST_TEXT)}
        case "thinking":
            return {"phase": "started", "label": "Thinking"}
        case "tool_use":
            call: dict[str, object] = {"name": block.name or "tool", "params": _params(block.input)}
            return {**call, "id": block.id} if block.id else call
        case "tool_result":
            result: dict[str, object] = {"result": _cut(block.text, LONGEST_DETAIL)}
            if block.name:
                result["name"] = block.name
            return {**result, "tool_use_id": block.id} if block.id else result
        case _:
            return {"text": _cut(block.text, LONGEST_DETAIL), "subtype": block.name}


def _params(given: Mapping[str, object]) -> dict[str, object]:
    try:
        text = clean(json.dumps(dict(given), ensure_ascii=False, allow_nan=False))
        if len(text) > LONGEST_DETAIL:
            return {"cut": _cut(text, LONGEST_DETAIL)}
        params: dict[str, object] = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return params


def _cut(text: str, most: int) -> str:
    text = clean(text)
    return text if len(text) <= most else text[: most - 1] + "…"
