"""A channel whose credentials were replaced in their file starts anew with them."""

import logging
from collections.abc import Mapping
from typing import cast

from sidecar import metrics
from sidecar.api import HasCredentials
from sidecar.app.channels import Channels
from sidecar.errors import ChannelStopped, PartsFailed

log = logging.getLogger(__name__)


async def renew(channels: Channels) -> Mapping[str, str]:
    """Start anew, one after the other, the channels that have new credentials.

    By the id of each of them, why it does not start with these and goes on with those it had; an
    empty text where it does.
    """
    found: dict[str, str] = {}
    for name in channels.statuses():
        try:
            if await _is_outdated(channels, name):
                log.info("channel %s: its credentials changed, starting it anew", name)
                await channels.restart(name)
                found[name] = ""
        except PartsFailed as error:
            found[name] = error.failed["channels", name]
        except ChannelStopped as error:
            found[name] = str(error)
        except Exception as error:  # whatever a channel does wrong, the others go on
            log.exception("channel %s: its credentials cannot be looked at", name)
            found[name] = str(error)
        if found.get(name):
            metrics.count("channel_failures_total", channel=name)
    return found


async def _is_outdated(channels: Channels, name: str) -> bool:
    channel = channels.get(name)
    if channel is None or not hasattr(channel, "has_new_credentials"):
        return False
    return await cast(HasCredentials, channel).has_new_credentials()
