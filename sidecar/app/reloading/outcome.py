"""What a reload led to or would lead to, and how that is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sidecar.config.comparing.plan import Change, Plan, brief
from sidecar.config.model import Config
from sidecar.config.problems import Problem, dotted
from sidecar.config.reading.managed import LEFT_OUT

MOST_CHANGES = 100
"""Changes of one reload that are kept and logged; the rest is a number."""
MOST_ERRORS = 50
"""Errors of one reload, and warnings, that are kept and logged; the rest is a number."""
SHOWN = 5
"""Changes that the message itself names."""

Result = Literal["applied", "degraded", "unchanged", "rejected"]
"""Degraded: applied, but for parts that do not start and are as they were."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reload led to.

    `previous` and `digest` name the configurations before and after, `pending` are the keys that
    wait for a new process. `problems` tell why it is rejected or degraded, `warnings` what works in
    a config that is in force and will disappoint.
    """

    at: float
    trigger: str
    result: Result
    generation: int
    previous: str
    digest: str
    seconds: float
    plan: Plan
    problems: tuple[str, ...]
    pending: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a reload would do now. `config` is None where there is an error."""

    config: Config | None
    plan: Plan
    problems: tuple[str, ...]


def facts(outcome: Outcome) -> dict[str, object]:
    """What the line of a reload tells to programs; nothing of it is secret."""
    changes, more = outcome.plan.changes, outcome.plan.more
    told = [*map(brief, changes), *([f"and {more} more"] if more else [])]
    return {
        "trigger": outcome.trigger,
        "result": outcome.result,
        "old": outcome.previous,
        "new": outcome.digest,
        "generation": outcome.generation,
        "ms": round(outcome.seconds * 1000),
        "changed": ", ".join(told) or None,
        "reload": ", ".join(sorted({change.reload for change in changes})) or None,
        "pending": ", ".join(outcome.pending) or None,
    }


def summary(plan: Plan) -> str:
    """The first changes, for people."""
    rest = len(plan.changes) + plan.more - SHOWN
    told = [brief(change) for change in plan.changes[:SHOWN]]
    return ", ".join([*told, *([f"{rest} more"] if rest > 0 else [])]) or "no key differs"


def with_renewed(plan: Plan, renewed: Mapping[str, str]) -> tuple[Plan, tuple[str, ...]]:
    """A plan that also tells the channels that started with new credentials; and, of those that do
    not, why not."""
    started = [name for name, failure in renewed.items() if not failure]
    changes = (
        Change("changed", dotted(("channels", name, "credentials")), "component")
        for name in started
    )
    same = dict(plan.unchanged)
    if "channels" in same:
        same["channels"] -= len(started)
    failures = (
        f"channel {name}: goes on with its former credentials; the new ones {failure}"
        for name, failure in renewed.items()
        if failure
    )
    return replace(plan, changes=(*plan.changes, *changes), unchanged=same), tuple(failures)


def shortfall(outcome: Outcome) -> str:
    """Why what is saved is not in force, or not all of it; empty where it is."""
    if outcome.result == "degraded":
        return f"the saved config is in force in part: {'; '.join(outcome.problems)}"
    if outcome.result == "rejected":
        return "the saved config was rejected, an earlier one is in force"
    return ""


def error_lines(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Each error with its place and what to do about it; of very many, the first ones."""
    return _lines([problem for problem in problems if problem.level == "error"])


def warning_lines(problems: Sequence[Problem]) -> tuple[str, ...]:
    """The same for warnings."""
    return _lines([problem for problem in problems if problem.level == "warning"])


def left_out(problems: Sequence[Problem]) -> tuple[str, ...]:
    """What of the control plane's is not used, and why."""
    return tuple(_line(problem) for problem in problems if problem.code == LEFT_OUT)


def _lines(problems: Sequence[Problem]) -> tuple[str, ...]:
    more = len(problems) - MOST_ERRORS
    told = [_line(problem) for problem in problems[:MOST_ERRORS]]
    return (*told, *([f"{more} more: `sidecar validate` tells them"] if more > 0 else []))


def _line(problem: Problem) -> str:
    place = problem.position
    key = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{place.file}:{place.line}:{place.column}: {key}{problem.message}{hint}"
