"""From a turn to its prompt: the route's templates, else the built-in ones, else the plain text."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from jinja2 import Template as Compilation

from sidecar.config.model import Channel, Config, Context, Route, Template
from sidecar.config.problems import Position, Problem
from sidecar.config.text.templates import TEMPLATES, fingerprint, templates, templates_of
from sidecar.errors import TemplateFailed
from sidecar.model import Prompt
from sidecar.prompts.checking.mistakes import Finding
from sidecar.prompts.checking.printing import blamed
from sidecar.prompts.compiled import Compiled, compiled
from sidecar.prompts.context import TurnContext, Values, values
from sidecar.prompts.contract import PROVIDERS
from sidecar.prompts.environment import BUILT_IN
from sidecar.prompts.running import run

__all__ = ["Prompts", "Rendered", "TurnContext"]

_BOTCORD, _PLAIN = "botcord", "plain"
_SYSTEM, _USER, _RECOVERY = TEMPLATES
_SETS: Mapping[str, Mapping[str, Template]] = {
    name: {key: Template(f"{name}/{key}.j2", BUILT_IN[f"{name}/{key}.j2"]) for key in TEMPLATES}
    for name in (_BOTCORD, _PLAIN)
}
"""The built-in templates that stand in for those of a route, by the type of channel."""
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
"""What becomes one blank line in a system context."""
Run = Callable[[Compilation, Values, int, bool], str]
"""Runs a compiled template with its values; see `running.run`."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt, and what of its user turn is the `recovery`, which stands before the rest.

    `made_by` are the templates that made its texts by their keys in a route, in the order in which
    they were run: None where none could; `failures` are those whose place something simpler took.
    """

    prompt: Prompt
    recovery: str
    made_by: Mapping[str, Template | None]
    failures: tuple[TemplateFailed, ...] = ()


class Prompts:
    """The templates of one configuration, each compiled when it is first used; `draws_on` tells on
    what they may draw, the types of the `channels` which built-in ones there are. A channel that is
    not among them was found, as those of BotCord are. `env` are environment variables with which
    templates are tried; one that is not among them has a value that stands for any."""

    def __init__(
        self,
        draws_on: Context = Context(),  # noqa: B008 -- it is frozen
        channels: Mapping[str, Channel] = MappingProxyType({}),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._env = draws_on.env
        self._tried = tuple((name, env.get(name, "sample")) for name in draws_on.env)
        self._others = frozenset(draws_on.others)
        self._sets = {
            name: _SETS.get(channel.type, _SETS[_PLAIN]) for name, channel in channels.items()
        }
        self._compiled: dict[tuple[str, bool], Compiled] = {}

    def prepare(self) -> None:
        """Compile the built-in templates, so that no turn has to wait for it. Any thread may do
        it."""
        for built_in in (_SETS[_BOTCORD], *self._sets.values()):
            for key, template in built_in.items():
                self._of(template, key)

    @classmethod
    def compile(
        cls,
        config: Config,
        right: Collection[bytes] = (),
        sources: Mapping[str, str] = MappingProxyType({}),
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple["Prompts", tuple[Problem, ...]]:
        """Compile the templates of a configuration, and try each with sample messages.

        Those whose fingerprints are among `right` are known to be so. `sources` are the texts of
        the files in which the templates stand, by their names, `env` the environment variables.
        """
        prompts = cls(config.context, config.channels, env)
        problems: dict[tuple[Position, str], Problem] = {}
        for path, template in templates(config):
            if right and fingerprint(template, config.context) in right:
                continue
            for finding in prompts._of(template, path.rpartition(".")[2]).findings:
                problem = _problem(path, template, finding, sources)
                # One mistake may show in many samples, and in all routes that share a file.
                problems.setdefault((problem.position, problem.message), problem)
        return prompts, tuple(problems.values())

    def is_right(self, template: Template, key: str) -> bool:
        """Whether a template, of a key of the route, compiles, and renders the sample messages."""
        return not self._of(template, key).findings

    def render(self, context: TurnContext, run: Run = run) -> Rendered:
        """The prompt of a turn. Nothing is raised: the failures are told beside it.

        `run` runs each template, as a `Trace` does.
        """
        found, failures = values(context, self._env, self._others), list[TemplateFailed]()
        texts = [message.text for message in found["messages"]]
        given = sum(map(len, texts))
        wanted = self._wanted(context.route, context.messages[-1].channel)
        made: dict[str, str | None] = {_RECOVERY: None}
        made_by: dict[str, Template | None] = {}
        for key in TEMPLATES if found["history"] else (_SYSTEM, _USER):
            made[key], made_by[key] = self._first(wanted[key], key, found, given, failures, run)
        user, recovery = made[_USER], (made[_RECOVERY] or "").strip()
        user = ("\n\n".join(texts) if user is None else user).strip()
        prompt = Prompt(
            system=BLANK_LINES.sub("\n\n", made[_SYSTEM] or "").strip(),
            user=f"{recovery}\n\n{user}" if recovery else user,
        )
        return Rendered(prompt, recovery, made_by, tuple(failures))

    def are_compiled(self, route: Route, channel: str) -> bool:
        """Whether the templates of a route in a channel are, so that a turn finds them ready."""
        wanted = self._wanted(route, channel)
        return all((of[0].text, key == _RECOVERY) in self._compiled for key, of in wanted.items())

    def needs(self, route: Route, channel: str) -> frozenset[str]:
        """The context providers that the templates of a route use in a channel, by name. Any thread
        may ask, as where they are not compiled yet, which takes tens of milliseconds."""
        firsts = ((of[0], key) for key, of in self._wanted(route, channel).items())
        used = frozenset().union(*(self._of(template, key).names for template, key in firsts))
        return used & (PROVIDERS.keys() | self._others)

    def _wanted(self, route: Route, channel: str) -> dict[str, Sequence[Template]]:
        """For each text the templates that may make it, the first choice first."""
        built_in = self._sets.get(channel, _SETS[_BOTCORD])
        own = dict(templates_of(route))
        return {
            key: (own[key], template) if key in own else (template,)
            for key, template in built_in.items()
        }

    def _first(
        self,
        templates: Sequence[Template],
        key: str,
        found: Values,
        given: int,
        failures: list[TemplateFailed],
        run: Run,
    ) -> tuple[str | None, Template | None]:
        """The text of the first template that does not fail, and that template."""
        for template in templates:
            try:
                return self._run(template, key, found, given, run), template
            except TemplateFailed as failed:
                failures.append(failed)
        return None, None

    def _run(self, template: Template, key: str, found: Values, given: int, run: Run) -> str:
        of = self._of(template, key)
        if of.template is None:
            raise _failed(template, of.findings[0].line, of.findings[0].message)
        try:
            return run(of.template, found, given, key == _USER)
        except TemplateFailed as failed:
            if failed.name:
                raise
            reason, _ = blamed(template.text, failed)
            raise _failed(template, failed.line, reason) from failed

    def _of(self, template: Template, key: str) -> Compiled:
        known = (template.text, key == _RECOVERY)
        if known not in self._compiled:
            self._compiled[known] = compiled(
                template.text, self._tried, self._others, recovers=key == _RECOVERY
            )
        return self._compiled[known]


def _problem(
    path: str, template: Template, finding: Finding, sources: Mapping[str, str]
) -> Problem:
    line = template.line + finding.line - 1
    position = Position(template.name, line, template.indent + finding.column, finding.width)
    if template.name in sources:
        position = _as_written(position, template, finding, _lines(sources[template.name]))
    return Problem(finding.code, finding.message, position, path, finding.hint)


def _as_written(
    position: Position, template: Template, finding: Finding, file: Sequence[str]
) -> Position:
    """Where the file has what was found: the lines of a text that is folded, or in quotes, are
    not those of the template."""
    start, before = template.line - 1, finding.column - 1
    wanted = _lines(template.text)[finding.line - 1][before:][: finding.width]
    there = file[position.line - 1] if position.line <= len(file) else ""
    if there[position.column - 1 :].startswith(wanted):
        return position
    for number, line in enumerate(file[start:], template.line):
        if wanted and (column := line.find(wanted)) >= 0:
            return replace(position, line=number, column=column + 1)
    return Position(template.name, template.line)


@lru_cache(maxsize=16)
def _lines(text: str) -> Sequence[str]:
    return re.split(r"\r\n|\r|\n", text)


def _failed(template: Template, line: int, reason: str) -> TemplateFailed:
    return TemplateFailed(template.name, template.line + line - 1, reason)
