"""How far a turn is trusted: the lower of what its route allows and its sender is granted."""

from collections.abc import Iterable

from sidecar.config.model import Grant
from sidecar.model import Message, Sender, Trust

_RANK: dict[Trust, int] = {"public": 0, "trusted": 1, "owner": 2}


def lower(one: Trust, other: Trust) -> Trust:
    """The lower of two levels."""
    return one if _RANK[one] <= _RANK[other] else other


def trust_of(most: Trust, grant: Grant, messages: Iterable[Message]) -> Trust:
    """The trust of a turn: what its route allows at most, and no more than each sender is
    granted."""
    for message in messages:
        most = lower(most, granted(grant, message.sender))
    return most


def granted(grant: Grant, sender: Sender) -> Trust:
    """What the channel grants a sender: by id where the id is listed, else by kind."""
    if sender.id in grant.senders:
        return grant.senders[sender.id]
    match sender.kind:
        case "owner":
            return grant.owner
        case "human":
            return grant.human
        case "agent":
            return grant.agent
