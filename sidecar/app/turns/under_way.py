"""What has been accepted and has no outcome yet, as the parts know it that work on it."""

from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outbox import Outbox
from sidecar.store.keeper import UnderWay
from sidecar.store.records import UnfinishedTurn


def under_way(dispatcher: Dispatcher, outbox: Outbox) -> UnderWay:
    """Everything that a new journal has to have, if the one in use turns out to be damaged."""
    runs = [work for work, _ in dispatcher.running.values()]
    # Those that were merged gave their messages away, and have a row of their own until then.
    merged = [UnfinishedTurn(turn, 0, False, ()) for work in runs for turn in work.merged]
    running = [UnfinishedTurn(work.turn, 0, True, work.messages) for work in runs]
    waiting = [
        UnfinishedTurn(work.turn, 0, False, work.messages) for work in dispatcher.waiting.values()
    ]
    return UnderWay([*merged, *running, *waiting], outbox.pending)
