"""What one conversation does with its turns: at most one runs, the others wait.

A lane is a frozen value. Each function takes a lane and an event and gives the next lane and what
is to be done; nothing here starts or stops anything.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Literal

from sidecar.config.model import Route
from sidecar.model import ConversationKind, QueueMode

DropReason = Literal["superseded", "full"]
_JOINING: tuple[QueueMode, ...] = ("cancel-previous", "coalesce")
"""Modes in which one turn answers all that waits."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A turn that waits. Turns are merged only with those of the same `group`."""

    turn: str
    mode: QueueMode
    group: Hashable = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The turn will not run."""

    turn: str
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Cancel:
    """The running turn is to be stopped; `finished` follows when it is."""

    turn: str


Command = Drop | Cancel


@dataclass(frozen=True, slots=True)
class Lane:
    """The running turn and the waiting ones, oldest first."""

    running: str | None = None
    waiting: tuple[Ticket, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether a turn waits and may run as soon as there is a slot."""
        return self.running is None and bool(self.waiting)

    @property
    def idle(self) -> bool:
        """Whether the lane can be forgotten."""
        return self.running is None and not self.waiting


def mode_of(route: Route, kind: ConversationKind) -> QueueMode:
    """How a route's turns queue: as it says, else a direct message stops the turn of the one before
    it, and a group is answered message by message."""
    return route.queue or ("cancel-previous" if kind == "direct" else "serial")


def offer(lane: Lane, ticket: Ticket, depth: int) -> tuple[Lane, list[Command]]:
    """Take a new turn into the lane, where at most `depth` may wait."""
    if ticket.mode == "cancel-previous":
        return _replace(lane, ticket, depth)
    if len(lane.waiting) >= depth:
        return lane, [Drop(ticket.turn, "full")]
    return replace(lane, waiting=(*lane.waiting, ticket)), []


def _replace(lane: Lane, ticket: Ticket, depth: int) -> tuple[Lane, list[Command]]:
    """The new turn is the next to run, together with those of its group that wait already."""
    like = [old for old in lane.waiting if old.group == ticket.group]
    most = max(depth - 1, 0)
    over = max(len(like) - most, 0)
    unlike = (old for old in lane.waiting if old.group != ticket.group)
    commands: list[Command] = [Drop(old.turn, "superseded") for old in unlike]
    commands += [Drop(old.turn, "full") for old in like[:over]]
    if lane.running is not None:
        commands.append(Cancel(lane.running))
    return replace(lane, waiting=(*like[over:], ticket)), commands


def take(lane: Lane) -> tuple[Lane, tuple[Ticket, ...]]:
    """Begin the next turn of a ready lane: the first ticket leads, the rest is merged into it."""
    lead, *rest = lane.waiting
    merged = [lead]
    if lead.mode in _JOINING:
        while rest and rest[0].mode in _JOINING and rest[0].group == lead.group:
            merged.append(rest.pop(0))
    return Lane(lead.turn, tuple(rest)), tuple(merged)


def finished(lane: Lane) -> Lane:
    """The running turn has ended, however it ended."""
    return replace(lane, running=None)


def withdraw(lane: Lane, turn: str) -> Lane:
    """Remove a waiting turn."""
    return replace(lane, waiting=tuple(one for one in lane.waiting if one.turn != turn))
