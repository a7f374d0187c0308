"""What is wrong with a template, as far as its source alone tells, in words for its author."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from sidecar.config.problems import near
from sidecar.prompts.attributes import Found, missing
from sidecar.prompts.environment import BUILT_IN, ENVIRONMENT
from sidecar.prompts.kinds import kinds_of_names
from sidecar.prompts.printing import unprintable
from sidecar.prompts.references import REFERENCES, unknown

_SEEN = (
    nodes.Getattr, nodes.Getitem, nodes.For, nodes.Assign, nodes.Name, nodes.Macro, nodes.Filter,
    nodes.Test, nodes.Compare, nodes.Output, *REFERENCES,
)  # fmt: skip
"""What tells of mistakes."""
_UNKNOWN_TAG = re.compile(r"unknown tag '(\w+)'")
_NOT_CLOSED = re.compile(r"Unexpected end of template|probably made a nesting mistake")
_PAIRED = ("autoescape", "block", "call", "filter", "for", "if", "macro", "with")
_TAGS = (*_PAIRED, "extends", "from", "import", "include", "raw", "set")
_ENDS = (
    ("unexpected '}'", "a value ends with }}"),
    ("'end of print statement'", "a value ends with }}: is it missing before that?"),
    ("'end of statement block'", "a tag ends with %}: is it missing before that?"),
    ("Missing end of comment tag", "a comment ends with #}"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a template. `line` and `column` count from 1 in its source."""

    code: str
    message: str
    line: int
    column: int = 1
    width: int = 1
    hint: str = ""


def wrong_syntax(source: str, error: TemplateSyntaxError) -> Finding:
    """Why a source cannot be parsed."""
    message = error.message or "the syntax is wrong"
    tag = _UNKNOWN_TAG.search(message)
    if _NOT_CLOSED.search(message) and (open_ := _last_open(source)):
        line, name = open_
        before = f" before {{% {tag[1]} %}}" if tag else ""
        told = f"{{% {name} %}} is not closed: {{% end{name} %}} is missing{before}"
        return Finding("template-syntax", told, line, *span(source, line))
    if tag:
        place = word(source, error.lineno, tag[1]) or span(source, error.lineno)
        told = f"there is no tag {tag[1]!r}"
        return Finding("template-syntax", told, error.lineno, *place, _hint(tag[1], _TAGS))
    hint = next((hint for part, hint in _ENDS if part in message), "")
    place = span(source, error.lineno)
    return Finding("template-syntax", message, error.lineno, *place, hint)


def mistakes(
    source: str, tree: nodes.Template, known: frozenset[str], env: Collection[str]
) -> Iterator[Finding]:
    """What cannot work, or is for nothing, in a source that can be parsed. `known` are the names
    that there are, `env` those of the environment variables."""
    names = False
    found = list(tree.find_all(_SEEN))
    for node in found:
        match node:
            case nodes.Name(name=name):
                names = names or name not in known
            case nodes.Filter(name=name) if name not in ENVIRONMENT.filters:
                yield _not_there("filter", source, node.lineno, name, ENVIRONMENT.filters)
                node.name = "string"  # one that exists, so that what follows finds the rest
            case nodes.Test(name=name) if name not in ENVIRONMENT.tests:
                yield _not_there("test", source, node.lineno, name, ENVIRONMENT.tests)
                node.name = "string"
    if names:  # few templates: what follows takes as long as compiling
        yield from _unknown_names(source, tree, known)
    yield from _without_a_run(source, found, env)
    yield from _for_nothing(source, tree)


def _without_a_run(
    source: str, nodes_: Sequence[nodes.Node], env: Collection[str]
) -> Iterator[Finding]:
    """What fails wherever it is reached: also in a branch that no sample reaches."""
    names = kinds_of_names(nodes_)
    found = [*missing(nodes_, names, env), *unprintable(nodes_, names), *unknown(nodes_)]
    found.sort(key=attrgetter("line"))
    counts = Counter((one.line, one.written) for one in found)
    told = Counter[tuple[int, str]]()
    for one in found:
        key = (one.line, one.written)
        places = _places(_line(source, one.line), one)
        # Where it is written more often than it is wrong, only a parser knows which one is.
        column = places[told[key]] if len(places) == counts[key] else 0
        told[key] += 1
        place = (column, len(one.wrong)) if column else None
        place = place or word(source, one.line, one.wrong) or span(source, one.line)
        yield Finding("template-error", one.message, one.line, *place, env_hint(one.message))


