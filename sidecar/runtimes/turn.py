"""One turn in one process: its clocks, its events, its outcome and its end."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar import metrics
from sidecar.api import Host
from sidecar.codecs.ndjson import Lines
from sidecar.model import AgentEvent, Block, Failure, Job
from sidecar.runtimes.ending import finish
from sidecar.runtimes.launch import Launch
from sidecar.runtimes.process import Process

LEFTOVER_GRACE = 0.5
"""Seconds at most that what a good turn left behind is given to end: the reply waits for it."""


class ProcessTurn:
    """A turn whose process runs. `marks` name it in the environment of all that it starts."""

    def __init__(
        self, process: Process, launch: Launch, job: Job, host: Host, marks: Mapping[str, str]
    ) -> None:
        self._process = process
        self._notes = launch.notes
        self._codec = launch.codec
        self._lines = Lines() if launch.lines else None
        self._job = job
        self._host = host
        self._marks = marks
        self._loop = asyncio.get_running_loop()
        self._finished_at: float | None = None
        self._silent = False
        self._over = False

    async def next(self) -> Sequence[AgentEvent] | None:
        """The next events, possibly none; None when the agent has ended or is given up."""
        if self._over:
            return None
        if self._notes:
            notes, self._notes = self._notes, ()
            return notes
        if self._finished_at is not None and self._loop.time() >= self._deadline():
            self._over = True  # however much it still prints
            return ()
        try:
            data = await self._process.read(self._deadline())
        except TimeoutError:
            # Standard error may have moved the clock on meanwhile.
            self._over = self._loop.time() >= self._deadline()
            self._silent = self._over and not self._codec.finished
            return ()
        if data:
            return self._decode([data] if self._lines is None else self._lines.feed(data))
        self._over = True
        events = self._decode([] if self._lines is None else self._lines.finish())
        await self._exit()
        return events

    def outcome(self) -> list[AgentEvent]:
        """The last events: a note when the answer was cut, and the `TurnEnded`."""
        ended = self._codec.end(self._process.returncode, self._process.stderr)
        if self._silent:
            seconds = self._job.limits.idle_timeout
            failure = Failure("idle_timeout", f"it printed nothing for {seconds:g} s")
            ended = replace(ended, failure=failure)
        return [*self._losses(), ended]

    async def close(self) -> None:
        """End what still runs of the turn. Once begun, that is finished even when cancelled."""
        limits = self._job.limits
        good = self._over and not self._silent
        grace = min(LEFTOVER_GRACE, limits.stop_grace) if good else limits.stop_grace
        if await finish(self._process, self._marks, grace, self._host.spawn):
            self._host.log.info("ended what was left of turn %s", self._job.turn)
            metrics.count("agents_ended_total", runtime=self._host.name)

    def _deadline(self) -> float:
        """Until when the next output has to come."""
        if self._finished_at is not None:
            return self._finished_at + self._job.limits.linger
        return self._process.active + self._job.limits.idle_timeout

    def _decode(self, lines: Sequence[bytes]) -> Sequence[AgentEvent]:
        events: list[AgentEvent] = []
        for line in lines:
            # Not in a thread, however long: decoding JSON holds the interpreter's lock throughout.
            events += self._codec.feed(line)
        if not self._codec.finished:
            self._finished_at = None
        elif self._finished_at is None:
            self._finished_at = self._loop.time()
        return events

    async def _exit(self) -> None:
        """Nothing more can come: what remains is the exit code, if it does not linger."""
        try:
            await self._process.wait(self._loop.time() + self._job.limits.linger)
        except TimeoutError:
            self._host.log.debug("it closed its output and stays")

    def _losses(self) -> list[AgentEvent]:
        """Notes of what the answer lacks."""
        notes: list[AgentEvent] = []
        if self._codec.cut:
            text = f"The answer was longer than {self._job.limits.output} bytes and is cut."
            notes.append(Block("system", text, name="cut"))
        dropped = self._lines.dropped if self._lines is not None else 0
        if dropped:
            metrics.count("agent_lines_dropped_total", dropped, runtime=self._host.name)
            self._host.log.warning("%d line(s) were too long and are left out", dropped)
            notes.append(Block("system", f"{dropped} line(s) were too long.", name="dropped"))
        return notes
