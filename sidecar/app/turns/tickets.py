"""How turns wait: their tickets, the lanes of their conversations, and what is told of a drop."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from sidecar import events, logs, metrics
from sidecar.app.connecting.speakers import Speaker
from sidecar.app.turns.work import Work
from sidecar.core import queueing
from sidecar.core.queueing import Lane, Ticket
from sidecar.core.trust import lower
from sidecar.model import ConversationKey, Message

log = logging.getLogger(__name__)

Lanes = dict[ConversationKey, Lane]


def ticket_of(work: Work) -> Ticket:
    """The ticket of a turn that waits."""
    mode = queueing.mode_of(work.route, work.newest.conversation.kind)
    return Ticket(work.turn, mode, (work.route.name, work.route.runtime, work.trust))


def polite(ticket: Ticket, work: Work, others: Sequence[Work]) -> Ticket:
    """Nobody stops or supersedes a turn that is trusted more than their own, or was planned."""
    planned = any(one.newest.planned for one in (work, *others))
    if planned or any(lower(work.trust, other.trust) != other.trust for other in others):
        return replace(ticket, mode="serial")
    return ticket


def follow(lanes: Lanes, speaker: Speaker) -> list[ConversationKey]:
    """Let each lane be that of the channel that speaks as its account now; the keys that are gone.
    Where none does, its turns wait for one, and that is told."""
    gone = []
    for key, lane in list(lanes.items()):
        found = speaker(key.channel, key.account)
        if found is None and lane.waiting:
            waiting = len(lane.waiting)
            log.warning("%d turn(s) wait until a channel speaks as %r", waiting, key.account)
        elif found is not None and found.id != key.channel:
            gone.append(key)
            del lanes[key]
            new = key._replace(channel=found.id)
            there = lanes.get(new, Lane())
            lanes[new] = Lane(there.running or lane.running, there.waiting + lane.waiting)
    return gone


def tell_drop(turn: str, message: Message, reason: str, replies: int) -> None:
    """Tell that a turn is not run, with so many replies that tell it to people."""
    kind = reason.partition(":")[0]
    metrics.count("turns_dropped_total", reason=kind)
    events.publish("turn.dropped", turn=turn, reason=kind, messages=[message.id], replies=replies)
    with logs.bound(turn=turn):
        log.info("turn not run: %s", reason)
