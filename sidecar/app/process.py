"""The process around a sidecar: signals, logs and exit codes."""

import asyncio
import errno
import gc
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from sidecar import logs
from sidecar.app.checking.candidate import Memory
from sidecar.app.lifecycle.chores import stay_small
from sidecar.app.lifecycle.hangup import Hangup
from sidecar.app.lifecycle.log_setup import configure_logs
from sidecar.app.lifecycle.notify import Notifier
from sidecar.app.lifecycle.termination import leave
from sidecar.app.reloading.outcome import error_lines
from sidecar.app.reloading.reloaded import warn
from sidecar.app.sidecar import Sidecar
from sidecar.app.turns import tracing
from sidecar.app.watching.digests import Digests
from sidecar.config.model import Config
from sidecar.config.problems import Problem
from sidecar.core.redact import Redactor
from sidecar.errors import SidecarError
from sidecar.runtimes.processes.orphans import sweep

log = logging.getLogger(__name__)

SWITCH = 0.001
"""Seconds after which a thread that computes lets another one go on."""
ONE_PRESS = 0.2
"""Seconds in which SIGINT counts once: a terminal sends it to all that it runs, and a program such
as make, npm or an init process may pass it on besides. Nobody presses Ctrl-C twice so quickly."""


def serve(
    path: Path,
    config: Config,
    inputs: Digests,
    memory: Memory,
    problems: Sequence[Problem] = (),
    hangup: Hangup | None = None,
) -> int:
    """Run a sidecar until it is told to stop; the exit code of the process. `problems` are those of
    the file: with an error among them, `config` is an earlier one. `hangup` has listened so far."""
    try:
        configure_logs(config)
    except OSError as error:
        return _not_started(config, f"the log file cannot be opened: {error}")
    if not error_lines(problems):
        warn(problems)
    sidecar = Sidecar(path, config, inputs, memory=memory, problems=problems)
    try:
        tracing.start(os.environ)
        return asyncio.run(until_stopped(sidecar, hangup=hangup))
    except (SidecarError, OSError) as error:
        reason = _reason(config, error)
        log.critical("cannot start: %s", reason)
        return _not_started(config, reason)
    finally:
        tracing.stop()
        logs.shutdown()


def _reason(config: Config, error: Exception) -> str:
    if config.server and isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        listen = config.server.listen
        return f"{listen} is in use: stop what listens there, or have `server.listen` name another"
    return str(error)


def _not_started(config: Config, reason: str) -> int:
    """Tell why outside of the log; the exit code."""
    told = Redactor(config.secrets).redact(f"cannot start: {reason}")
    if config.log.file is not None:  # otherwise it has just been logged to the same screen
        _ = sys.stderr.write(f"sidecar: {told}\n")
    leave(f"{told}\n")
    return 1


async def until_stopped(
    sidecar: Sidecar,
    beside: Callable[[], Coroutine[object, object, None]] | None = None,
    hangup: Hangup | None = None,
) -> int:
    """Run until SIGTERM or SIGINT, or until what `beside` begins has ended; the exit code.

    The first signal drains, a second one ends everything at once; `ONE_PRESS` tells which SIGINT is
    none. SIGHUP reloads the config; one that came before, which `hangup` knows, once it runs.
    """
    hangup = hangup or Hangup()
    hangup.listen()
    stop, notifier, told = asyncio.Event(), Notifier(), StopSignals()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_end, stop, sidecar.state, told, number)
    # Work in other threads, as of a reload, may hold up each step of the loop for so long.
    sys.setswitchinterval(SWITCH)
    async with sidecar:
        loop.add_signal_handler(signal.SIGHUP, sidecar.reload_soon, "SIGHUP")
        if hangup.came:
            sidecar.reload_soon("SIGHUP")
        _ = sidecar.spawn(_settle(sidecar), "settle")
        _ = sidecar.spawn(stay_small(), "memory")
        _ = sidecar.spawn(notifier.keep_alive(), "notify")
        notifier.tell("READY=1")
        waits = [sidecar.spawn(_until(stop), "signals")]
        if beside is not None:
            waits.append(sidecar.spawn(beside(), "chat"))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        notifier.tell("STOPPING=1")
    return 0


async def _settle(sidecar: Sidecar) -> None:
    """Do the rest of a start, which no channel has to wait for before it connects."""
    try:
        await sidecar.channels.check([*sidecar.channels.statuses()], failures=())
        await asyncio.to_thread(sidecar.reloader.snapshot.prompts.prepare)
    finally:
        # What was made until now stays: without this, each full collection looks through it all,
        # which holds up whatever turn is under way for more than 10 ms.
        gc.collect()
        gc.freeze()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


class StopSignals:
    """Counts how often the process was told to stop."""

    def __init__(self) -> None:
        self._times = 0
        self._pressed = -math.inf

    def count(self, number: int, now: float) -> int:
        """The number of times, with a signal that came `now`, in seconds of a clock that never
        goes back."""
        if number == signal.SIGINT:
            if now - self._pressed < ONE_PRESS:
                return self._times
            self._pressed = now
        self._times += 1
        return self._times


def _stop_or_end(stop: asyncio.Event, state: Path, told: StopSignals, number: int) -> None:
    stop.set()
    if told.count(number, time.monotonic()) < 2:
        return
    log.warning("told to stop at once: what runs is cut, and runs again at the next start")
    sweep(state)
    logs.shutdown()
    # As asked for as a drain, which may cut turns as well: nobody is to start it again for that.
    os._exit(0)
