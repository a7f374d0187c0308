"""What the YAML parser cannot read, in words for the person who wrote it."""

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


def problem(error: Exception, text: str, near: Position) -> Problem:
    """The problem that an exception of the parser tells of. `near` is how far it has read."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return _marked(error, near.file)
    if isinstance(error, ReaderError):
        before = text[: int(error.position)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        position = Position(near.file, line, column)
        told = f"the character U+{error.character:04X} is not allowed"
        return Problem("yaml", told, position)
    return Problem("yaml", "this is no YAML", near, hint=str(error)[:200])


def _marked(error: MarkedYAMLError, file: str) -> Problem:
    told = ", ".join(str(one) for one in (error.problem, error.context) if one)
    hint = next((hint for words, hint in _HINTS if words in told), "")
    mark, context = error.problem_mark, error.context_mark
    if context is not None and "end of stream" in told:
        mark = context
    position, related = Position(file, mark.line + 1, mark.column + 1), None
    if context is not None and (context.line, context.column) != (mark.line, mark.column):
        related = Position(file, context.line + 1, context.column + 1)
    return Problem("yaml", told, position, hint=hint, related=related)
