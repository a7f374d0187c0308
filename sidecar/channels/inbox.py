"""Fetches what is in the Hub's inbox, hands it over, and acknowledges what is safe here."""

import asyncio
import random
import time

from sidecar import metrics
from sidecar.api import Accept, Host
from sidecar.channels.hub import Hub
from sidecar.codecs.hub.botcord_inbox import message_of
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped, ChannelUnavailable, JournalError
from sidecar.model import Message

INTERVAL = 30.0
"""Seconds between looks into the inbox when nothing calls for one."""
MOST_FRUITLESS = 10
"""Pages without anything new, one after the other, with which a look ends; the next one goes on,
as the Hub leases what it gives for several looks."""
MOST_ACKNOWLEDGED = 200
"""Items of one acknowledgement."""
ACK_PAUSE = 0.02
"""Seconds for which an acknowledgement waits for more to join it, out of the way of the turns that
begin now. The Hub's lease is thousands of times as long."""


class Inbox:
    """The inbox of one agent. `problem` tells why it cannot be read now, empty when it can."""

    def __init__(
        self,
        hub: Hub,
        host: Host,
        *,
        interval: float = INTERVAL,
        first_wait: float = 1.0,
        longest_wait: float = 30.0,
    ) -> None:
        self.problem = ""
        self._hub = hub
        self._host = host
        self._interval = interval
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._wanted = asyncio.Event()
        self._reached = asyncio.Event()
        self._safe: dict[str, None] = {}
        self._acknowledge = asyncio.Event()

    def look(self) -> None:
        """Something may be in the inbox. Asked for during a look, there is one more after it."""
        self._wanted.set()

    def reached(self) -> None:
        """The Hub let us in: look now, though the last look failed."""
        self._reached.set()
        self._wanted.set()

    async def run(self, accept: Accept) -> None:
        """Look whenever asked to, and now and then. Cancelled, nothing is left behind.

        Raises:
            ChannelStopped: the agent cannot be used until a person acts.
        """
        failures = 0
        while True:
            await _within(self._interval, self._wanted)
            self._wanted.clear()
            self._reached.clear()
            try:
                await self._drain(accept)
            except ChannelUnavailable as error:
                metrics.count("inbox_failures_total", channel=self._host.name)
                least = error.wait or 0.0
                wait = max(self._wait(failures), least)
                failures += 1
                self.problem = f"{error}"
                self._host.log.warning("the inbox cannot be read, again in %.1f s: %s", wait, error)
                self._wanted.set()
                await self._pause(wait, least)
            else:
                failures = 0
                self.problem = ""

    async def acknowledge(self) -> None:
        """Acknowledge in the background what was handed over, until the Hub has taken it.

        What it never takes it gives again, and it is known here then.
        """
        failures = 0
        while True:
            while self._safe:
                try:
                    await self._acknowledge_some()
                except ChannelUnavailable as error:
                    metrics.count("ack_failures_total", channel=self._host.name)
                    self._host.log.info("not acknowledged yet: %s", error)
                    await asyncio.sleep(max(self._wait(failures), error.wait or 0.0))
                    failures += 1
                else:
                    failures = 0
            self._acknowledge.clear()
            await self._acknowledge.wait()
            await asyncio.sleep(ACK_PAUSE)

    async def _pause(self, seconds: float, least: float) -> None:
        """Wait before the next look; the Hub may ask for `least` seconds, in which it does not help
        to be let in."""
        await asyncio.sleep(least)
        await _within(seconds - least, self._reached)

    async def _drain(self, accept: Accept) -> None:
        """Take page after page, while the Hub says that there is more. One that gives the same
        again and again, or nothing new, gets no loop out of it."""
        more, fruitless = True, 0
        before: list[str] = []
        while more and fruitless < MOST_FRUITLESS:
            items, more = await self._hub.inbox()
            messages = self._messages(items)
            ids = [message.id for message in messages]
            new = [id_ for id_ in ids if id_ not in self._safe]
            if new:
                await self._hand_over(accept, messages)
                self._safe.update(dict.fromkeys(new))
                self._acknowledge.set()
            elif not items or (ids and ids == before):
                return
            before, fruitless = ids, 0 if new else fruitless + 1

    def _messages(self, items: list[object]) -> list[Message]:
        now = time.time()
        messages = []
        for item in items:
            message = message_of(
                item,
                channel=self._host.name,
                account=self._hub.agent,
                hub=self._hub.base,
                now=now,
            )
            if message is not None:
                messages.append(message)
        if skipped := len(items) - len(messages):
            metrics.count("inbox_items_skipped_total", skipped, channel=self._host.name)
            self._host.log.warning(
                "%d item(s) without a usable hub_msg_id are left in the inbox", skipped
            )
        return messages

    async def _hand_over(self, accept: Accept, messages: list[Message]) -> None:
        """Keep what was fetched until it is durable: the Hub gives it again only much later."""
        failures = 0
        while True:
            try:
                await accept(messages)
            except JournalError as error:
                wait = self._wait(failures)
                failures += 1
                self.problem = f"messages cannot be kept: {error}"
                self._host.log.error("%s; again in %.1f s", self.problem, wait)  # noqa: TRY400 -- told, not a defect
                await asyncio.sleep(wait)
            else:
                return

    async def _acknowledge_some(self) -> None:
        ids = list(self._safe)[:MOST_ACKNOWLEDGED]
        answer = await self._hub.acknowledge(ids)
        if not answer.ok:
            error = self._hub.error(answer)
            if isinstance(error, ChannelStopped) or answer.status not in (400, 413, 422):
                raise error
            metrics.count("acks_refused_total", len(ids), channel=self._host.name)
            self._host.log.error("the Hub refuses an acknowledgement: %s", answer)
        for id_ in ids:
            self._safe.pop(id_, None)

    def _wait(self, failures: int) -> float:
        return delay(
            failures, first=self._first_wait, most=self._longest_wait, random=random.random
        )


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
