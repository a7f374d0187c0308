"""A channel whose credentials were replaced in their file starts anew with them."""

import logging
from collections.abc import Mapping
from typing import cast

from sidecar import metrics
from sidecar.api import HasCredentials
from sidecar.app.channels import Channels
from sidecar.errors import ChannelStopped, PartsFailed

log = logging.getLogger(__name__)


class Renewal:
    """Looks after the credentials of `channels`. Those that failed are tried again when their file
    has been written again: each try takes the connection away from the former ones."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._failed: dict[str, tuple[object, str]] = {}

    async def run(self) -> Mapping[str, str]:
        """Start anew, one after the other, the channels that have new credentials.

        By the id of each of them, why it does not start with these and goes on with those it had;
        an empty text where it does.
        """
        found: dict[str, str] = {}
        for name in self._channels.statuses():
            try:
                new = await self._new(name)
                tried, failure = self._failed.get(name, (None, ""))
                if new is None:
                    self._failed.pop(name, None)
                else:
                    found[name] = failure if new == tried else await self._start(name, new)
            except ChannelStopped as error:
                found[name] = _failed(name, str(error))
            except Exception as error:  # whatever a channel does wrong, the others go on
                log.exception("channel %s: its credentials cannot be looked at", name)
                found[name] = _failed(name, str(error))
        return found

    async def _start(self, name: str, new: object) -> str:
        log.info("channel %s: its credentials changed, starting it anew", name)
        self._failed.pop(name, None)
        try:
            await self._channels.restart(name)
        except PartsFailed as error:
            failure = _failed(name, error.failed["channels", name])
            self._failed[name] = new, failure
            return failure
        return ""

    async def _new(self, name: str) -> object | None:
        channel = self._channels.get(name)
        if channel is None or not hasattr(channel, "new_credentials"):
            return None
        return await cast(HasCredentials, channel).new_credentials()


def _failed(name: str, failure: str) -> str:
    metrics.count("channel_failures_total", channel=name)
    return failure