def _places(line: str, of: Found) -> list[int]:
    """The columns of what is wrong in a line, as often as that is written there."""
    found = re.finditer(rf"(?<![\w.]){re.escape(of.written)}(?!\w)", line)
    return [one.end() - len(of.wrong) + 1 for one in found] if of.written else []


def env_hint(message: str) -> str:
    """What to do where a message tells of a variable of the environment; else nothing."""
    listed = "`context.env` of the config lists what templates may read"
    return listed if message.startswith("env has no ") else ""


def _not_there(what: str, source: str, line: int, name: str, known: Iterable[str]) -> Finding:
    """A filter or a test that does not exist."""
    hint = _hint(name, (one for one in known if one[0] != "."))
    place = word(source, line, name) or span(source, line)
    return Finding("template-name", f"there is no {what} {name!r}", line, *place, hint)


def _unknown_names(source: str, tree: nodes.Template, known: frozenset[str]) -> Iterator[Finding]:
    unknown = find_undeclared_variables(tree) - known - set(_set_outside(tree))
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            unknown.remove(node.name)
            at = re.search(rf"\b{re.escape(node.name)}\b", _line(source, node.lineno))
            yield Finding(
                "template-name",
                f"templates have no {node.name!r}",
                node.lineno,
                at.start() + 1 if at else 1,
                len(node.name) if at else 1,
                _hint(node.name, known),
            )


def _set_outside(tree: nodes.Template) -> Iterator[str]:
    """The names that a template sets outside of its blocks: the blocks have them too."""
    for node in tree.body:
        match node:
            case nodes.Assign(target=target) | nodes.AssignBlock(target=target):
                yield from (one.name for one in target.find_all(nodes.Name))
                if isinstance(target, nodes.Name):
                    yield target.name
            case nodes.Macro(name=name) | nodes.Import(target=name):
                yield name
            case nodes.FromImport(names=names):
                yield from (one if isinstance(one, str) else one[1] for one in names)


def _for_nothing(source: str, tree: nodes.Template) -> Iterator[Finding]:
    """What a template that extends a built-in one has beside the blocks of that."""
    extended = ""
    for node in tree.body:
        match node:
            case nodes.Extends(template=nodes.Const(value=str(name))) if name in BUILT_IN:
                extended = name
            case nodes.Output() if extended and (at := _printed(source, node)):
                told = f"outside of blocks nothing is printed, as the template extends {extended!r}"
                hint = f"its blocks are {', '.join(_blocks(extended))}"
                yield Finding("template-block", told, at, *span(source, at), hint)
    if extended:
        for block in _outer_blocks(tree):
            if block.name not in _blocks(extended):
                place = word(source, block.lineno, block.name) or span(source, block.lineno)
                told = f"{extended!r} has no block {block.name!r}, so it is never printed"
                hint = _hint(block.name, _blocks(extended))
                yield Finding("template-block", told, block.lineno, *place, hint)


def _printed(source: str, node: nodes.Output) -> int:
    """The line where something is printed, 0 where that is only blank."""
    for part in node.nodes:
        if not isinstance(part, nodes.TemplateData):
            return part.lineno
        if text := part.data.strip():
            lines, first = source.splitlines(), text.splitlines()[0]
            start = part.lineno - 1
            return next((n for n, one in enumerate(lines[start:], start + 1) if first in one), 1)
    return 0


def _outer_blocks(node: nodes.Node) -> Iterator[nodes.Block]:
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Block):
            yield child
        else:
            yield from _outer_blocks(child)


@lru_cache(maxsize=64)
def _blocks(name: str) -> tuple[str, ...]:
    """The blocks of a built-in template."""
    return tuple(block.name for block in ENVIRONMENT.parse(BUILT_IN[name]).find_all(nodes.Block))


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


def _hint(name: str, known: Iterable[str]) -> str:
    """What was meant, if something is similar, and what there is."""
    names = sorted(known)
    return " ".join(filter(None, (near(name, names), f"there are {', '.join(names)}")))


def word(source: str, number: int, name: str) -> tuple[int, int] | None:
    """The column and the width of a word in a line that has it once."""
    places = list(re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", _line(source, number)))
    return (places[0].start() + 1, len(name)) if len(places) == 1 else None


def span(source: str, number: int) -> tuple[int, int]:
    """The column of what a line says, and its width."""
    line = _line(source, number)
    return len(line) - len(line.lstrip()) + 1, max(1, len(line.strip()))


def _line(source: str, number: int) -> str:
    lines = re.split(r"\r\n|\r|\n", source)
    return lines[number - 1] if 0 < number <= len(lines) else ""
