"""Credentials files in a folder become channels, while the sidecar runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from sidecar.channels.credentials import Credentials
from sidecar.codecs.signing import public_key, signing_key
from sidecar.config.model import Channel, Config

log = logging.getLogger(__name__)

Scan = Callable[[Path], tuple[dict[str, Credentials], list[str]]]


def interval(config: Config) -> float:
    """Seconds between two looks into the folder of the configuration, or whether it has one."""
    return 2.0 if config.discovery.botcord_credentials_dir else 5.0


class Discovery:
    """Remembers what the folder held at the last look. `scan` reads one folder, blocking."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._found: dict[str, dict[str, object]] = {}
        self._warned: list[str] = []

    def channels(self, config: Config) -> dict[str, Channel]:
        """The configured channels, and those that were found and are not configured."""
        taken = {
            str(channel.options.get("agent") or name) for name, channel in config.channels.items()
        }
        found = {
            agent: Channel(agent, "botcord", options)
            for agent, options in self._found.items()
            if agent not in taken and agent not in config.channels
        }
        return {**config.channels, **found}

    async def look(self, config: Config) -> bool:
        """Look into the folder of the configuration; True when something changed."""
        folder = config.discovery.botcord_credentials_dir
        found, warnings = await asyncio.to_thread(self._scan, folder) if folder else ({}, [])
        for warning in warnings:
            if warning not in self._warned:
                log.warning("discovery: %s", warning)
        self._warned = warnings
        before, self._found = self._found, {agent: _options(one) for agent, one in found.items()}
        return before != self._found


def _options(found: Credentials) -> dict[str, object]:
    """The options of a channel. Another key or Hub in the file makes them others, a token not."""
    return {
        "agent": found.agent,
        "credentials": str(found.path),
        "hub_url": found.hub,
        "key_id": found.key_id,
        "public_key": public_key(signing_key(found.seed)),
    }
