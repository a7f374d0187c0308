"""A template compiled and tried out: it can run, or what is wrong with it is known."""

import re
from collections.abc import Iterator
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
    """A template, None where its syntax is wrong, and what was found."""

    template: Template | None
    findings: tuple[Finding, ...] = ()


_cache: WeakValueDictionary[tuple[str, tuple[str, ...]], Compiled] = WeakValueDictionary()
"""What any snapshot still uses, so that a reload compiles only what is new."""


def compiled(source: str, env: tuple[str, ...] = ()) -> Compiled:
    """The template of a source. `env` names the environment variables that it may read."""
    found = _cache.get((source, env))
    if found is None:
        found = _cache[source, env] = _compile(source, env)
    return found


def _compile(source: str, env: tuple[str, ...]) -> Compiled:
    try:
        tree = ENVIRONMENT.parse(source)
        code = ENVIRONMENT.compile(tree)
    except TemplateSyntaxError as error:
        return Compiled(None, (_syntax(source, error),))
    except Exception as error:  # noqa: BLE001 - deep nesting fails in many ways, also in Python's
        message = f"the template cannot be compiled: {type(error).__name__}: {error}"
        return Compiled(None, (Finding("template-syntax", message, 1),))
    template = Template.from_code(ENVIRONMENT, code, dict(ENVIRONMENT.globals))
    unknown = tuple(_unknown_names(source, tree))
    return Compiled(template, unknown or tuple(_failures(source, template, env)))


def _syntax(source: str, error: TemplateSyntaxError) -> Finding:
    message, hint = error.message or "the syntax is wrong", ""
    if unknown := _UNKNOWN.match(message):
        known = ENVIRONMENT.filters if unknown[1] == "filter" else ENVIRONMENT.tests
        hint = near(unknown[2], known)
    return Finding("template-syntax", message, error.lineno, *_span(source, error.lineno), hint)


def _unknown_names(source: str, tree: nodes.Template) -> Iterator[Finding]:
    unknown = find_undeclared_variables(tree) - NAMES
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
                near(node.name, NAMES) or f"there are {', '.join(sorted(NAMES))}",
            )


def _failures(source: str, template: Template, env: tuple[str, ...]) -> Iterator[Finding]:
    """What goes wrong with each of the sample messages."""
    for sample, values in sample_values(env):
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
                    *_span(source, line),
                    f"found by trying {sample}",
                )


def _span(source: str, number: int) -> tuple[int, int]:
    """The column of what a line says, and its width."""
    line = _line(source, number)
    return len(line) - len(line.lstrip()) + 1, max(1, len(line.strip()))


def _line(source: str, number: int) -> str:
    lines = re.split(r"\r\n|\r|\n", source)
    return lines[number - 1] if 0 < number <= len(lines) else ""
