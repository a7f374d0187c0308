"""A plan: what applying a configuration would change; as text, and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

Action = Literal["added", "changed", "moved", "removed"]
Reload = Literal["hot", "component", "process"]
"""What a change takes: nothing, a new connection or runtime, a new process of the sidecar."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key, channel, runtime or route that differs. `path` is its place: `limits.output`,
    `channels.demo.grant.owner`; a route goes by its name. A route that `moved` is tried earlier
    or later than before. `managed`: it is of a channel or route that the control plane set.
    """

    action: Action
    path: str
    reload: Reload
    managed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a configuration would change, in the order of `Config`.

    `unchanged` counts the channels, runtimes and routes that stay as they are; `more` changes
    are left out of `changes`.
    """

    changes: tuple[Change, ...] = ()
    unchanged: Mapping[str, int] = field(default_factory=dict)
    more: int = 0

    def cut(self, most: int) -> "Plan":
        """The same with at most so many changes told."""
        left_out = max(0, len(self.changes) - most)
        return replace(self, changes=self.changes[:most], more=self.more + left_out)


def to_json(plan: Plan) -> dict[str, object]:
    """The plan as JSON values."""
    return {
        "changes": [
            {
                "action": one.action,
                "path": one.path,
                "reload": one.reload,
                **({"managed": True} if one.managed else {}),
            }
            for one in plan.changes
        ],
        "unchanged": dict(plan.unchanged),
        "more": plan.more,
    }


def from_json(told: Mapping[str, Any]) -> Plan:
    """The plan that `to_json` told."""
    changes = tuple(Change(**one) for one in told["changes"])
    return Plan(changes, told["unchanged"], told["more"])


def to_text(plan: Plan) -> str:
    """The plan for people: a line for each change, marked `+`, `~` or `-`, and one with `=`."""
    width = max((len(change.path) for change in plan.changes), default=0)
    lines = [f"{_place(one):{width + 2}}  {_when(one)}{_whose(one)}" for one in plan.changes]
    if plan.more:
        lines.append(f"… and {plan.more} more")
    counts = [
        f"{count} {name.removesuffix('s') if count == 1 else name}"
        for name, count in plan.unchanged.items()
        if count
    ]
    if counts:
        lines.append(f"= unchanged: {', '.join(counts)}")
    return "\n".join(lines)


def brief(change: Change) -> str:
    """A change as a mark and a place, and whose it is where it is not the user's."""
    return f"{_place(change)}{_whose(change)}"


_MARKS: Mapping[Action, str] = MappingProxyType(
    {"added": "+", "changed": "~", "moved": "~", "removed": "-"}
)


def _place(change: Change) -> str:
    return f"{_MARKS[change.action]} {change.path}"


def _whose(change: Change) -> str:
    return " (by the control plane)" if change.managed else ""


def _when(change: Change) -> str:
    match change.action, change.reload:
        case _, "process":
            return "takes effect with the next start"
        case "added", "component":
            return "starts"
        case "removed", "component":
            return "stops"
        case _, "component":
            return "starts anew"
        case "moved", _:
            return "moved, at once"
    return "at once"
