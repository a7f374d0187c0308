"""Frames that came in: checked, acted upon once and in order, and answered.

Those that only ask for something are answered beside the others, as soon as they come: what takes
long keeps no question waiting.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Protocol

from sidecar import metrics
from sidecar.api import Host
from sidecar.codecs.hub.control import Ack, Done, Failed, Frame, Refused, ack, verify
from sidecar.errors import JournalError

QUESTIONS = frozenset(
    {"collect_diagnostics", "list_agent_files", "list_agents", "list_runtimes", "ping"}
)
"""Types of frames that change nothing."""
WAITING = 32
"""Frames that may wait while others are acted upon, of questions and of others."""
ANSWERING = 4
"""Questions that are answered at the same time."""
LONG = 64 * 1024
"""Characters from which on a frame is checked in a thread, so that nothing has to wait for it, and
the answer to a question is not kept: asked again, it is answered anew."""
PATIENCE = {"provision_agent": 25.0}
"""Seconds in which what a frame asks for must be there: the Hub waits for 30 for its answer, and
takes an agent back that is not there by then."""

Act = Callable[[Frame], Awaitable[Ack]]
"""Does what a frame asks for."""
Keys = Callable[[], Collection[str]]
"""The Hub's public keys of the moment, base64."""


class Ledger(Protocol):
    """Remembers, also after a crash, which frames have acted, for longer than they are valid."""

    async def begin_frame(self, id_: str, *, now: float) -> str | None:
        """None for a new one, which is known from now on; else its answer, empty where it has
        none yet. May raise JournalError."""

    async def end_frame(self, id_: str, answer: str) -> None:
        """Remember the answer. May raise JournalError."""


class Frames:
    """The queues of one link.

    `idle` is set while none acts or waits; questions do not count. `send` sends a text, `refused`
    is told why a frame is refused, `revoke` ends the link for good. `clock` is in seconds.
    """

    def __init__(
        self,
        host: Host,
        keys: Keys,
        ledger: Ledger,
        send: Callable[[str], Awaitable[bool]],
        refused: Callable[[str], None],
        revoke: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = host.log
        self._keys = keys
        self._ledger = ledger
        self._send = send
        self._refused = refused
        self._revoke = revoke
        self._clock = clock
        self.idle = asyncio.Event()
        self.idle.set()
        self._orders: asyncio.Queue[Frame] = asyncio.Queue(WAITING)
        self._questions: asyncio.Queue[Frame] = asyncio.Queue(WAITING)

    async def take(self, text: str) -> None:
        """Check a frame, and let it wait for its turn. One too many is answered with `busy`."""
        match await self._check(text):
            case None:
                return
            case Refused(code, reason, id_):
                await self._refuse(id_, Failed(code, reason))
            case Frame() as frame:
                try:
                    if frame.type in QUESTIONS:
                        self._questions.put_nowait(frame)
                    else:
                        due = self._clock() + PATIENCE.get(frame.type, math.inf)
                        self._orders.put_nowait(replace(frame, due=due))
                        self.idle.clear()
                except asyncio.QueueFull:
                    await self._refuse(frame.id, Failed("busy", f"{WAITING} frames wait already"))

    async def run(self, act: Act) -> None:
        """Act, frame by frame, in the order in which they came, and answer questions beside."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._act_in_order(act), name="control-orders")
            for _ in range(ANSWERING):
                group.create_task(self._answer_questions(act), name="control-questions")

    async def _act_in_order(self, act: Act) -> None:
        while True:
            frame = await self._orders.get()
            try:
                if self._clock() > frame.due:
                    late = Failed("busy", "it had to wait for too long")
                    await self._refuse(frame.id, late)
                else:
                    await self._once(frame, act)
            finally:
                if self._orders.empty():
                    self.idle.set()

    async def _answer_questions(self, act: Act) -> None:
        while True:
            await self._once(await self._questions.get(), act)

    async def _check(self, text: str) -> Frame | Refused | None:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            return Refused("malformed", "it is not UTF-8")
        if len(data) <= LONG:
            return verify(data, self._keys(), time.time())
        return await asyncio.to_thread(verify, data, self._keys(), time.time())

    async def _once(self, frame: Frame, act: Act) -> None:
        """Act upon a frame unless it has acted before."""
        asks = frame.type in QUESTIONS
        try:
            known = await self._ledger.begin_frame(frame.id, now=time.time())
        except JournalError as error:
            if not asks:  # it could act twice
                await self._refuse(frame.id, Failed("state_unusable", f"{error}"))
                return
            metrics.count("control_failures_total", what="journal")
            self._log.warning("a question is answered without the journal: %s", error)
            known = None
        if known is None or (asks and not known):
            await self._answer(frame, act)
            return
        self._note_refused("duplicate", "a frame came twice")
        unknown = Failed("duplicate", "it came before and has no answer yet")
        await self._send(known or ack(frame.id, unknown))

    async def _answer(self, frame: Frame, act: Act) -> None:
        revoked = frame.type == "revoke"
        outcome = Done({"acknowledged": True}) if revoked else await self._act(frame, act)
        code = outcome.code if isinstance(outcome, Failed) else "done"
        metrics.count("control_frames_total", result=code)
        self._log.info("control frame %s (%s): %s", frame.type, frame.id, code)
        answer = ack(frame.id, outcome)
        if frame.type not in QUESTIONS or len(answer) <= LONG:
            await self._keep(frame.id, answer)
        await self._send(answer)
        if revoked:
            await self._revoke()

    async def _keep(self, id_: str, answer: str) -> None:
        """Before it is sent, so that it is the same whenever the frame comes again."""
        try:
            await self._ledger.end_frame(id_, answer)
        except JournalError as error:
            metrics.count("control_failures_total", what="answer")
            self._log.error("an answer is not kept: %s", error)

    async def _act(self, frame: Frame, act: Act) -> Ack:
        try:
            return await act(frame)
        except Exception as error:  # noqa: BLE001 -- whatever an act does, the link goes on
            self._log.exception("control frame %s failed", frame.type)
            return Failed("handler_error", f"{type(error).__name__}: the sidecar's log tells more")

    async def _refuse(self, id_: str | None, failed: Failed) -> None:
        self._note_refused(failed.code, failed.message)
        if id_ is not None:
            await self._send(ack(id_, failed))

    def _note_refused(self, code: str, reason: str) -> None:
        metrics.count("control_frames_total", result=code)
        self._log.warning("a control frame is refused: %s: %s", code, reason)
        self._refused(f"{code}: {reason}")
