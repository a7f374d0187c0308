"""Tells systemd how it stands: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

Without `NOTIFY_SOCKET` in the environment, nothing is told.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

from sidecar import metrics

log = logging.getLogger(__name__)


class Notifier:
    """The socket of the service manager, as the environment names it."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        name = env.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is an abstract one, which the system begins with a NUL.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._interval = _interval(env)

    def tell(self, *states: str) -> None:
        """Send states such as `READY=1`."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(states).encode(), self._address)
        except OSError as error:
            metrics.count("notify_failures_total")
            log.warning("systemd cannot be told %s: %s", states[0], error)

    async def keep_alive(self) -> None:
        """Feed the watchdog for ever, where there is one: a loop that is stuck does not."""
        if self._interval is None:
            return
        while True:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._interval)


def _interval(env: Mapping[str, str]) -> float | None:
    """Half of the seconds after which the watchdog ends a process that is silent; None without."""
    given = env.get("WATCHDOG_USEC", "")
    if not given.isdecimal() or env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return max(0.1, int(given) / 2_000_000)
