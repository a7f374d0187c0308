"""The picture of a running sidecar, for `/status` and `sidecar status`."""

import os
import time
from collections.abc import Mapping

from sidecar import __version__, metrics
from sidecar.api import ChannelStatus
from sidecar.app.channels import Channels
from sidecar.app.dispatch import Dispatcher
from sidecar.app.outbox import Outbox
from sidecar.app.reload import Reloader
from sidecar.app.work import Work
from sidecar.store.journal import Journal


class Status:
    """Puts the picture together from the parts that run."""

    def __init__(
        self,
        reloader: Reloader,
        channels: Channels,
        dispatcher: Dispatcher,
        outbox: Outbox,
        journal: Journal,
    ) -> None:
        self._reloader = reloader
        self._channels = channels
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._journal = journal
        self._since = time.time()

    async def picture(self) -> Mapping[str, object]:
        """Channels, turns, outbox, journal, the last reloads and the counters, as JSON values."""
        counts = await self._journal.counts()
        statuses = self._channels.statuses()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "since": self._since,
            "generation": self._reloader.snapshot.generation,
            "channels": {name: _channel(*found) for name, found in statuses.items()},
            "running": [
                {**_turn(work), "since": running.since}
                for work, running in self._dispatcher.running.values()
            ],
            "waiting": [_turn(work) for work in self._dispatcher.waiting.values()],
            "outbox": {"pending": self._outbox.waiting, "refused": counts.replies_refused},
            "journal": {"turns": dict(counts.turns), "sessions": counts.sessions},
            "reloads": [
                {
                    "at": one.at,
                    "trigger": one.trigger,
                    "result": one.result,
                    "generation": one.generation,
                    "problems": one.problems,
                    "pending": one.pending,
                }
                for one in self._reloader.history
            ],
            "counters": metrics.snapshot(),
        }

    def not_ready(self) -> list[str]:
        """Why the sidecar is not ready. A channel that backs off is on its way, so it counts."""
        return [
            f"channel {name}: {status.state}{f': {status.reason}' if status.reason else ''}"
            for name, (_, status) in self._channels.statuses().items()
            if status.state in ("starting", "stopped")
        ]


def _channel(account: str, status: ChannelStatus) -> dict[str, object]:
    return {
        "account": account,
        "state": status.state,
        "since": status.since,
        "reason": status.reason,
        "connection": status.connection,
        "reconnects": status.reconnects,
    }


def _turn(work: Work) -> dict[str, object]:
    message = work.newest
    return {
        "turn": work.turn,
        "channel": message.channel,
        "conversation": message.conversation.id,
        "thread": message.conversation.thread,
        "route": work.route.name,
        "runtime": work.route.runtime,
        "trust": work.trust,
        "received_at": message.received_at,
    }
