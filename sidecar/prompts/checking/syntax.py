"""Why a template cannot be parsed, in words for its author."""

import re

from jinja2 import TemplateSyntaxError

from sidecar.prompts.checking.mistakes import Finding, line_of, span, what_there_is, word
from sidecar.prompts.environment import ENVIRONMENT

_UNKNOWN_TAG = re.compile(r"unknown tag '(\w+)'")
_UNEXPECTED = re.compile(r"(unexpected char .+) at (\d+)", re.DOTALL)
_PAIRED = ("autoescape", "block", "call", "filter", "for", "if", "macro", "with")
_TAGS = (*_PAIRED, "extends", "from", "import", "include", "raw", "set")
_ENDS = tuple(f"end{name}" for name in (*_PAIRED, "raw", "set"))
_ELIF = "write {% elif … %}"
_BRANCHES = {
    "elif": "it stands between {% if … %} and {% endif %}, before {% else %}",
    "else": "it stands between {% if … %} and {% endif %}, or in a loop, once",
}
"""Where tags stand that are parts of others."""
_MEANT_TAGS = {"elseif": _ELIF, "elsif": _ELIF}
_CONDITION = r"(?:\{\{|\{%[-+]?\s*(?:el)?if\b)(?:\([^()]*\)|[^%}()])*?"
_QUOTES = "a text ends with the quote with which it begins"
_MEANT = tuple(
    (message, re.compile(pattern), hint)
    for message, pattern, hint in (
        ("got 'if'", r"\b(else\s+if)\b", _ELIF),
        ("got '='", rf"{_CONDITION}(?<![=!<>])(=)(?!=)", "values are compared with =="),
        ("unexpected '='", r"([!=]==)", "values are compared with == and !="),
        ("char '&'", r"(&+)", "write {{ a and b }}"),
        ("got '|'", r"(\|\|)", "write {{ a or b }}"),
        ("char '!'", r"(!)(?!=)", "write {{ not a }}"),
        ("char '?'", r"(\?+)", "write {{ a if condition else b }}"),
        ("char '\"'", r"(\")", _QUOTES),
        ('char "\'"', r"(')", _QUOTES),
    )
)
"""What a message has in it, how the line has that, and what to write instead."""
_NOT_ENDED = (
    ("unexpected '}'", "a value ends with }}"),
    ("'end of print statement'", "a value ends with }}: is it missing before that?"),
    ("'end of statement block'", "a tag ends with %}: is it missing before that?"),
    ("Missing end of comment tag", "a comment ends with #}"),
)


def wrong_syntax(source: str, error: TemplateSyntaxError) -> Finding:
    """Why a source cannot be parsed."""
    message, line = error.message or "the syntax is wrong", error.lineno
    if tag := _UNKNOWN_TAG.search(message):
        return _unknown_tag(source, line, tag[1])
    if "Unexpected end of template" in message and (open_ := _last_open(source)):
        return _not_closed(source, *open_)
    place = span(source, line)
    hint = next((hint for part, hint in _NOT_ENDED if part in message), "")
    for part, pattern, meant in _MEANT:
        if part in message and (found := pattern.search(line_of(source, line))):
            place, hint = (found.start(1) + 1, len(found[1])), meant
    if at := _UNEXPECTED.fullmatch(message):
        message, place = at[1], (_column(source, int(at[2])), 1)
    return Finding("template-syntax", message, line, *place, hint)


def _unknown_tag(source: str, line: int, name: str) -> Finding:
    """A tag that does not exist, or not there."""
    open_ = _last_open(source)
    if name in _ENDS and open_:
        return _not_closed(source, *open_, f" before {{% {name} %}}")
    if name in _BRANCHES:
        told, hint = f"{{% {name} %}} has no place here", _BRANCHES[name]
    elif name in _ENDS:
        told, opens = f"{{% {name} %}} closes nothing", name.removeprefix("end")
        hint = f"no {{% {opens} … %}} is open"
    else:
        told, known = f"there is no tag {name!r}", _ENDS if name.startswith("end") else _TAGS
        hint = _MEANT_TAGS.get(name) or what_there_is(name, known)
    place = word(source, line, name) or span(source, line)
    return Finding("template-syntax", told, line, *place, hint)


def _not_closed(source: str, line: int, name: str, before: str = "") -> Finding:
    told = f"{{% {name} %}} is not closed: {{% end{name} %}} is missing{before}"
    return Finding("template-syntax", told, line, *span(source, line))


def _column(source: str, offset: int) -> int:
    """The column of a place in a source, of which Jinja makes each end of a line one character."""
    before = re.sub(r"\r\n|\r", "\n", source)[:offset]
    return offset - before.rfind("\n")


def _last_open(source: str) -> tuple[int, str] | None:
    """The line and the name of the tag that should have been closed first, if one is open."""
    found: list[tuple[int, str]] = []
    begins = False
    try:
        for line, kind, value in ENVIRONMENT.lex(source):
            if kind == "block_begin":
                begins = True
            elif begins and kind == "name":
                begins = False
                closes = value.removeprefix("end")
                if value in _PAIRED:
                    found.append((line, value))
                elif closes in _PAIRED and (not found or found[-1][1] != closes):
                    break
                elif closes in _PAIRED:
                    found.pop()
    except TemplateSyntaxError:
        return None
    return found[-1] if found else None
