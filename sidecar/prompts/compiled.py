"""A template compiled and tried out: it can run, or what is wrong with it is known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from jinja2 import Template, TemplateSyntaxError

from sidecar.errors import TemplateFailed
from sidecar.prompts.checking.mistakes import Finding, env_hint, mistakes, span, word
from sidecar.prompts.checking.printing import blamed
from sidecar.prompts.checking.syntax import wrong_syntax
from sidecar.prompts.checking.uses import names_used
from sidecar.prompts.contract import NAMES
from sidecar.prompts.environment import ENVIRONMENT
from sidecar.prompts.running import run
from sidecar.prompts.samples import NotInSample, sample_values

_NO_ATTRIBUTE = re.compile(r" (?:has no|could have) '([^']+)'")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Compiled:
    """A template, None where its syntax is wrong, what was found, and the names that it uses."""

    template: Template | None
    findings: tuple[Finding, ...] = ()
    names: frozenset[str] = frozenset()


Env = tuple[tuple[str, str], ...]
"""Environment variables, each with a value that it may have."""
_Key = tuple[str, Env, frozenset[str], bool]
_cache: WeakValueDictionary[_Key, Compiled] = WeakValueDictionary()
"""What any snapshot still uses, so that a reload compiles only what is new."""


def compiled(
    source: str, env: Env = (), others: frozenset[str] = frozenset(), *, recovers: bool = False
) -> Compiled:
    """The template of a source. `env` are the environment variables that it may read, `others`
    names the context providers of other packages. One that `recovers` is rendered only where there
    is a history."""
    key = (source, env, others, recovers)
    found = _cache.get(key)
    if found is None:
        found = _cache[key] = _compile(*key)
    return found


def _compile(source: str, env: Env, others: frozenset[str], recovers: bool) -> Compiled:
    try:
        tree = ENVIRONMENT.parse(source)
        if found := tuple(mistakes(source, tree, NAMES | others, dict(env))):
            return Compiled(None, found, names_used(tree))
        code = ENVIRONMENT.compile(tree)
    except TemplateSyntaxError as error:
        return Compiled(None, (wrong_syntax(source, error),))
    except Exception as error:  # noqa: BLE001 - deep nesting fails in many ways, also in Python's
        message = f"the template cannot be compiled: {type(error).__name__}: {error}"
        return Compiled(None, (Finding("template-syntax", message, 1),))
    template = Template.from_code(ENVIRONMENT, code, dict(ENVIRONMENT.globals))
    tried = sample_values(env, others).items()
    samples = {name: one for name, one in tried if one["history"] or not recovers}
    findings = tuple(_failures(source, template, samples))
    return Compiled(template, findings, names_used(tree))


def _failures(
    source: str, template: Template, samples: Mapping[str, Mapping[str, object]]
) -> Iterator[Finding]:
    """What goes wrong with each of the sample messages."""
    for sample, values in samples.items():
        try:
            run(template, values)
        except TemplateFailed as failed:
            if not isinstance(failed.__cause__, NotInSample):
                where = f" (in {failed.name}, line {failed.line})" if failed.name else ""
                line, (told, value) = 1 if failed.name else failed.line, blamed(source, failed)
                hints = filter(None, (env_hint(told), f"found by trying {sample}"))
                yield Finding(
                    "template-error",
                    f"{told}{where}",
                    line,
                    *(_wrong(source, line, failed.reason, value) or span(source, line)),
                    "; ".join(hints),
                )


def _wrong(source: str, number: int, reason: str, value: str) -> tuple[int, int] | None:
    """The column and the width of an attribute that does not exist, or of a value to blame."""
    told = _NO_ATTRIBUTE.search(reason)
    wrong = value if told is None else told[1]
    return word(source, number, wrong) if wrong else None
