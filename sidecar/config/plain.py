"""Values that are written plainly, as almost all are, read without a YAML parser.

A parser in Python takes seconds for a large config. What is read here means the same to any YAML
parser; whatever is not sure to is not read at all, and is left to the parser.
"""

import re
from dataclasses import dataclass, field

from sidecar.config.scalars import resolve

MAX_DEPTH = 10
"""Mappings and lists inside each other; deeper ones are left to the parser."""

_WORDS = r"(?:[A-Za-z0-9_./~$]|--?(?=[A-Za-z0-9]))(?:[A-Za-z0-9_./~$+@=%-]|:(?=[A-Za-z0-9/]))*"
_PLAIN = rf"{_WORDS}(?: {_WORDS})*"
_QUOTED = r'"([^"\\]*)"|\'([^\']*)\''
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(?: +|$)")
_SCALAR = re.compile(rf"(?:({_PLAIN})|{_QUOTED})(?: +#.*| *)$")
_ATOM = re.compile(rf"({_PLAIN})|{_QUOTED}")
_BLANK = re.compile(r" *(?:#.*)?$")
_END = re.compile(r"(?: +#.*| *)$")


class NotPlain(Exception):
    """The parser has to read it."""


@dataclass(slots=True)
class Plain:
    """A list item that was read. `lines` tells for each of its keys on which of the given lines,
    counted from 0, the value begins; `blocks` are the keys with a block scalar."""

    data: dict[str, object]
    lines: dict[str, int] = field(default_factory=dict)
    blocks: set[str] = field(default_factory=set)


def read_item(lines: list[str]) -> Plain:
    """Read an item of a list, a mapping, from its lines: the first one begins with `- `.

    Raises NotPlain.
    """
    reader = _Reader(lines)
    start = lines[0].index("-")
    data = reader.value_after(lines[0][start + 1 :], start + 1, start, 1)
    if not isinstance(data, dict) or reader.skip_blank():
        raise NotPlain
    return Plain(data, reader.key_lines, reader.key_blocks)


class _Reader:
    """Reads a block of lines from the top down."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self.key_lines: dict[str, int] = {}
        self.key_blocks: set[str] = set()

    def skip_blank(self) -> bool:
        """Go to the next line that holds something; whether there is one."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.isprintable():
                raise NotPlain
            if not _BLANK.match(line):
                return True
            self._at += 1
        return False

    def value_after(self, rest: str, column: int, indent: int, depth: int) -> object:
        """The value that follows a `-` or a key, on its line or below. `rest` of the line begins
        at a column; what is below is further to the right than `indent`."""
        text = rest.lstrip(" ")
        column += len(rest) - len(text)
        if depth > MAX_DEPTH or not rest.isprintable():
            raise NotPlain
        if _BLANK.match(rest):
            self._at += 1
            return self._below(indent, depth)
        if _KEY.match(text) and rest != text:
            return self._mapping(text, column, depth)
        if text.startswith("- "):
            raise NotPlain
        self._at += 1
        found = _inline(text, depth)
        if self.skip_blank() and _indent(self._lines[self._at]) > indent:
            raise NotPlain  # it goes on below
        return found

    def _below(self, indent: int, depth: int) -> object:
        if not self.skip_blank():
            return None
        line = self._lines[self._at]
        column = _indent(line)
        if line.startswith("- ", column):
            return self._list(column, depth) if column > indent else None
        return self._mapping(line[column:], column, depth) if column > indent else None

    def _mapping(self, text: str, column: int, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while True:
            key = _KEY.match(text)
            if key is None or key[1] in found or not isinstance(resolve(key[1]), str):
                raise NotPlain
            name, rest = key[1], text[key.end() :]
            if depth == 1:
                self.key_lines[name] = self._at
            found[name] = self._value(name, rest, column, depth + 1)
            if not self.skip_blank():
                return found
            line = self._lines[self._at]
            if _indent(line) != column or line.startswith("- ", column):
                if _indent(line) > column:
                    raise NotPlain
                return found
            text = line[column:]

    def _value(self, name: str, rest: str, column: int, depth: int) -> object:
        """The value of a key that begins at a column."""
        if rest[:1] == "|":
            if depth == 2:
                self.key_blocks.add(name)
            return self._block(rest, column)
        if not _BLANK.match(rest):
            if depth > MAX_DEPTH or _KEY.match(rest):
                raise NotPlain
            self._at += 1
            found = _inline(rest, depth)
            if self.skip_blank() and _indent(self._lines[self._at]) > column:
                raise NotPlain
            return found
        self._at += 1
        if self.skip_blank():
            line = self._lines[self._at]
            if _indent(line) == column and line.startswith("- ", column):
                return self._list(column, depth)
        return self._below(column, depth)

    def _list(self, column: int, depth: int) -> list[object]:
        found: list[object] = []
        while self.skip_blank():
            line = self._lines[self._at]
            if _indent(line) != column or not line.startswith("- ", column):
                if _indent(line) > column:
                    raise NotPlain
                break
            found.append(self.value_after(line[column + 1 :], column + 1, column, depth + 1))
        return found

    def _block(self, mark: str, indent: int) -> str:
        """The text of a block scalar that keeps its lines."""
        if mark.rstrip() not in ("|", "|-"):
            raise NotPlain
        self._at += 1
        texts: list[str] = []
        column = 0
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.isprintable():
                raise NotPlain
            if line.strip(" "):
                column = column or _indent(line)
                if _indent(line) < column or column <= indent:
                    break
            elif len(line) > column or not column:
                raise NotPlain  # spaces at the end, or blank lines at the beginning
            texts.append(line[column:])
            self._at += 1
        text = "\n".join(texts).rstrip("\n")
        if not text:
            raise NotPlain
        return text if mark.startswith("|-") else f"{text}\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


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
    if key is None or not isinstance(resolve(key[1]), str):
        raise NotPlain
    return key[1], key.end()


def _spaces(text: str, at: int) -> int:
    while text[at : at + 1] == " ":
        at += 1
    return at
