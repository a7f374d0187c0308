"""`sidecar dev`: the sidecar with a development Hub, to which its BotCord channels are led."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from sidecar import events
from sidecar.atomic_file import replace_file
from sidecar.config.model import Config
from sidecar.control import login
from sidecar.devhub import DevHub
from sidecar.devhub.records import Settled
from sidecar.server.address import DEVELOPMENT, DEVELOPMENT_LOG
from sidecar.store.lock import StateLock

log = logging.getLogger(__name__)

_WHY = {
    "silent": "the agent chose not to",
    "no_route": "no route takes this",
    "not_woken": "this wakes no agent",
    "not_allowed": "the channel's `allow` leaves this out",
    "rate_limited": "the channel's `rate_limit` is reached",
    "loop_guard": "the channel's `loop_guard` ends what agents say to each other",
    "cancelled": "its turn was stopped",
}
"""Why there is no reply, by the outcome or the reason; others are told as they are."""
_LAST_STEPS = 1.0
"""Seconds in which the last steps of a turn are shown, after it has ended."""


class Development:
    """A development Hub and what it changes in a configuration."""

    def __init__(self, hub: DevHub) -> None:
        self.hub = hub
        self._agents: list[str] = []
        self._is_logged_in = False
        self._has_begun = False

    async def adapt(self, config: Config) -> Config:
        """Lead every BotCord channel to the development Hub, with an identity that it knows.

        The channels stay ordinary ones; only where they find their Hub and their credentials
        differs. State goes to a folder of its own, and that Hub's control plane is on.

        Raises:
            StateLocked: another process uses that folder; nothing in it was changed.
            JournalError: the folder cannot be used.
        """
        state = config.state.dir / DEVELOPMENT
        # Also the one above, which a sidecar may use for real later.
        for folder in (config.state.dir, state):
            await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(self._begin, state)
        channels = {}
        for name, channel in config.channels.items():
            if channel.type != "botcord":
                channels[name] = channel
                continue
            agent = str(channel.options.get("agent") or name)
            file = state / "credentials" / f"{agent}.json"
            await asyncio.to_thread(self._register, agent, file)
            options = {**channel.options, "agent": agent, "credentials": str(file)}
            channels[name] = replace(channel, options={**options, "hub_url": self.hub.url})
            if agent not in self._agents:
                self._agents.append(agent)
        return replace(
            config,
            channels=channels,
            state=replace(config.state, dir=state),
            # Any free port: a sidecar that runs for real may have the configured one.
            server=replace(config.server, listen="127.0.0.1:0") if config.server else None,
            log=replace(config.log, file=state / DEVELOPMENT_LOG),
            control_plane=replace(
                config.control_plane,
                enabled=True,
                credentials=await asyncio.to_thread(self._log_in, state / "user-auth.json"),
                public_keys=(self.hub.control.public_key,),
            ),
        )

    def agents(self, config: Config) -> list[str]:
        """The agents of an adapted configuration, those first that were first adapted."""
        there = {channel.options.get("agent") for channel in config.channels.values()}
        return [agent for agent in self._agents if agent in there]

    async def tell(self, heard: "asyncio.Queue[events.Event]") -> None:
        """Tell the Hub of each message what comes of it, as the events of the sidecar tell."""
        while True:
            name, facts = await heard.get()
            if name not in ("turn.ended", "turn.dropped"):
                continue
            messages = cast("list[str]", facts["messages"])
            why = str(facts.get("outcome") or facts.get("reason"))
            silence = "" if facts["replies"] else _WHY.get(why, why.replace("_", " "))
            if silence and name == "turn.ended":
                await self._steps_of(messages)
            for message in messages:
                self.hub.state.emit(Settled(message, silence))

    async def _steps_of(self, messages: Sequence[str]) -> None:
        """Return when all steps of a turn are shown, if it shows any."""
        traces = self.hub.state.traces
        streams = [traces[message] for message in messages if message in traces]
        await self.hub.state.news.until(
            lambda: not any(stream.open for stream in streams), _LAST_STEPS
        )

    def _begin(self, state: Path) -> None:
        if not self._has_begun:
            with StateLock(state):  # which is the sidecar's own from then on
                self._has_begun = True

    def _log_in(self, file: Path) -> Path:
        if not self._is_logged_in:
            self._is_logged_in = True
            given = self.hub.control.grant(self.hub.control.add_instance(), self.hub.url)
            login.write(file, login.granted(given, self.hub.url, time.time()), now=time.time())
            login.clear_expired(file)
        return file

    def _register(self, agent: str, file: Path) -> None:
        if file.exists():
            try:
                known = json.loads(file.read_text("utf-8"))
                _ = self.hub.add_agent(agent, credentials=known)
            except (ValueError, AttributeError) as error:
                log.warning("%s is damaged, and is written anew: %s", file, error)
            else:
                return
        document = self.hub.add_agent(agent)
        file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        replace_file(file, json.dumps(document, indent=2).encode())
