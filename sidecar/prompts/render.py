"""From a turn to its prompt: the route's templates, else the built-in ones, else the plain text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.config.model import Config, Template
from sidecar.config.problems import Position, Problem
from sidecar.errors import TemplateFailed
from sidecar.model import Prompt
from sidecar.prompts.compiled import Compiled, Finding, compiled
from sidecar.prompts.context import TurnContext, Values, values
from sidecar.prompts.environment import BUILT_IN, SYSTEM_CONTEXT, USER_TURN
from sidecar.prompts.running import run

__all__ = ["Prompts", "Rendered", "TurnContext"]

_SYSTEM_CONTEXT = Template(SYSTEM_CONTEXT, BUILT_IN[SYSTEM_CONTEXT])
_USER_TURN = Template(USER_TURN, BUILT_IN[USER_TURN])
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt, and the failures of templates whose place something simpler took."""

    prompt: Prompt
    failures: tuple[TemplateFailed, ...] = ()


class Prompts:
    """The templates of one configuration, compiled. `env` names the variables they may read."""

    def __init__(self, env: tuple[str, ...] = ()) -> None:
        self._env = env
        self._compiled: dict[str, Compiled] = {}
        for template in (_SYSTEM_CONTEXT, _USER_TURN):
            self._of(template)

    @classmethod
    def compile(cls, config: Config) -> tuple["Prompts", tuple[Problem, ...]]:
        """Compile the templates of a configuration, and try each with sample messages."""
        prompts = cls(config.context.env)
        problems: dict[tuple[Position, str], Problem] = {}
        for path, template in _templates(config):
            for finding in prompts._of(template).findings:
                problem = _problem(path, template, finding)
                # One mistake may show in many samples, and in all routes that share a file.
                problems.setdefault((problem.position, problem.message), problem)
        return prompts, tuple(problems.values())

    def render(self, context: TurnContext) -> Rendered:
        """The prompt of a turn. Nothing is raised: the failures are told beside it."""
        found, failures = values(context, self._env), list[TemplateFailed]()
        texts = [message.text for message in found["messages"]]
        given, route = sum(map(len, texts)), context.route
        system = self._first((route.system_context, _SYSTEM_CONTEXT), found, given, failures)
        user = self._first((route.user_turn, _USER_TURN), found, given, failures)
        prompt = Prompt(
            system=_BLANK_LINES.sub("\n\n", system or "").strip(),
            user=("\n\n".join(texts) if user is None else user).strip(),
        )
        return Rendered(prompt, tuple(failures))

    def _first(
        self,
        templates: tuple[Template | None, ...],
        found: Values,
        given: int,
        failures: list[TemplateFailed],
    ) -> str | None:
        """The text of the first template that does not fail."""
        for template in filter(None, templates):
            try:
                return self._run(template, found, given)
            except TemplateFailed as failed:
                failures.append(failed)
        return None

    def _run(self, template: Template, found: Values, given: int) -> str:
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
            self._compiled[text] = compiled(text, self._env)
        return self._compiled[text]


def _templates(config: Config) -> Iterator[tuple[str, Template]]:
    """All templates of a configuration with their places in it."""
    routes = [(f"routes[{number}]", route) for number, route in enumerate(config.routes)]
    if config.default_route is not None:
        routes.append(("default_route", config.default_route))
    for path, route in routes:
        if route.system_context is not None:
            yield f"{path}.system_context", route.system_context
        if route.user_turn is not None:
            yield f"{path}.user_turn", route.user_turn


def _problem(path: str, template: Template, finding: Finding) -> Problem:
    line = template.line + finding.line - 1
    position = Position(template.name, line, template.indent + finding.column, finding.width)
    return Problem(finding.code, finding.message, position, path, finding.hint)


def _failed(template: Template, line: int, reason: str) -> TemplateFailed:
    return TemplateFailed(template.name, template.line + line - 1, reason)
