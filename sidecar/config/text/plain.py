"""Values that are written plainly, as almost all are, read without a YAML parser.

A parser in Python takes seconds for a large config. What is read here means the same to any YAML
parser; whatever is not sure to is not read at all, and is left to the parser.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, TypeVar

from sidecar.config.text.scalars import resolve

MAX_DEPTH = 10
"""Mappings and lists inside each other; deeper ones are left to the parser."""

_WORDS = r"(?:[A-Za-z0-9_./~$]|--?(?=[A-Za-z0-9]))(?:[A-Za-z0-9_./~$+@=%-]|:(?=[A-Za-z0-9/]))*"
_PLAIN = rf"{_WORDS}(?: {_WORDS})*"
_QUOTED = r'"([^"\\]*)"|\'([^\']*)\''
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,99}):(?: +|$)")
_SCALAR = re.compile(rf"(?:({_PLAIN})|{_QUOTED})(?: +#.*| *)$")
_ATOM = re.compile(rf"({_PLAIN})|{_QUOTED}")
_END = re.compile(r"(?: +#.*| *)$")
_ITEM = "- "
_Read = TypeVar("_Read")


class NotPlain(Exception):
    """The parser has to read it."""


@dataclass(slots=True)
class Plain:
    """A list item that was read. `lines` tells for each of its keys on which of the given lines,
    counted from 0, the value begins; `blocks` are the keys with a block scalar."""

    data: dict[str, object]
    lines: dict[str, int] = field(default_factory=dict)
    blocks: set[str] = field(default_factory=set)


class _Row(NamedTuple):
    """What a line holds, and the column where that begins."""

    number: int
    column: int
    text: str


def read_item(lines: list[str]) -> Plain:
    """Read an item of a list, a mapping, from its lines: the first one begins with its dash.

    Raises NotPlain.
    """
    reader = _Reader(lines)
    data = reader.item(1)
    if not isinstance(data, dict) or reader.row.number < len(lines):
        raise NotPlain
    return Plain(data, reader.key_lines, reader.key_blocks)


class _Reader:
    """Reads lines from the top down; `row` is the next one that is neither blank nor a comment,
    and after the last one stands left of all of them."""

    def __init__(self, lines: list[str]) -> None:
        if not "".join(lines).isprintable():
            raise NotPlain
        self._lines = lines
        self._rows = [
            _Row(number, len(line) - len(text), text)
            for number, line in enumerate(lines)
            if (text := line.lstrip(" ")) and text[0] != "#"
        ]
        self._rows.append(_Row(len(lines), -1, ""))
        self._at = 0
        self.row = self._rows[0]
        self.key_lines: dict[str, int] = {}
        self.key_blocks: set[str] = set()

    def _advance(self) -> None:
        self._at += 1
        self.row = self._rows[self._at]

    def item(self, depth: int) -> object:
        """The value of the list item whose dash begins the row."""
        number, column, text = self.row
        value = text[1:].lstrip(" ")
        if not value or value[0] == "#":
            self._advance()
            return self._below(column, depth)
        if not _KEY.match(value):
            return self._on_line(value, column, depth)
        self.row = _Row(number, column + len(text) - len(value), value)
        return self._mapping(depth)

    def _below(self, column: int, depth: int) -> object:
        """The value of what began at a column in a line above; it stands further to the right."""
        if self.row.column <= column:
            return None
        return self._list(depth) if self.row.text.startswith(_ITEM) else self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, object]:
        if depth > MAX_DEPTH:
            raise NotPlain
        found: dict[str, object] = {}
        column = self.row.column
        while self.row.column == column:
            key = _KEY.match(self.row.text)
            if key is None or key[1] in found or not _is_text(key[1]):
                raise NotPlain
            if depth == 1:
                self.key_lines[key[1]] = self.row.number
            found[key[1]] = self._value(key, depth + 1)
        return self._ended(found, column)

    def _value(self, key: re.Match[str], depth: int) -> object:
        """The value of the key that begins the row."""
        column, value = self.row.column, self.row.text[key.end() :]
        if value[:1] == "|":
            if depth == 2:
                self.key_blocks.add(key[1])
            return self._block(value, column)
        if value and value[0] != "#":
            return self._on_line(value, column, depth)
        self._advance()
        if self.row.column == column and self.row.text.startswith(_ITEM):
            return self._list(depth)
        return self._below(column, depth)

    def _list(self, depth: int) -> list[object]:
        if depth > MAX_DEPTH:
            raise NotPlain
        found: list[object] = []
        column = self.row.column
        while self.row.column == column and self.row.text.startswith(_ITEM):
            found.append(self.item(depth + 1))
        return self._ended(found, column)

    def _on_line(self, text: str, column: int, depth: int) -> object:
        """A value that stands on the line of what began at a column."""
        self._advance()
        return self._ended(_inline(text, depth), column)

    def _ended(self, found: _Read, column: int) -> _Read:
        """What began at a column, when it does not go on further to the right."""
        if self.row.column > column:
            raise NotPlain
        return found

    def _block(self, mark: str, above: int) -> str:
        """The text of a block scalar that keeps its lines, of a key at the column `above`."""
        if mark.rstrip() not in ("|", "|-"):
            raise NotPlain
        number, column = self.row.number + 1, 0
        texts: list[str] = []
        for line in self._lines[number:]:
            here = len(line) - len(line.lstrip(" "))
            if here < len(line):
                column = column or here
                if here < column or column <= above:
                    break
            elif here > column or not column:
                raise NotPlain  # spaces at the end, or blank lines at the beginning
            texts.append(line[column:])
        while self.row.number < number + len(texts):
            self._advance()
        text = "\n".join(texts).rstrip("\n")
        if not text:
            raise NotPlain
        return text if mark.startswith("|-") else f"{text}\n"


@cache
def _is_text(key: str) -> bool:
    return isinstance(resolve(key), str)


def _inline(text: str, depth: int) -> object:
    """A value that stands on one line."""
    found = _SCALAR.match(text)
    if found is not None:
        return _scalar(found)
    value, end = _flow(text, 0, depth)
    if not _END.match(text, end):
        raise NotPlain
    return value


def _scalar(found: re.Match[str]) -> object:
    plain, double, single = found.group(1, 2, 3)
    if plain is not None:
        return resolve(plain)
    return single if double is None else double


def _flow(text: str, at: int, depth: int) -> tuple[object, int]:
    """A value within brackets, and where it ends."""
    opening = text[at : at + 1]
    if opening not in ("[", "{") or depth > MAX_DEPTH:
        atom = _ATOM.match(text, at)
        if atom is None or opening in ("[", "{"):
            raise NotPlain
        return _scalar(atom), atom.end()
    found: dict[str | int, object] = {}
    closing = "]" if opening == "[" else "}"
    at = _spaces(text, at + 1)
    while text[at : at + 1] != closing:
        key: str | int = len(found)
        if opening == "{":
            key, at = _flow_key(text, at)
        if key in found:
            raise NotPlain
        found[key], at = _flow(text, at, depth + 1)
        at = _spaces(text, at)
        if text[at : at + 1] == "," and text[_spaces(text, at + 1) :][:1] != closing:
            at = _spaces(text, at + 1)
        elif text[at : at + 1] != closing:
            raise NotPlain
    return (list(found.values()) if opening == "[" else found), at + 1


def _flow_key(text: str, at: int) -> tuple[str, int]:
    """A key within brackets, and where its value begins."""
    key = _KEY.match(text, at)
    if key is None or not _is_text(key[1]):
        raise NotPlain
    return key[1], key.end()


def _spaces(text: str, at: int) -> int:
    while text[at : at + 1] == " ":
        at += 1
    return at
