"""From a turn to its prompt: the route's templates, else the built-in ones, else the plain text."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from jinja2 import Template as Compilation

from sidecar.config.model import Config, Context, Route, Template
from sidecar.config.problems import Position, Problem
from sidecar.config.templates import fingerprint, templates
from sidecar.errors import TemplateFailed
from sidecar.model import Prompt
from sidecar.prompts.compiled import Compiled, Finding, compiled
from sidecar.prompts.context import TurnContext, Values, values
from sidecar.prompts.contract import PROVIDERS
from sidecar.prompts.environment import BUILT_IN, RECOVERY, SYSTEM_CONTEXT, USER_TURN
from sidecar.prompts.running import run

__all__ = ["Prompts", "Rendered", "TurnContext"]

_SYSTEM_CONTEXT = Template(SYSTEM_CONTEXT, BUILT_IN[SYSTEM_CONTEXT])
_USER_TURN = Template(USER_TURN, BUILT_IN[USER_TURN])
_RECOVERY = Template(RECOVERY, BUILT_IN[RECOVERY])
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
"""What becomes one blank line in a system context."""
Run = Callable[[Compilation, Values, int], str]
"""Runs a compiled template with its values; see `running.run`."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt, the templates that made its two texts, None where none could, and the failures of
    those whose place something simpler took."""

    prompt: Prompt
    made_by: tuple[Template | None, Template | None]
    failures: tuple[TemplateFailed, ...] = ()


class Prompts:
    """The templates of one configuration, compiled; `draws_on` tells on what they may draw."""

    def __init__(self, draws_on: Context = Context()) -> None:  # noqa: B008 -- it is frozen
        self._env = draws_on.env
        self._others = frozenset(draws_on.others)
        self._compiled: dict[str, Compiled] = {}
        for template in (_SYSTEM_CONTEXT, _USER_TURN, _RECOVERY):
            self._of(template)

    @classmethod
    def compile(
        cls, config: Config, right: Collection[bytes] = ()
    ) -> tuple["Prompts", tuple[Problem, ...]]:
        """Compile the templates of a configuration, and try each with sample messages.

        Those whose fingerprints are among `right` are known to be so.
        """
        prompts = cls(config.context)
        problems: dict[tuple[Position, str], Problem] = {}
        for path, template in templates(config):
            if right and fingerprint(template, config.context) in right:
                continue
            for finding in prompts._of(template).findings:
                problem = _problem(path, template, finding)
                # One mistake may show in many samples, and in all routes that share a file.
                problems.setdefault((problem.position, problem.message), problem)
        return prompts, tuple(problems.values())

    def render(self, context: TurnContext, run: Run = run) -> Rendered:
        """The prompt of a turn. Nothing is raised: the failures are told beside it.

        `run` runs each template, as a `Trace` does.
        """
        found, failures = values(context, self._env, self._others), list[TemplateFailed]()
        texts = [message.text for message in found["messages"]]
        given, route = sum(map(len, texts)), context.route
        system, by = self._first(
            (route.system_context, _SYSTEM_CONTEXT), found, given, failures, run
        )
        user, user_by = self._first((route.user_turn, _USER_TURN), found, given, failures, run)
        note = ""
        if found["history"]:
            told, _ = self._first((route.recovery, _RECOVERY), found, given, failures, run)
            note = (told or "").strip()
        user = ("\n\n".join(texts) if user is None else user).strip()
        prompt = Prompt(
            system=BLANK_LINES.sub("\n\n", system or "").strip(),
            user=f"{note}\n\n{user}" if note else user,
        )
        return Rendered(prompt, (by, user_by), tuple(failures))

    def needs(self, route: Route) -> frozenset[str]:
        """The context providers that the templates of a route use, by name."""
        used = (
            self._of(route.system_context or _SYSTEM_CONTEXT).names
            | self._of(route.user_turn or _USER_TURN).names
            | self._of(route.recovery or _RECOVERY).names
        )
        return used & (PROVIDERS.keys() | self._others)

    def _first(
        self,
        templates: tuple[Template | None, ...],
        found: Values,
        given: int,
        failures: list[TemplateFailed],
        run: Run,
    ) -> tuple[str | None, Template | None]:
        """The text of the first template that does not fail, and that template."""
        for template in filter(None, templates):
            try:
                return self._run(template, found, given, run), template
            except TemplateFailed as failed:
                failures.append(failed)
        return None, None

    def _run(self, template: Template, found: Values, given: int, run: Run) -> str:
        of = self._of(template)
        if of.template is None:
            raise _failed(template, of.findings[0].line, of.findings[0].message)
        try:
            return run(of.template, found, given)
        except TemplateFailed as failed:
            if failed.name:
                raise
            raise _failed(template, failed.line, failed.reason) from failed

    def _of(self, template: Template) -> Compiled:
        text = template.text
        if text not in self._compiled:
            self._compiled[text] = compiled(text, self._env, self._others)
        return self._compiled[text]


def _problem(path: str, template: Template, finding: Finding) -> Problem:
    line = template.line + finding.line - 1
    position = Position(template.name, line, template.indent + finding.column, finding.width)
    return Problem(finding.code, finding.message, position, path, finding.hint)


def _failed(template: Template, line: int, reason: str) -> TemplateFailed:
    return TemplateFailed(template.name, template.line + line - 1, reason)
