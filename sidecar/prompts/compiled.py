"""A template compiled and tried out: it can run, or what is wrong with it is known."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from sidecar.config.problems import near
from sidecar.errors import TemplateFailed
from sidecar.prompts.contract import NAMES
from sidecar.prompts.environment import ENVIRONMENT
from sidecar.prompts.running import run
from sidecar.prompts.samples import NotInSample, sample_values
from sidecar.prompts.uses import names_used

_NO_ATTRIBUTE = re.compile(r" has no '([^']+)'")
_UNKNOWN = re.compile(r"No (filter|test) named '(.+)'")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a template. `line` and `column` count from 1 in its source."""

    code: str
    message: str
    line: int
    column: int = 1
    width: int = 1
    hint: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Compiled:
    """A template, None where its syntax is wrong, what was found, and the names that it uses."""

    template: Template | None
    findings: tuple[Finding, ...] = ()
    names: frozenset[str] = frozenset()


_Key = tuple[str, tuple[str, ...], frozenset[str]]
_cache: WeakValueDictionary[_Key, Compiled] = WeakValueDictionary()
"""What any snapshot still uses, so that a reload compiles only what is new."""


def compiled(
    source: str, env: tuple[str, ...] = (), others: frozenset[str] = frozenset()
) -> Compiled:
    """The template of a source. `env` names the environment variables that it may read, `others`
    the context providers of other packages."""
    key = (source, env, others)
    found = _cache.get(key)
    if found is None:
        found = _cache[key] = _compile(*key)
    return found


def _compile(source: str, env: tuple[str, ...], others: frozenset[str]) -> Compiled:
    try:
        tree = ENVIRONMENT.parse(source)
        code = ENVIRONMENT.compile(tree)
    except TemplateSyntaxError as error:
        return Compiled(None, (_syntax(source, error),))
    except Exception as error:  # noqa: BLE001 - deep nesting fails in many ways, also in Python's
        message = f"the template cannot be compiled: {type(error).__name__}: {error}"
        return Compiled(None, (Finding("template-syntax", message, 1),))
    template = Template.from_code(ENVIRONMENT, code, dict(ENVIRONMENT.globals))
    unknown = tuple(_unknown_names(source, tree, NAMES | others))
    findings = unknown or tuple(_failures(source, template, env, others))
    return Compiled(template, findings, names_used(tree))


def _syntax(source: str, error: TemplateSyntaxError) -> Finding:
    message, hint = error.message or "the syntax is wrong", ""
    place = _span(source, error.lineno)
    if unknown := _UNKNOWN.match(message):
        known = ENVIRONMENT.filters if unknown[1] == "filter" else ENVIRONMENT.tests
        hint = _hint(unknown[2], (name for name in known if name[0] != "."))
        place = _word(source, error.lineno, unknown[2]) or place
    return Finding("template-syntax", message, error.lineno, *place, hint)


def _unknown_names(source: str, tree: nodes.Template, known: frozenset[str]) -> Iterator[Finding]:
    if all(node.name in known for node in tree.find_all(nodes.Name)):
        return  # most templates: what follows takes as long as compiling
    unknown = find_undeclared_variables(tree) - known
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


def _failures(
    source: str, template: Template, env: tuple[str, ...], others: frozenset[str]
) -> Iterator[Finding]:
    """What goes wrong with each of the sample messages."""
    for sample, values in sample_values(env, others).items():
        try:
            run(template, values)
        except TemplateFailed as failed:
            if not isinstance(failed.__cause__, NotInSample):
                where = f" (in {failed.name}, line {failed.line})" if failed.name else ""
                line = 1 if failed.name else failed.line
                yield Finding(
                    "template-error",
                    f"{failed.reason}{where}",
                    line,
                    *(_missing(source, line, failed.reason) or _span(source, line)),
                    f"found by trying {sample}",
                )


def _hint(name: str, known: Iterable[str]) -> str:
    """What was meant, if something is similar, and what there is."""
    names = sorted(known)
    return " ".join(filter(None, (near(name, names), f"there are {', '.join(names)}")))


def _missing(source: str, number: int, reason: str) -> tuple[int, int] | None:
    """The column and the width of an attribute that does not exist."""
    told = _NO_ATTRIBUTE.search(reason)
    return None if told is None else _word(source, number, told[1])


def _word(source: str, number: int, word: str) -> tuple[int, int] | None:
    """The column and the width of a word in a line that has it once."""
    places = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", _line(source, number)))
    return (places[0].start() + 1, len(word)) if len(places) == 1 else None


def _span(source: str, number: int) -> tuple[int, int]:
    """The column of what a line says, and its width."""
    line = _line(source, number)
    return len(line) - len(line.lstrip()) + 1, max(1, len(line.strip()))


def _line(source: str, number: int) -> str:
    lines = re.split(r"\r\n|\r|\n", source)
    return lines[number - 1] if 0 < number <= len(lines) else ""
