"""A channel whose credentials were replaced in their file starts anew with them."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import cast

from sidecar import metrics
from sidecar.api import HasCredentials, Spawn
from sidecar.app.connecting.channels import Channels
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped, ChannelUnavailable, PartsFailed

log = logging.getLogger(__name__)

FIRST_WAIT = 5.0
"""Seconds before credentials that fail for now are tried again; doubles up to LONGEST_WAIT."""
LONGEST_WAIT = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class _Failed:
    """Credentials that were tried. `passes`: they may work later, as they are."""

    new: object
    reason: str
    passes: bool


class Renewal:
    """Looks after the credentials of `channels`. As each try takes the connection away from the
    former ones, those that are refused are tried again when their file has been written again, and
    those that fail for now after a while, whatever is reloaded meanwhile.

    `run` is called with the `lock` held, under which channels change. When a later try has come to
    an end, `reload` is called with what that is to be called, and what came of it is told by `run`.
    """

    def __init__(
        self,
        channels: Channels,
        lock: asyncio.Lock,
        spawn: Spawn,
        reload: Callable[[str], None],
    ) -> None:
        self._channels = channels
        self._lock = lock
        self._spawn = spawn
        self._reload = reload
        self._failed: dict[str, _Failed] = {}
        self._renewed: set[str] = set()

    async def run(self) -> Mapping[str, str]:
        """Start anew, one after the other, the channels that have new credentials.

        By the id of each of them, what is wrong with these, so that it goes on with those it had;
        an empty text for one that has started with them.
        """
        found = dict.fromkeys(self._renewed, "")
        self._renewed.clear()
        for name in self._channels.statuses():
            try:
                new = await self._new(name)
                failed = self._failed.get(name)
                if new is None:
                    self._failed.pop(name, None)
                elif failed is not None and new == failed.new:
                    found[name] = _told(failed)
                else:
                    found[name] = await self._start(name, new)
            except ChannelStopped as error:
                found[name] = _told(_failure(name, None, str(error)))
            except Exception as error:  # whatever a channel does wrong, the others go on
                log.exception("channel %s: its credentials cannot be looked at", name)
                found[name] = _told(_failure(name, None, str(error)))
        return found

    async def _start(self, name: str, new: object) -> str:
        log.info("channel %s: its credentials changed, starting it anew", name)
        failed = await self._try(name, new)
        if failed is None:
            return ""
        if failed.passes:
            _ = self._spawn(self._again(name, failed), f"credentials:{name}")
        return _told(failed)

    async def _again(self, name: str, failed: _Failed) -> None:
        """Try credentials again until they work or are refused, or nobody wants them any more."""
        for attempt in count():
            wait = delay(attempt, first=FIRST_WAIT, most=LONGEST_WAIT, random=random.random)
            log.info("channel %s: its new credentials are tried again in %.1f s", name, wait)
            await asyncio.sleep(wait)
            async with self._lock:
                if not self._is_wanted(name, failed):
                    return
                result = await self._try(name, failed.new)
                if result is None:
                    self._renewed.add(name)
            if result is None or not result.passes:
                self._reload("credentials")
                return
            failed = result

    def _is_wanted(self, name: str, failed: _Failed) -> bool:
        channels = self._channels
        there = channels.receiving and channels.get(name) is not None
        return there and self._failed.get(name) is failed

    async def _try(self, name: str, new: object) -> _Failed | None:
        """Start a channel with new credentials; None when it has started."""
        self._failed.pop(name, None)
        try:
            await self._channels.restart(name)
        except ChannelUnavailable as error:
            failed = _failure(name, new, str(error), passes=True)
        except PartsFailed as error:
            failed = _failure(name, new, error.failed["channels", name])
        else:
            return None
        self._failed[name] = failed
        return failed

    async def _new(self, name: str) -> object | None:
        channel = self._channels.get(name)
        if channel is None or not hasattr(channel, "new_credentials"):
            return None
        return await cast(HasCredentials, channel).new_credentials()


def _failure(name: str, new: object, reason: str, *, passes: bool = False) -> _Failed:
    metrics.count("channel_failures_total", channel=name)
    return _Failed(new, reason, passes)


def _told(failed: _Failed) -> str:
    if failed.passes:
        return f"fail for now, and are tried again after a while: {failed.reason}"
    return f"fail, and are tried again when their file changes: {failed.reason}"
