"""What is wrong with a template, as far as its source alone tells, in words for its author."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from jinja2 import nodes

from sidecar.config.problems import near
from sidecar.prompts.checking.attributes import Found, missing
from sidecar.prompts.checking.kinds import kinds_of_names
from sidecar.prompts.checking.printing import unprintable
from sidecar.prompts.checking.references import REFERENCES, unknown
from sidecar.prompts.checking.scopes import unknown_names
from sidecar.prompts.environment import BUILT_IN, ENVIRONMENT

_SEEN = (
    nodes.Getattr, nodes.Getitem, nodes.For, nodes.Assign, nodes.Name, nodes.NSRef, nodes.Macro,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Output, *REFERENCES,
)  # fmt: skip
"""What tells of mistakes."""
_NO_BLOCKS = "it has none: include it, {% include … %}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a template. `line` and `column` count from 1 in its source."""

    code: str
    message: str
    line: int
    column: int = 1
    width: int = 1
    hint: str = ""


def mistakes(
    source: str, tree: nodes.Template, known: frozenset[str], env: Collection[str]
) -> Iterator[Finding]:
    """What cannot work, or is for nothing, in a source that can be parsed. `known` are the names
    that there are, `env` those of the environment variables."""
    names = False
    found = list(tree.find_all(_SEEN))
    for node in found:
        match node:
            case nodes.Name(name=name) | nodes.NSRef(name=name):
                names = names or name not in known
            case nodes.Filter(name=name) if name not in ENVIRONMENT.filters:
                yield _not_there("filter", source, node.lineno, name, ENVIRONMENT.filters)
                node.name = "string"  # one that exists, so that what follows finds the rest
            case nodes.Test(name=name) if name not in ENVIRONMENT.tests:
                yield _not_there("test", source, node.lineno, name, ENVIRONMENT.tests)
                node.name = "string"
    if names:
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
    for one, place in _placed(source, found):
        yield Finding("template-error", one.message, one.line, *place, env_hint(one.message))


def _placed(source: str, found: Sequence[Found]) -> Iterator[tuple[Found, tuple[int, int]]]:
    """Each of what was found, in the order of the lines, with its column and width."""
    counts = Counter((one.line, one.written) for one in found)
    told = Counter[tuple[int, str]]()
    for one in found:
        key = (one.line, one.written)
        places = _places(line_of(source, one.line), one)
        # Where it is written more often than it is wrong, only a parser knows which one is.
        column = places[told[key]] if len(places) == counts[key] else 0
        told[key] += 1
        place = (column, len(one.wrong)) if column else None
        yield one, place or word(source, one.line, one.wrong) or span(source, one.line)


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
    hint = what_there_is(name, (one for one in known if one[0] != "."))
    place = word(source, line, name) or span(source, line)
    return Finding("template-name", f"there is no {what} {name!r}", line, *place, hint)


def _unknown_names(source: str, tree: nodes.Template, known: frozenset[str]) -> Iterator[Finding]:
    found, hints = [], []
    for name, line, elsewhere in unknown_names(tree, known):
        told = f"templates have no {name!r}"
        found.append(Found(f"{told} here" if elsewhere else told, line, name, name))
        hints.append(elsewhere or what_there_is(name, known))
    for (one, place), hint in zip(_placed(source, found), hints, strict=True):
        yield Finding("template-name", one.message, one.line, *place, hint)


def _for_nothing(source: str, tree: nodes.Template) -> Iterator[Finding]:
    """What a template that extends a built-in one has beside the blocks of that."""
    extended = ""
    for node in tree.body:
        match node:
            case nodes.Extends(template=nodes.Const(value=str(name))) if name in BUILT_IN:
                extended = name
            case nodes.Output() if extended and (at := _printed(source, node)):
                told = f"outside of blocks nothing is printed, as the template extends {extended!r}"
                blocks = ", ".join(_blocks(extended))
                hint = f"its blocks are {blocks}" if blocks else _NO_BLOCKS
                yield Finding("template-block", told, at, *span(source, at), hint)
    if extended:
        for block in _outer_blocks(tree):
            if block.name not in _blocks(extended):
                place = word(source, block.lineno, block.name) or span(source, block.lineno)
                told = f"{extended!r} has no block {block.name!r}, so it is never printed"
                hint = what_there_is(block.name, _blocks(extended)) or _NO_BLOCKS
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


def what_there_is(name: str, known: Iterable[str]) -> str:
    """What was meant, if something is similar, and what there is, if there is anything."""
    names = sorted(known)
    there = f"there are {', '.join(names)}" if names else ""
    return " ".join(filter(None, (near(name, names), there)))


def word(source: str, number: int, name: str) -> tuple[int, int] | None:
    """The column and the width of a word in a line that has it once."""
    places = list(re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", line_of(source, number)))
    return (places[0].start() + 1, len(name)) if len(places) == 1 else None


def span(source: str, number: int) -> tuple[int, int]:
    """The column of what a line says, and its width."""
    line = line_of(source, number)
    return len(line) - len(line.lstrip()) + 1, max(1, len(line.strip()))


def line_of(source: str, number: int) -> str:
    """A line of a source, empty where there is none."""
    lines = re.split(r"\r\n|\r|\n", source)
    return lines[number - 1] if 0 < number <= len(lines) else ""
