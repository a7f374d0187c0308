"""Which template, and which block in it, made each part of a text."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import GeneratorType

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError

from sidecar.prompts.environment import ENVIRONMENT
from sidecar.prompts.running import run

_BLOCK = "block_"
"""How the functions of blocks begin in compiled templates."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a template. `template` is empty for the one that was given as a text, `block` is
    empty outside of blocks."""

    template: str
    block: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and the places that led to it: the last one printed it, the first one is
    in the template that began."""

    text: str
    way: tuple[Origin, ...]

    @property
    def origin(self) -> Origin:
        """The template that printed it, with the innermost block around that."""
        blocks = [step.block for step in self.way if step.block]
        return replace(self.way[-1], block=blocks[-1] if blocks else "")


@dataclass(slots=True)
class Trace:
    """Runs templates as `running.run` does, and keeps what made each text, run by run."""

    runs: list[tuple[Piece, ...]] = field(default_factory=list)

    def __call__(
        self,
        template: Template,
        values: Mapping[str, object],
        given: int = 0,
        prints: bool = False,
    ) -> str:
        """The text of a template. Raises TemplateFailed, and keeps nothing then."""
        watch = _Watch()
        environment = ENVIRONMENT.overlay()
        environment.concat = watch.concat  # type: ignore[assignment,method-assign]  # of this run
        text = run(template, values, given, prints, environment)
        self.runs.append(watch.parts(text))
        return text


def trimmed(pieces: Iterable[Piece], blank_lines: re.Pattern[str] | None = None) -> list[Piece]:
    """The pieces without the blanks at both ends of the text. What `blank_lines` matches becomes
    one blank line, as in a system context."""
    told = list(pieces)
    whole = "".join(piece.text for piece in told)
    start = len(whole) - len(whole.lstrip())
    blank = blank_lines.finditer(whole) if blank_lines else ()
    gone = [(0, start), *((found.start() + 1, found.end() - 1) for found in blank)]
    gone.append((max(start, len(whole.rstrip())), len(whole)))
    kept, at = [], 0
    for piece in told:
        text = _without(piece.text, at, gone)
        at += len(piece.text)
        if text:
            kept.append(replace(piece, text=text))
    return kept


def _without(text: str, at: int, gone: Iterable[tuple[int, int]]) -> str:
    """A text that begins at `at` without the spans that are gone, which are in order."""
    parts, done = [], 0
    for start, end in gone:
        first, last = min(max(start - at, done), len(text)), min(max(end - at, done), len(text))
        parts.append(text[done:first])
        done = last
    return "".join([*parts, text[done:]])


class _Watch:
    """What the texts of one run are made of: the whole, and those that `super()` gives."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[str, tuple[Piece, ...]]] = {}

    def concat(self, steps: Iterable[str]) -> str:
        """What the steps print as one text, of which the parts are kept."""
        pieces: list[Piece] = []
        text = ENVIRONMENT.concat(self._watched(steps, pieces))
        self._made[id(text)] = text, tuple(pieces)
        return text

    def parts(self, text: str) -> tuple[Piece, ...]:
        """The parts of a text that was made here, once; none of another one."""
        return self._made.pop(id(text), ("", ()))[1]

    def _watched(self, steps: Iterable[str], into: list[Piece]) -> Generator[str, None, None]:
        """The steps of a running template; what each of them printed is noted."""
        for text in steps:
            if text:
                way = tuple(_way(steps))
                inner = self.parts(text) or (Piece(text, ()),)
                into += [Piece(piece.text, (*way, *piece.way)) for piece in inner]
            try:
                yield text
            except SecurityError as error:
                if isinstance(steps, Generator):
                    steps.throw(error)  # so that it arises in the template
                raise


def _way(steps: object) -> Iterator[Origin]:
    """The templates and blocks that are just printing, the outermost first."""
    while isinstance(steps, GeneratorType) and steps.gi_frame is not None:
        frame = steps.gi_frame
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            name = frame.f_code.co_name
            block = name.removeprefix(_BLOCK) if name.startswith(_BLOCK) else ""
            yield Origin(template.name or "", block)
        # An included template is iterated over by a local variable of this name.
        steps = steps.gi_yieldfrom or frame.f_locals.get("gen")


def blocks_of(source: str) -> tuple[str, ...]:
    """The blocks of a template that compiles, in its order; an empty one stands for what it prints
    outside of them, where it extends no other."""
    tree = ENVIRONMENT.parse(source)
    found = [block.name for block in tree.find_all(nodes.Block)]
    extends = next(tree.find_all(nodes.Extends), None) is not None
    return tuple(["", *found] if not extends and _prints(tree) else found)


def _prints(node: nodes.Node) -> bool:
    """Whether something inside a node, and outside of the blocks there, can print more than
    blanks."""
    match node:
        case nodes.Block() | nodes.Macro() | nodes.AssignBlock():
            return False
        case nodes.Include() | nodes.CallBlock():
            return True
        case nodes.TemplateData(data=data):
            return bool(data.strip())
        case nodes.Output():
            return any(
                not isinstance(one, nodes.TemplateData) or _prints(one) for one in node.nodes
            )
    return any(map(_prints, node.iter_child_nodes()))
