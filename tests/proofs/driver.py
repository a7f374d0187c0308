"""The command `sidecar`, with its times cut short, that dies where it is told to.

`DEATH TIMES SILENCE COMMAND …`: DEATH is `before:` or `after:` and a function of the product, as
`module:name`; the sidecar dies of SIGKILL the first, second, … time that it comes there, as TIMES
tells. `-` is no such place. A socket on which the Hub says nothing for SILENCE seconds is given up.
On SIGUSR1 it tells how many tasks there are.
"""

import asyncio
import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

DAY = 86400.0


def mortal(function: Callable[..., Any], moment: str, times: int) -> Callable[..., Any]:
    """The function, with an end to it."""
    left = times

    def come(now: str) -> None:
        nonlocal left
        left -= now == moment
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def slow(*args: Any, **options: Any) -> Any:
            come("before")
            answer = await function(*args, **options)
            come("after")
            return answer

        return slow

    @functools.wraps(function)
    def quick(*args: Any, **options: Any) -> Any:
        come("before")
        answer = function(*args, **options)
        come("after")
        return answer

    return quick


def arm(death: str, times: int) -> None:
    """See to it that the process dies at a place."""
    moment, module, name = death.split(":")
    owner: Any = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    plain = inspect.getattr_static(owner, last)
    if isinstance(plain, classmethod):
        setattr(owner, last, classmethod(mortal(plain.__func__, moment, times)))
    else:
        setattr(owner, last, mortal(plain, moment, times))


def hurry(silence: float) -> None:
    """Waits that last minutes or an hour out there last seconds here, and a day that something is
    kept is a second."""
    from sidecar.app.lifecycle import chores
    from sidecar.app.turns import durable
    from sidecar.channels import botcord

    prune = chores.prune
    chores.prune = lambda journal, ttl: prune(journal, ttl / DAY)
    chores.PRUNE_INTERVAL = 2.0
    chores.MEMORY_INTERVAL = 1.0
    durable.WAIT = 0.5
    timing = botcord.Timing
    botcord.Timing = lambda: timing(  # type: ignore[misc, assignment]
        socket=botcord.Limits(
            handshake=silence, login=silence, ping=1.0, silence=silence, close=0.5
        ),
        poll=2.0,
        request=3.0,
        short_request=2.0,
        first_wait=0.2,
        longest_wait=2.0,
    )


def tell_tasks(*_: object) -> None:
    sys.stderr.write(f"tasks: {len(asyncio.all_tasks())}\n")


if __name__ == "__main__":
    death, times, silence, *command = sys.argv[1:]
    hurry(float(silence))
    signal.signal(signal.SIGUSR1, tell_tasks)
    if death != "-":
        arm(death, int(times))
    from sidecar.cli import main

    sys.exit(main(command))
