"""Credentials files in a folder become channels, while the sidecar runs."""

import asyncio
import logging
from collections.abc import Mapping

from sidecar.channels.credentials import Credentials
from sidecar.channels.discovery import scan
from sidecar.codecs.hub.signing import public_key, signing_key
from sidecar.config.model import Channel, Config

log = logging.getLogger(__name__)


def interval(config: Config) -> float:
    """Seconds between two looks into the folder of the configuration, or whether it has one."""
    return 2.0 if config.discovery.botcord_credentials_dir else 5.0


class Discovery:
    """Remembers what the folder held at the last look."""

    def __init__(self) -> None:
        self._found: Mapping[str, Mapping[str, object]] = {}
        self._warned: list[str] = []

    def channels(self, config: Config) -> dict[str, Channel]:
        """The configured channels, and those that were found and are not configured."""
        return _joined(config, self._found)

    async def look(self, config: Config) -> bool:
        """Look into the folder of the configuration; True when something changed."""
        folder = config.discovery.botcord_credentials_dir
        found, warnings = await asyncio.to_thread(scan, folder) if folder else ({}, [])
        for warning in warnings:
            if warning not in self._warned:
                log.warning("discovery: %s", warning)
        self._warned = warnings
        before, self._found = self._found, _options_of(found)
        return before != self._found


def channels_now(config: Config) -> tuple[dict[str, Channel], list[str]]:
    """The channels that a sidecar would have with a configuration, and what is wrong with files
    that it would leave out. Blocks."""
    folder = config.discovery.botcord_credentials_dir
    found, warnings = scan(folder) if folder else ({}, [])
    return _joined(config, _options_of(found)), warnings


def _joined(config: Config, found: Mapping[str, Mapping[str, object]]) -> dict[str, Channel]:
    taken = {str(one.options.get("agent") or name) for name, one in config.channels.items()}
    more = {
        agent: Channel(agent, "botcord", options)
        for agent, options in found.items()
        if agent not in taken and agent not in config.channels
    }
    return {**config.channels, **more}


def _options_of(found: Mapping[str, Credentials]) -> dict[str, dict[str, object]]:
    return {agent: _options(one) for agent, one in found.items()}


def _options(found: Credentials) -> dict[str, object]:
    """The options of a channel. Another key or Hub in the file makes them others, a token not."""
    return {
        "agent": found.agent,
        "credentials": str(found.path),
        "hub_url": found.hub,
        "key_id": found.key_id,
        "public_key": public_key(signing_key(found.seed)),
    }
