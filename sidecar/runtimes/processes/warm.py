"""Processes that stay for the next turn of their session: for whom, how many, and how long.

A runtime asks `take` for the process that waits for a session; where there is none, it gets a
`Seat` from `reserve`, starts a process and makes a `Resident` of both. After a turn that ended
well the process is given to `keep`; after any other, to `end`. Each resident goes to exactly one of
the two, once for every turn.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

from sidecar import metrics
from sidecar.api import Host
from sidecar.codecs.ndjson import Lines
from sidecar.model import Job
from sidecar.runtimes.launch import Dialogue, Launch
from sidecar.runtimes.processes.ending import end_lost, finish
from sidecar.runtimes.processes.private import remove
from sidecar.runtimes.processes.process import Process

IDLE_GRACE = 1.0
"""Seconds from SIGTERM to SIGKILL for a process that waits: it has nothing to finish."""
LOST_GRACE = 0.5
"""The same for what a turn left behind: the reply waits for it."""

Owned = tuple[str, ...]
"""What names the session of one conversation, and of no other."""


def key_of(job: Job, env: Mapping[str, str], same: Iterable[str]) -> str:
    """What is equal for two jobs whose processes may be the same, if their session is.

    `env` is the environment without the marks. Of it only a digest is kept: it holds secrets.
    """
    parts = [job.account, job.trust, str(job.cwd), sorted(env.items()), list(same)]
    return sha256(json.dumps(parts).encode()).hexdigest()


def owned(job: Job, session: str | None) -> Owned | None:
    """A session with the conversation that it belongs to: an agent may count its sessions, and
    begin at 1 in each process."""
    if session is None:
        return None
    place = [str(job.message.get(name)) for name in ("channel", "conversation", "thread")]
    return (*place, session)


class Seat:
    """The right to one process of a pool."""


@dataclass(slots=True, eq=False)
class Resident:
    """One process that stays. `launch` has its last turn, and files that are removed at its end.
    `used`: it has had an earlier turn."""

    seat: Seat
    process: Process
    key: str
    marks: Mapping[str, str]
    launch: Launch
    used: bool = False
    session: Owned = ()
    lines: Lines = field(default_factory=Lines)
    leaving: bool = False

    @property
    def dialogue(self) -> Dialogue:
        """Its last turn."""
        return cast(Dialogue, self.launch.dialogue)


class Pool:
    """At most `most` processes, each of which waits for at most `idle` seconds."""

    def __init__(self, most: int, idle: float, host: Host) -> None:
        self._most = most
        self._idle = idle
        self._host = host
        self._seats: set[Seat] = set()
        # Those that work for nobody, the longest first, with what watches or ends each.
        self._waiting: dict[Resident, asyncio.Task[None]] = {}
        self._closed = False

    def reserve(self) -> Seat | None:
        """A place for one more process, for which the one that waits longest has to go; None when
        all of them work."""
        if self._closed:
            return None
        if len(self._seats) >= self._most:
            oldest = next((one for one in self._waiting if not one.leaving), None)
            if oldest is None:
                return None
            self._seats.discard(oldest.seat)
            self._dismiss(oldest, "room")
        seat = Seat()
        self._seats.add(seat)
        return seat

    def release(self, seat: Seat) -> None:
        """Give back a place for which no process was started."""
        self._seats.discard(seat)

    async def take(self, key: str, session: Owned | None) -> Resident | None:
        """The process that waits for the next turn of a session, and may run it.

        All others with the same session have ended when this returns.
        """
        await self.forget(session, but=key)
        found = next((one for one in self._waiting if one.session == session), None)
        if found is None:
            return None
        watch = self._waiting.pop(found)
        fit = False
        try:
            watch.cancel()
            await asyncio.wait([watch])
            fit = await self._is_fit(found)
        finally:
            if not fit:
                await self.end(found, IDLE_GRACE)
        return found if fit else None

    async def forget(self, session: Owned | None, but: str = "") -> None:
        """End the processes that wait for a session, of another key than `but`: a turn comes of
        which they would not know."""
        while others := [
            one
            for one in self._waiting
            if one.session == session and (one.leaving or one.key != but)
        ]:
            for one in others:
                self._dismiss(one, "changed")
            await asyncio.wait([self._waiting[one] for one in others])
            for one in others:
                await self._end_left(one)

    async def keep(self, resident: Resident, session: Owned) -> bool:
        """Let a process wait for the next turn of its session; what its turn has left is ended, and
        another process that waits for a session of this name, which this one took the place of.
        False when it has to be ended itself, since the pool is closed."""
        await self.forget(session)
        await end_lost(resident.process, resident.marks, LOST_GRACE)
        if self._closed:
            return False
        resident.session = session
        resident.lines = Lines()
        name = f"warm:{resident.process.pid}"
        self._waiting[resident] = self._host.spawn(self._watch(resident), name)
        return True

    async def end(self, resident: Resident, grace: float) -> bool:
        """End a process with all that it has started; True when something still ran."""
        try:
            return await finish(resident.process, resident.marks, grace, self._host.spawn)
        finally:
            self._seats.discard(resident.seat)
            if resident.launch.files:
                await asyncio.to_thread(remove, resident.launch.files)

    async def close(self) -> None:
        """End all that wait; those that work follow when their turns end."""
        self._closed = True
        for one in list(self._waiting):
            self._dismiss(one, "closed")
        try:
            await self._all_ended()
        except asyncio.CancelledError:  # the sidecar stops, and nobody closes this pool again
            await self._all_ended()
            raise

    async def _all_ended(self) -> None:
        if self._waiting:
            await asyncio.wait(self._waiting.values())
        for one in list(self._waiting):
            await self._end_left(one)

    async def _end_left(self, resident: Resident) -> None:
        """End one that still waits when what ended it is over: the sidecar stops, and cancelled
        that."""
        if self._waiting.pop(resident, None) is not None:
            await self.end(resident, IDLE_GRACE)

    def _dismiss(self, resident: Resident, reason: str) -> None:
        """Begin to end one that waits."""
        if resident.leaving:
            return
        resident.leaving = True
        watch = self._waiting[resident]
        watch.cancel()
        name = f"warm:{resident.process.pid}"
        self._waiting[resident] = self._host.spawn(self._leave(resident, reason, watch), name)

    async def _watch(self, resident: Resident) -> None:
        """Drop what a waiting process prints; end it when it dies, works by itself, or is not
        asked for long."""
        deadline = asyncio.get_running_loop().time() + self._idle
        reason = await self._unfit(resident, deadline)
        resident.leaving = True
        await self._leave(resident, reason)

    async def _leave(
        self, resident: Resident, reason: str, watch: "asyncio.Task[None] | None" = None
    ) -> None:
        if watch is not None:
            await asyncio.wait([watch])
        metrics.count("warm_ended_total", runtime=self._host.name, reason=reason)
        self._host.log.debug("process %d is ended: %s", resident.process.pid, reason)
        await self.end(resident, IDLE_GRACE)
        self._waiting.pop(resident, None)

    async def _is_fit(self, resident: Resident) -> bool:
        """Whether one that waited can be asked now."""
        now = asyncio.get_running_loop().time()
        return await self._unfit(resident, now) == "idle" and not resident.lines.finish()

    async def _unfit(self, resident: Resident, deadline: float) -> str:
        """Why a process that waits cannot be asked any more; `idle` when that is no reason yet."""
        while True:
            try:
                data = await resident.process.read(deadline)
            except TimeoutError:
                return "idle"
            if not data:
                return "died"
            if not all(map(resident.dialogue.is_idle, resident.lines.feed(data))):
                return "busy"
