"""What an earlier run of the sidecar left unfinished is taken up again."""

import logging
import time

from sidecar import metrics
from sidecar.app.dispatch import Dispatcher
from sidecar.app.outbox import Outbox
from sidecar.app.work import reply_to
from sidecar.core import wording
from sidecar.store.journal import Journal

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
"""A turn that was cut this often is not run again: it may be what brings the sidecar down."""


async def recover(journal: Journal, dispatcher: Dispatcher, outbox: Outbox) -> None:
    """Offer unfinished turns again, in order of arrival, and take over undelivered replies."""
    outbox.add(await journal.pending_replies())
    unfinished = await journal.unfinished()
    for turn in unfinished:
        newest = turn.messages[-1]
        if turn.running and turn.attempt >= MOST_ATTEMPTS:
            log.error("turn %s was cut %d times and is given up", turn.turn, turn.attempt)
            reply = reply_to(newest, f"⚠️ {wording.INTERRUPTED} (reference {turn.turn})", "error")
            outbox.add(await journal.drop([turn.turn], "cut", now=time.time(), replies=[reply]))
            metrics.count("turns_dropped_total", reason="cut")
        else:
            dispatcher.offer(turn.turn, *turn.messages, recovered=True)
    dispatcher.fill()
    if unfinished:
        log.info("%d unfinished turn(s) taken up again", len(unfinished))
