"""One turn in one process: its clocks, its events, its outcome and its end."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module

from sidecar import codecs, metrics
from sidecar.api import Host
from sidecar.codecs.ndjson import Lines, cut
from sidecar.core.wording import cut_answer, size
from sidecar.model import AgentEvent, Block, Failure, Job
from sidecar.runtimes.launch import Attended, Launch, Streaming
from sidecar.runtimes.processes.ending import finish
from sidecar.runtimes.processes.process import Process

LEFTOVER_GRACE = 0.5
"""Seconds at most that what a good turn left behind is given to end: the reply waits for it."""
CANCEL_WAIT = 0.5
"""Seconds for the last word of an agent that was told to stop; the known ones need 0.13."""
PIECES = "pieces"
"""What codecs import to read pieces of a text: the loop would stand still for 25 ms meanwhile."""
SILENCE = 0.2
"""Seconds without output after which what an agent tells of its own accord has been told."""


class ProcessTurn:
    """A turn whose process runs. `marks` name it in the environment of all that it starts.

    A dialogue is over as soon as it has settled: the process goes on.
    """

    def __init__(
        self, process: Process, launch: Launch, job: Job, host: Host, marks: Mapping[str, str]
    ) -> None:
        self._process = process
        self._notes = launch.notes
        self._codec = codec = launch.codec
        self._dialogue = dialogue = launch.dialogue
        self._attended = dialogue if dialogue and isinstance(dialogue, Attended) else None
        self._streaming = codec if dialogue is None and isinstance(codec, Streaming) else None
        self._lines = Lines() if launch.lines else None
        self._job = job
        self._host = host
        self._marks = marks
        self._loop = asyncio.get_running_loop()
        self._finished_at: float | None = None
        self._silent = self._restless = False
        self._over = False
        self._converse()

    def can_stay(self) -> bool:
        """Whether the process can take the next turn: it has settled this one, began nothing since
        and is not in the midst of a line. To be asked once, when the turn is over."""
        settled = self._dialogue is not None and self._dialogue.settled
        clean = self._lines is not None and not self._lines.finish()
        return settled and clean and not self._restless and self._process.returncode is None

    @property
    def broke_off(self) -> bool:
        """Whether the agent has ended without its last word."""
        return self._over and not self._silent and not self._codec.finished

    @property
    def grace(self) -> float:
        """Seconds that what still runs of it is given to end."""
        limits = self._job.limits
        good = self._over and not self._silent
        return min(LEFTOVER_GRACE, limits.stop_grace) if good else limits.stop_grace

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
            data = await self._read()
        except TimeoutError:
            # Standard error may have moved the clock on meanwhile.
            late = self._loop.time() >= self._deadline()
            if late and self._attended is not None and self._attended.waits_for_silence:
                self._attended.go_on()
                self._converse()
                return ()
            self._over = late
            self._silent = self._over and not self._codec.finished
            return ()
        if data:
            events = self._take(data)
            if self._attended is not None:
                await self._attended.attend()
                self._converse()
            return events
        self._over = True
        events = self._decode([] if self._lines is None else self._lines.finish())
        await self._exit()
        return events

    def outcome(self) -> list[AgentEvent]:
        """The last events: a note when the answer was cut, and the `TurnEnded`, whose text says it,
        too."""
        hide = self._process.hide  # its words may tell what it knows
        ended = self._codec.end(self._process.returncode, hide(self._process.stderr))
        if ended.failure is not None:
            failure = replace(ended.failure, detail=hide(ended.failure.detail))
            ended = replace(ended, failure=failure)
        if self._silent:
            seconds = self._job.limits.idle_timeout
            failure = Failure("idle_timeout", f"it printed nothing for {seconds:g} s")
            ended = replace(ended, failure=failure)
        if self._codec.cut and ended.failure is None:
            ended = replace(ended, text=cut_answer(ended.text, self._job.limits.output))
        return [*self._losses(), ended]

    async def cancel(self) -> None:
        """Have an agent that can be told stop what it does; wait a moment for its last word."""
        if self._attended is None or self._over:
            return
        self._attended.cancel()
        told = self._attended.outgoing()
        self._process.write(told)
        deadline = self._loop.time() + CANCEL_WAIT
        with suppress(TimeoutError):
            while told and not self._codec.finished:
                data = await self._process.read(deadline)
                _ = self._take(data)
                told = told if data else b""

    async def close(self) -> None:
        """End what still runs of the turn. Once begun, that is finished even when cancelled."""
        try:
            await self.cancel()
        finally:
            ended = await finish(self._process, self._marks, self.grace, self._host.spawn)
        if ended and (self._dialogue is None or not self._dialogue.settled):
            self._host.log.info("ended what was left of turn %s", self._job.turn)
            metrics.count("agents_ended_total", runtime=self._host.name)

    async def _read(self) -> bytes:
        # While the agent starts. Only what is imported to its end is an attribute of its package.
        if self._streaming is not None and not hasattr(codecs, PIECES):
            await asyncio.to_thread(import_module, f"{codecs.__name__}.{PIECES}")
        return await self._process.read(self._deadline())

    def _deadline(self) -> float:
        """Until when the next output has to come."""
        if self._attended is not None and self._attended.waits_for_silence:
            return self._process.active + SILENCE
        if self._finished_at is not None:
            return self._finished_at + self._job.limits.linger
        return self._process.active + self._job.limits.idle_timeout

    def _take(self, data: bytes) -> Sequence[AgentEvent]:
        """The events that a piece of the output completes."""
        if self._lines is None:
            return self._decode([data])
        lines = self._lines.whole(data)
        pieces = None if self._streaming is None else self._streaming.pieces(lines)
        return self._decode(cut(lines)) if pieces is None else pieces

    def _decode(self, lines: Sequence[bytes]) -> Sequence[AgentEvent]:
        events: list[AgentEvent] = []
        for line in lines:
            if self._dialogue is not None and self._dialogue.settled:
                self._restless = self._restless or not self._dialogue.is_idle(line)
                continue
            # Not in a thread, however long: decoding JSON holds the interpreter's lock throughout.
            events += self._codec.feed(line)
        self._converse()
        if not self._codec.finished:
            self._finished_at = None
        elif self._finished_at is None:
            self._finished_at = self._loop.time()
        return events

    def _converse(self) -> None:
        if self._dialogue is not None:
            self._process.write(self._dialogue.outgoing())
            last = self._attended is not None and self._codec.finished
            self._over = self._over or last or self._dialogue.settled

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
            limit = size(self._job.limits.output)
            metrics.count("answers_cut_total", runtime=self._host.name)
            self._host.log.warning("the answer was longer than limits.output (%s): cut", limit)
            text = f"The answer was longer than {limit} and is cut."
            notes.append(Block("system", text, name="cut"))
        dropped = self._lines.dropped if self._lines is not None else 0
        if dropped:
            metrics.count("agent_lines_dropped_total", dropped, runtime=self._host.name)
            self._host.log.warning("%d line(s) were too long and are left out", dropped)
            notes.append(Block("system", f"{dropped} line(s) were too long.", name="dropped"))
        return notes
