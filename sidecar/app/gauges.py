"""What the sidecar is at this moment, as figures for a monitoring system."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping

from sidecar import __version__
from sidecar.app.connecting.channels import Channels
from sidecar.app.reloading.reload import Reloader
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outages import REMEDIES, Outages
from sidecar.app.turns.outbox import Outbox

Gauge = tuple[str, Mapping[str, str], float]
"""A name, labels, and the present value."""


class Gauges:
    """Reads the figures from the parts that run."""

    def __init__(
        self,
        reloader: Reloader,
        channels: Channels,
        dispatcher: Dispatcher,
        outbox: Outbox,
        outages: Outages,
    ) -> None:
        self._reloader = reloader
        self._channels = channels
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._outages = outages

    def read(self) -> Iterator[Gauge]:
        """All figures, with the names of `sidecar.server.metric_table`."""
        yield "build_info", {"version": __version__}, 1
        yield from self._turns()
        for name, (_, status) in self._channels.statuses().items():
            labels = {"channel": name}
            yield "channel_connected", labels, float(status.state == "connected")
            yield "channel_reconnects_total", labels, status.reconnects
        yield "outbox_replies", {}, self._outbox.waiting
        yield "outbox_oldest_seconds", {}, self._outbox.age(time.time())
        yield from self._config()

    def _turns(self) -> Iterator[Gauge]:
        snapshot = self._reloader.snapshot
        running = Counter(work.route.runtime for work, _ in self._dispatcher.running.values())
        waiting = Counter(work.route.runtime for work in self._dispatcher.waiting.values())
        for name in {*snapshot.runtimes, *running, *waiting}:
            yield "turns_running", {"runtime": name}, running[name]
            yield "turns_waiting", {"runtime": name}, waiting[name]
        down = self._outages.present(snapshot.runtimes, time.time())
        for name in snapshot.runtimes:
            for kind in REMEDIES:
                is_down = name in down and down[name].kind == kind
                yield "runtime_unavailable", {"runtime": name, "kind": kind}, float(is_down)

    def _config(self) -> Iterator[Gauge]:
        reloader = self._reloader
        info = {"hash": reloader.digest, "generation": str(reloader.snapshot.generation)}
        yield "config_info", info, 1
        yield "config_last_reload_successful", {}, float(not reloader.shortfall)
        yield "config_last_reload_success_timestamp_seconds", {}, reloader.confirmed_at
        yield "config_pending_restart", {}, len(reloader.pending)
