"""What is wrong with a configuration, and where; shown to people and to programs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]

Place = tuple[str | int, ...]
"""The way to a value from the root of a document: keys of mappings and indexes of lists."""

OF_A_TEMPLATE = "template-"
"""How the codes of problems in templates begin."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BOLD, _RED, _YELLOW, _BLUE, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file. Lines and columns count from 1; `width` characters are pointed at."""

    file: str
    line: int = 1
    column: int = 1
    width: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    `code` is stable and for programs, `path` the place in the document (`routes[0].cwd`), `hint`
    tells what to do, `related` is a second place such as the first of two equal keys.
    """

    code: str
    message: str
    position: Position
    path: str = ""
    hint: str = ""
    level: Level = "error"
    related: Position | None = None


def dotted(place: Place) -> str:
    """A place as people write it: `routes[0].cwd`; a key with odd characters is quoted."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def similar(word: str, known: Iterable[str]) -> str | None:
    """The known word that a mistyped one is most like, None when it is like none."""
    from difflib import get_close_matches  # only for a mistake, and the sidecar has made none

    return next(iter(get_close_matches(word, list(known), 1)), None)


def near(word: str, known: Iterable[str]) -> str:
    """The question whether a similar known word was meant, empty when none is similar."""
    found = similar(word, known)
    return "" if found is None else f"did you mean {found!r}?"


def render_text(
    problems: Sequence[Problem], sources: Mapping[str, str], *, colours: bool = False
) -> str:
    """All problems for people: message, excerpt with a caret, hint. `sources` are the files."""
    lines = {name: text.splitlines() for name, text in sources.items()}
    return "\n".join(_text(problem, lines, colours) for problem in problems)


def render_json(problems: Sequence[Problem]) -> str:
    """All problems as a JSON list of flat objects."""
    return json.dumps([_flat(problem) for problem in problems], ensure_ascii=False, indent=2)


def render_github(problems: Sequence[Problem]) -> str:
    """All problems as annotations of GitHub Actions.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    return "\n".join(_annotation(problem) for problem in problems)


def _text(problem: Problem, lines: Mapping[str, list[str]], colours: bool) -> str:
    tint = _RED if problem.level == "error" else _YELLOW
    head = f"{_where(problem.position)}: "
    level, message = f"{problem.level}:", f" {_visible(problem.message)}"
    if colours:
        head, level = f"{_BOLD}{head}{_RESET}", f"{_BOLD}{tint}{level}{_RESET}"
        message = f"{_BOLD}{message}{_RESET}"
    parts = [head + level + message, *_excerpt(problem.position, lines, tint if colours else "")]
    if problem.related is not None:
        parts.append(f"      = see also {_where(problem.related)}")
        parts += _excerpt(problem.related, lines, _BLUE if colours else "")
    if problem.code.startswith(OF_A_TEMPLATE):  # its file does not tell who uses it
        parts.append(f"      = used by {problem.path}")
    if problem.hint:
        parts.append(f"      = {_visible(problem.hint)}")
    return "\n".join(parts)


def _excerpt(position: Position, lines: Mapping[str, list[str]], tint: str) -> list[str]:
    written = lines.get(position.file, [])
    if not 0 < position.line <= len(written):
        return []
    line = _visible(written[position.line - 1])
    start = min(position.column - 1, len(line))
    width = max(1, min(position.width, len(line) - start))
    caret = "^" * width
    return [
        f"{position.line:5d} | {line}",
        f"      | {' ' * start}{tint}{caret}{_RESET if tint else ''}",
    ]


def _where(position: Position) -> str:
    return f"{position.file}:{position.line}:{position.column}"


def _visible(text: str) -> str:
    """The text on one line, without what could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in text)


def _flat(problem: Problem) -> dict[str, object]:
    place, related = problem.position, problem.related
    return {
        "level": problem.level,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "path": problem.path,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "width": place.width,
        "related": None if related is None else {
            "file": related.file, "line": related.line, "column": related.column
        },
    }  # fmt: skip


def _annotation(problem: Problem) -> str:
    place = problem.position
    fields = {
        "file": place.file,
        "line": str(place.line),
        "col": str(place.column),
        "endColumn": str(place.column + place.width),
        "title": problem.code,
    }
    told = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in fields.items())
    text = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
    return f"::{problem.level} {told}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
