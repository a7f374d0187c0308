"""What the YAML parser cannot read, in words for the person who wrote it."""

import re

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from sidecar.config.problems import Position, Problem

_HINTS = (
    ("\\t", "indent with spaces, not with tabs"),
    ("mapping values are not allowed", "a text that holds `: ` goes in quotes"),
    ("could not find expected ':'", "each line of a mapping is `key: value`"),
    ("expected <block end>", "lines that belong together begin in the same column"),
    ("did not find expected", "lines that belong together begin in the same column"),
    ("expected ',' or", "between { } and [ ], a text with brackets, or a ${…}, goes in quotes"),
    ("unexpected end of stream", "a quote or a bracket is not closed"),
    ("escape character", "in double quotes a backslash is written twice; single quotes take it"),
    ("cannot start any token", "a text that begins with @ ` % or & goes in quotes"),
)

_COMMENT = re.compile(r"(?<!\S)#")


def problem(error: Exception, text: str, near: Position) -> Problem:
    """The problem that an exception of the parser tells of. `near` is how far it has read."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return _marked(error, text, near.file)
    if isinstance(error, ReaderError):
        told = f"the character U+{error.character:04X} is not allowed"
        return Problem("yaml", told, Position(near.file, *_place(text, int(error.position))))
    return Problem("yaml", "this is no YAML", near, hint=str(error)[:200])


def _place(text: str, index: int) -> tuple[int, int]:
    """The line and the column of a character."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _broken_comment(text: str) -> str:
    """A hint where the last character that ends a line for the parser, and for few editors, is in
    a comment: it comes with what is pasted."""
    at = max(map(text.rfind, "\x85\u2028\u2029"))
    begin = text.rfind("\n", 0, max(at, 0)) + 1
    if at < 0 or not _COMMENT.search(text, begin, at):
        return ""
    line, column = _place(text, at)
    place = f"line {line}, column {column}"
    return f"the comment ends at an invisible U+{ord(text[at]):04X}, {place}: delete that"


def _marked(error: MarkedYAMLError, text: str, file: str) -> Problem:
    told = ", ".join(str(one) for one in (error.problem, error.context) if one)
    hint = _broken_comment(text[: error.problem_mark.index])
    hint = hint or next((hint for words, hint in _HINTS if words in told), "")
    mark, context = error.problem_mark, error.context_mark
    if context is not None and "end of stream" in told:
        mark = context
    position, related = Position(file, mark.line + 1, mark.column + 1), None
    if context is not None and (context.line, context.column) != (mark.line, mark.column):
        related = Position(file, context.line + 1, context.column + 1)
    return Problem("yaml", told, position, hint=hint, related=related)
