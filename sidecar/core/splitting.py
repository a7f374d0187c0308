"""An answer into the pieces that a channel can carry.

A piece ends where a reader would pause: after a paragraph, else a line, a sentence, a word. Where
that is inside a code fence, the fence is closed there and opened again in the next piece.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.core.sanitise import cut
from sidecar.model import NO_REPLY

_AROUND = " \t\n\r\v\f\u00a0\ufeff`'\"“”‘’."  # noqa: RUF001 - quotes
"""What may stand around the word of silence."""
_BREAKS = (
    re.compile(r"\n(?:[^\S\n]*\n)+"),
    re.compile(r"\n"),
    re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)\]]))[^\S\n]+|(?<=[。！？])(?=\S)"),  # noqa: RUF001 - full stops
    re.compile(r"[^\S\n]+"),
)
"""Where a piece may end, best first. What is matched, white space, is left out."""
_LOOK_AHEAD = 16
"""Characters of white space that are looked at after the last place where a piece may end."""
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)*")
_INK = re.compile(r"\S")


def answer(text: str, silence: str | None = NO_REPLY) -> str | None:
    """What is to be sent of an agent's text: None when it is empty or says only `silence`.

    Blanks, quotes, backticks and full stops may stand around the word. A last line that says so
    after a text is left out; within a text the word stays. None: no word is silence.
    """
    text = text.strip().strip("\ufeff").strip()
    body, _, last = text.rpartition("\n")
    if _says(last, silence) and not _says(text, silence):
        text = body.rstrip()
    return None if not text or _says(text, silence) else text


def _says(text: str, word: str | None) -> bool:
    return text.strip(_AROUND) == word


def split(text: str, limit: int | None) -> list[str]:
    """The pieces of a text, of at most `limit` characters each; None is no limit.

    Nothing is lost but white space where two pieces meet.
    """
    if limit is None or len(text) <= limit:
        return [text] if text.strip() else []
    return list(_Splitter(text, limit).pieces())


@dataclass(frozen=True, slots=True)
class _Fence:
    """A fenced code block in a text, by indexes into it.

    Its first line is at `start`, the first visible character of its content at `ink`; its last
    line begins at `last` and ends at `end`. `open` and `close` go around a part of the content.
    """

    start: int
    ink: int
    last: int
    end: int
    open: str
    close: str


_FENCE_LINE = re.compile(
    r"^((?:[ \t]*+(?:[-*+>]|\d{1,9}+[.)]))*+[ \t]*+)(`{3,}+|~{3,}+)(.*)$", re.MULTILINE
)
"""What stands before the fence (quotes, list markers, blanks), the fence, and its info string."""


def _fences(text: str, longest: int) -> Iterator[_Fence]:
    """The fences of a text; a line longer than `longest` neither opens nor closes one."""
    opened: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        _, marks, info = line.groups()
        if len(line[0]) > longest:
            continue
        if opened is None:
            if marks[0] == "~" or "`" not in info:
                opened = line
        elif marks.startswith(opened[2]) and not info.strip():
            yield _fence(text, opened, line.start(), line.end())
            opened = None
    if opened is not None:
        yield _fence(text, opened, len(text) + 1, len(text) + 1)


def _fence(text: str, opened: re.Match[str], last: int, end: int) -> _Fence:
    ink = _INK.search(text, opened.end(), last)
    indent = re.sub(r"[^\s>]", " ", opened[1])
    return _Fence(
        start=opened.start(),
        ink=ink.start() if ink else last,
        last=last,
        end=end,
        open=f"{indent}{opened[2]}{opened[3]}\n",
        close=f"\n{indent}{opened[2]}",
    )


class _Splitter:
    """Cuts one text into pieces of at most `limit` characters."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        # A quarter each: opening and closing a fence again leave half of a piece to its content.
        self._fences = list(_fences(text, longest=limit // 4 - 1))
        self._starts = [fence.start for fence in self._fences]

    def pieces(self) -> Iterator[str]:
        """The pieces, none of them blank."""
        start, fence = 0, None
        while True:
            opening = fence.open if fence else ""
            if fence is None:
                start = self._after_blank_lines(start)
            if start >= len(self._text):
                return
            most = start + self._limit - len(opening)
            end, after = self._end(start, most)
            if (torn := self._fence_at(end)) is not None:
                end, after = self._end(start, most - len(torn.close))
            fence = self._fence_at(end)
            body = self._text[start:end]
            if body.strip():
                yield f"{opening}{body}{fence.close if fence else ''}"
            if fence and _INK.search(self._text, after, fence.last) is None:
                after, fence = fence.end, None
            start = after

    def _after_blank_lines(self, start: int) -> int:
        blank = _BLANK_LINES.match(self._text, start, start + self._limit)
        return blank.end() if blank else start

    def _fence_at(self, index: int) -> _Fence | None:
        """The fence that would be torn in two at an index."""
        number = bisect_right(self._starts, index - 1) - 1
        return self._fences[number] if number >= 0 and index < self._fences[number].end else None

    def _end(self, start: int, most: int) -> tuple[int, int]:
        """Where the piece from `start` to at most `most` ends, and where the next one begins."""
        if most >= len(self._text):
            return len(self._text), len(self._text)
        found = _INK.search(self._text, start, most)
        ink = found.start() if found else most
        for pattern in _BREAKS:
            places = [
                match.span()
                for match in pattern.finditer(self._text, ink, most + _LOOK_AHEAD)
                if match.start() <= most
            ]
            for end, after in reversed(places):
                if self._may_end(end, ink):
                    return end, after
        end = start + len(cut(self._text[start : most + 1], most - start))
        fence = self._fence_at(end)
        if fence is not None and end >= fence.last:
            end = fence.last - 1
        return end, end

    def _may_end(self, end: int, ink: int) -> bool:
        """Whether a piece whose first visible character is at `ink` may end at an index."""
        fence = self._fence_at(end)
        return end > ink and (fence is None or fence.ink < end < fence.last)
