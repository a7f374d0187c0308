"""What an earlier run of the sidecar left unfinished is taken up again."""

import logging
from collections.abc import Sequence

from sidecar.app.connecting.speakers import Speaker
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.config import model as config
from sidecar.core import wording
from sidecar.core.admission import unfit
from sidecar.store.records import UnfinishedTurn

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
"""A turn that was cut this often is not run again: it may be what brings the sidecar down."""


def recover(
    unfinished: Sequence[UnfinishedTurn],
    dispatcher: Dispatcher,
    channel: Speaker,
) -> None:
    """Offer unfinished turns again, in order of arrival. `channel` finds their channels.

    What the journal held before the channels were started: it knows their new messages, too.
    """
    for turn in unfinished:
        newest = turn.messages[-1]
        found = channel(newest.channel, newest.account)
        rules = found or config.Channel(newest.channel, "removed")
        if turn.attempt >= MOST_ATTEMPTS:
            log.error("turn %s was cut %d times and is given up", turn.turn, turn.attempt)
            text = f"⚠️ {wording.INTERRUPTED} (reference {turn.turn})"
            dispatcher.drop(turn.turn, newest, "cut", tell=text, kind="error")
        elif (refusal := unfit(newest, rules)) is not None:
            # The rules have changed since.
            dispatcher.drop(turn.turn, newest, refusal.reason, tell=refusal.tell)
        else:
            if found is None:
                log.warning("turn %s waits until a channel speaks as %r", turn.turn, newest.account)
            dispatcher.offer(turn.turn, *turn.messages, recovered=True)
    dispatcher.fill()
    if unfinished:
        log.info("%d unfinished turn(s) taken up again", len(unfinished))
