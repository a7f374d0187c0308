"""Tells owners in their chats what became of the config that was saved, and what keeps an agent
from answering, where a channel has `notices`."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from sidecar import metrics
from sidecar.api import Channel, TellsOwner
from sidecar.app.reloading.outcome import Outcome, summary
from sidecar.config.model import Config
from sidecar.core.backoff import delay
from sidecar.errors import ChannelError, ChannelUnavailable

log = logging.getLogger(__name__)

PAUSE = 30.0
"""Seconds between two notices of a channel; of the reloads in between, the last one is told, and
how many there were, and of other things the newest text."""
FIRST_WAIT = 1.0
"""Seconds before a notice that was not taken is tried again; doubles up to LONGEST_WAIT."""
LONGEST_WAIT = 60.0
TRIES = 8
"""Tries after which a notice is given up."""

_CONFIG = ""
"""The subject of reloads."""


class Notices:
    """Tells of what it is told of; one channel does not wait for another. `config` is what is in
    force, `channel` finds the channel of an id."""

    def __init__(
        self,
        config: Callable[[], Config],
        channel: Callable[[str], Channel | None],
        *,
        pause: float = PAUSE,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._config = config
        self._channel = channel
        self._pause = pause
        self._first_wait = first_wait
        self._last: Outcome | None = None
        self._texts: dict[str, str] = {}  # by subject, the newest
        self._owed: dict[str, Counter[str]] = {}  # by channel, of which subjects, and how often
        self._news = asyncio.Event()

    def note(self, outcome: Outcome) -> None:
        """Have a reload told, if it is news. Waits for nothing."""
        before, self._last = self._last, outcome
        mistakes = () if before is None else before.problems
        if not outcome.plan.changes and outcome.problems == mistakes:
            return
        self._owe(_CONFIG, _said(outcome))

    def warn(self, subject: str, text: str) -> None:
        """Have something else told, of a subject such as the name of a runtime. Waits for
        nothing."""
        self._owe(subject, f"⚠️ {text}")

    def _owe(self, subject: str, text: str) -> None:
        for id_, channel in self._config().channels.items():
            if channel.notices:
                self._owed.setdefault(id_, Counter())[subject] += 1
        if self._owed:
            self._texts[subject] = text
            self._news.set()

    async def run(self) -> None:
        """Tell, again and again."""
        served: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for id_ in self._owed.keys() - served:
                    served.add(id_)
                    tasks.create_task(self._serve(id_, served), name=f"notices:{id_}")
                await self._news.wait()
                self._news.clear()

    async def _serve(self, id_: str, served: set[str]) -> None:
        """Tell a channel of what it is owed, until that is nothing."""
        while self._owed[id_] and self._is_wanted(id_):
            await self._tell(id_)
            await asyncio.sleep(self._pause)
        del self._owed[id_]
        served.remove(id_)

    def _is_wanted(self, id_: str) -> bool:
        channel = self._config().channels.get(id_)
        return channel is not None and channel.notices

    async def _tell(self, id_: str) -> None:
        """Tell the newest of each subject that is owed; none of that is owed then."""
        told = Counter[str]()
        for attempt in range(TRIES):
            told = self._owed[id_].copy()
            try:
                await self._try(id_, "\n\n".join(self._paragraphs(told)))
            except ChannelUnavailable as error:
                log.info("channel %s: a notice was not taken: %s", id_, error)
                wait = delay(
                    attempt, first=self._first_wait, most=LONGEST_WAIT, random=random.random
                )
                await asyncio.sleep(max(wait, error.wait or 0.0))
            except ChannelError as error:
                _lost(id_, str(error))
                break
            else:
                break
        else:
            _lost(id_, "the channel does not take it")
        self._owed[id_] -= told

    def _paragraphs(self, owed: Mapping[str, int]) -> Iterator[str]:
        for subject, count in owed.items():
            several = subject == _CONFIG and count > 1
            before = f"The config was saved {count} times. " if several else ""
            yield f"{before}{self._texts[subject]}"

    async def _try(self, id_: str, text: str) -> None:
        channel = self._channel(id_)
        if channel is None:
            raise ChannelUnavailable("it does not run")
        if not hasattr(channel, "tell_owner"):
            raise ChannelError("a channel of this type cannot tell its owner anything")
        try:
            await cast("TellsOwner", channel).tell_owner(text)
        except ChannelError:
            raise
        except Exception as error:  # whatever a channel does wrong, the others are told
            log.exception("channel %s: a notice failed", id_)
            raise ChannelError(f"{type(error).__name__}: {error}") from error


def _lost(id_: str, reason: str) -> None:
    metrics.count("notices_lost_total", channel=id_)
    log.warning("channel %s: a notice does not get to the owner: %s", id_, reason)


def _said(outcome: Outcome) -> str:
    """What an owner reads; nothing of it is secret."""
    waits = ", ".join(outcome.pending)
    restart = f"these wait for a restart: {waits}" if waits else "no restart needed"
    match outcome.result:
        case "rejected":
            force = "the last good one" if outcome.trigger == "start" else "the previous one"
            return f"⚠️ Config rejected, {force} is in force:\n{_first(outcome)}"
        case "degraded":
            told = f"⚠️ Config applied in part, {restart}.\n{summary(outcome.plan)}"
            return f"{told}\nThe rest stays as it was:\n{_first(outcome)}"
        case "unchanged":
            return "The config is valid again; nothing in it differs from what is in force."
        case "applied":
            return f"Config applied, {restart}.\n{summary(outcome.plan)}"


def _first(outcome: Outcome) -> str:
    first, *more = outcome.problems or ("",)
    return f"{first}\n({len(more)} more: `sidecar status` tells them)" if more else first
