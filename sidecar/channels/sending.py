"""Replies as messages in the Hub, each exactly once as far as the Hub can tell."""

from dataclasses import dataclass

from sidecar import metrics
from sidecar.api import Host
from sidecar.channels.hub import Hub
from sidecar.channels.pacing import Pacer
from sidecar.codecs.hub.botcord import verdict
from sidecar.codecs.hub.envelope import signed_message, text_payload
from sidecar.codecs.loose import text_of
from sidecar.errors import ChannelError, ChannelUnavailable, ReplyRefused
from sidecar.hubclient.http import Answer
from sidecar.model import Reply

OLDEST = 240.0
"""Seconds after which an envelope is signed anew: the Hub takes none that is 300 s old."""
MOST_DRAFTS = 256
"""Replies that were not accepted yet whose envelopes are kept."""
MOST_TRIES = 4
"""Envelopes that are sent for one reply in a row, each mended after what the Hub said."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is sent for a reply: the same on every try, until the Hub wants it to be different."""

    envelope: dict[str, object]
    signed_at: float
    attempt: int = 1
    targeted: bool = True


class Sender:
    """Sends replies for one agent."""

    def __init__(self, hub: Hub, pacer: Pacer, host: Host) -> None:
        self._hub = hub
        self._pacer = pacer
        self._host = host
        self._drafts: dict[str, _Draft] = {}

    async def send(self, reply: Reply) -> str | None:
        """Return when the Hub has the reply, with the id that it gave it.

        Raises:
            ChannelUnavailable, ReplyRefused, ChannelStopped: as `sidecar.api.Channel.send` tells.
        """
        for _ in range(MOST_TRIES):
            await self._pacer.pass_one(reply.conversation.id)
            draft = self._draft(reply)
            answer = await self._hub.send(draft.envelope)
            if verdict(answer.status, answer.code) == "accepted":
                found = _message_id(answer)
            elif await self._had_arrived(reply, draft, answer):
                found = None
            else:
                continue
            self._drafts.pop(reply.key, None)
            self._end_stream(reply)
            return found
        raise ChannelUnavailable("the Hub wants a different message each time")

    def _draft(self, reply: Reply) -> _Draft:
        draft = self._drafts.get(reply.key)
        if draft is None:
            return self._write(reply, attempt=1, targeted=True)
        if self._is_old(draft):
            return self._write(reply, attempt=draft.attempt, targeted=draft.targeted)
        return draft

    def _is_old(self, draft: _Draft) -> bool:
        return abs(self._hub.clock.now() - draft.signed_at) > OLDEST

    def _write(self, reply: Reply, *, attempt: int, targeted: bool) -> _Draft:
        now = self._hub.clock.now()
        envelope = signed_message(
            key=self._hub.key,
            key_id=self._hub.key_id,
            sender=self._hub.agent,
            to=reply.conversation.id,
            msg_id=reply.key,
            ts=int(now),
            payload=text_payload(reply.text, attempt),
            reply_to=_in_same_room(reply, "msg_id") if targeted else None,
            topic=_in_same_room(reply, "topic"),
            trace_id=_trace(reply),
        )
        draft = _Draft(envelope, now, attempt, targeted)
        self._drafts.pop(reply.key, None)
        self._drafts[reply.key] = draft
        while len(self._drafts) > MOST_DRAFTS:
            del self._drafts[next(iter(self._drafts))]
        return draft

    async def _had_arrived(self, reply: Reply, draft: _Draft, answer: Answer) -> bool:
        """Whether the Hub has the reply already. If not, the draft has been mended.

        Raises:
            ChannelUnavailable, ReplyRefused, ChannelStopped: it makes no sense to try at once.
        """
        match verdict(answer.status, answer.code):
            case "duplicate":
                # Either an earlier try arrived, or we said the same a moment ago.
                if await self._hub.has_message(reply.key):
                    return True
                self._write(reply, attempt=draft.attempt + 1, targeted=draft.targeted)
            case "target" if draft.targeted:
                # The room has seen this payload now, although it was not taken.
                self._write(reply, attempt=draft.attempt + 1, targeted=False)
            case "clock" if self._hub.clock.learn(answer) or self._is_old(draft):
                self._host.log.warning("this machine's clock and the Hub's differ: %s", answer)
                self._write(reply, attempt=draft.attempt, targeted=draft.targeted)
            case _:
                raise self._error(reply, answer)
        return False

    def _error(self, reply: Reply, answer: Answer) -> ChannelError:
        error = self._hub.error(answer)
        if not isinstance(error, ChannelUnavailable):
            return error
        match verdict(answer.status, answer.code):
            case "room_limited":
                metrics.count("send_limited_total", channel=self._host.name)
                wait = self._pacer.refused_in(reply.conversation.id, answer.wait)
                return ChannelUnavailable(f"{answer}", wait)
            case "limited":
                metrics.count("send_limited_total", channel=self._host.name)
                return ChannelUnavailable(f"{answer}", self._pacer.refused(answer.wait))
            case "refused" | "target":
                self._drafts.pop(reply.key, None)
                return ReplyRefused(f"{answer}")
            case _:
                return error

    def _end_stream(self, reply: Reply) -> None:
        trace = _trace(reply)
        if trace is not None and reply.last:
            _ = self._host.spawn(self._stream_end(trace), f"stream-end:{self._host.name}")

    async def _stream_end(self, trace: str) -> None:
        try:
            await self._hub.stream_end(trace)
        except ChannelError as error:
            metrics.count("progress_failures_total", channel=self._host.name)
            self._host.log.info("the end of a turn was not told: %s", error)


def _trace(reply: Reply) -> str | None:
    return _in_same_room(reply, "trace_id")


def _in_same_room(reply: Reply, name: str) -> str | None:
    """A fact of the answered message: it means nothing (and is refused) in another room."""
    if text_of(reply.extra, "room_id") != reply.conversation.id:
        return None
    return text_of(reply.extra, name)


def _message_id(answer: Answer) -> str | None:
    if not isinstance(answer.body, dict):
        raise ChannelUnavailable(f"{answer}: the answer is not that of a Hub")
    return text_of(answer.body, "hub_msg_id") or text_of(answer.body, "message_id")
