"""Frames that came in: checked, acted upon once and in order, and answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from sidecar import metrics
from sidecar.api import Host
from sidecar.codecs.control import Ack, Done, Failed, Frame, Refused, ack, verify
from sidecar.errors import SidecarError

WAITING = 32
"""Frames that may wait while one is acted upon."""
LONG = 64 * 1024
"""Characters from which on a frame is checked in a thread, so that nothing has to wait for it."""

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
    """The queue of one link.

    `idle` is set while none is acted upon. `send` sends a text, `refused` is told why a frame is
    refused, `revoke` ends the link for good.
    """

    def __init__(
        self,
        host: Host,
        keys: Keys,
        ledger: Ledger,
        send: Callable[[str], Awaitable[bool]],
        refused: Callable[[str], None],
        revoke: Callable[[], Awaitable[None]],
    ) -> None:
        self._log = host.log
        self._keys = keys
        self._ledger = ledger
        self._send = send
        self._refused = refused
        self._revoke = revoke
        self.idle = asyncio.Event()
        self.idle.set()
        self._queue: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def put(self, text: str) -> None:
        """Take a frame. One too many is lost, and the Hub gets no answer in time."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self._count_refused("busy", f"{WAITING} frames wait already")

    async def run(self, act: Callable[[Frame], Awaitable[Ack]]) -> None:
        """Act, frame by frame, in the order in which they came."""
        while True:
            text = await self._queue.get()
            self.idle.clear()
            try:
                await self._take(text, act)
            except SidecarError as error:  # the journal: without it nothing may act
                self._count_refused("journal", f"{error}")
            finally:
                self.idle.set()

    async def _take(self, text: str, act: Callable[[Frame], Awaitable[Ack]]) -> None:
        match await self._check(text):
            case None:
                return
            case Refused(code, reason, id_):
                self._count_refused(code, reason)
                if id_ is not None:
                    await self._send(ack(id_, Failed(code, reason)))
            case Frame() as frame:
                known = await self._ledger.begin_frame(frame.id, now=time.time())
                if known is None:
                    await self._answer(frame, act)
                else:
                    self._count_refused("duplicate", "a frame came twice")
                    unknown = Failed("duplicate", "it came before and has no answer yet")
                    await self._send(known or ack(frame.id, unknown))

    async def _check(self, text: str) -> Frame | Refused | None:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            return Refused("malformed", "it is not UTF-8")
        if len(data) <= LONG:
            return verify(data, self._keys(), time.time())
        return await asyncio.to_thread(verify, data, self._keys(), time.time())

    async def _answer(self, frame: Frame, act: Callable[[Frame], Awaitable[Ack]]) -> None:
        revoked = frame.type == "revoke"
        outcome = Done({"acknowledged": True}) if revoked else await self._act(frame, act)
        code = outcome.code if isinstance(outcome, Failed) else "done"
        metrics.count("control_frames_total", result=code)
        self._log.info("control frame %s (%s): %s", frame.type, frame.id, code)
        answer = ack(frame.id, outcome)
        await self._ledger.end_frame(frame.id, answer)
        await self._send(answer)
        if revoked:
            await self._revoke()

    async def _act(self, frame: Frame, act: Callable[[Frame], Awaitable[Ack]]) -> Ack:
        try:
            return await act(frame)
        except Exception as error:  # noqa: BLE001 -- whatever an act does, the link goes on
            self._log.exception("control frame %s failed", frame.type)
            return Failed("handler_error", f"{type(error).__name__}: the sidecar's log tells more")

    def _count_refused(self, code: str, reason: str) -> None:
        metrics.count("control_frames_total", result=code)
        self._log.warning("a control frame is refused: %s: %s", code, reason)
        self._refused(f"{code}: {reason}")
