"""Whether an agent's credentials can be used and its Hub answers, without using its token."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from sidecar.channels.botcord import account
from sidecar.channels.credentials import default_path, read
from sidecar.codecs.hub.botcord import hub_url
from sidecar.codecs.loose import text_of
from sidecar.errors import ChannelError, ChannelStopped
from sidecar.hubclient.http import HubClock, request

TIMEOUT = 5.0
"""Seconds for the Hub's answer."""
SKEW = 60.0
"""Seconds by which the clocks may differ: signed requests are refused far beyond."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What was found. `problem` is empty when all is well; `skew` is how far the Hub's clock is
    ahead of ours, in seconds."""

    account: str
    hub: str = ""
    skew: float = 0.0
    problem: str = ""
    remedy: str = ""


async def reach(name: str, options: Mapping[str, object], http: ClientSession) -> Reach:
    """Look at the credentials of a channel and ask its Hub for any answer at all."""
    agent = account(name, options)
    given = text_of(options, "credentials")
    path = Path(given) if given is not None else default_path(agent)
    try:
        found = await asyncio.to_thread(read, path)
    except ChannelStopped as error:
        return Reach(agent, problem=str(error), remedy="put the agent's credentials file there")
    if found.agent != agent:
        problem = f"{path} is of agent {found.agent}, not of {agent}"
        return Reach(agent, problem=problem, remedy="set `agent`, or another `credentials`")
    given_hub = text_of(options, "hub_url")
    hub = hub_url(given_hub) if given_hub is not None else found.hub
    try:
        answer = await request(http, "GET", f"{hub}/", timeout=TIMEOUT)
    except ChannelError as error:
        remedy = "is the Hub up? Where a proxy is the way to it, set HTTPS_PROXY"
        return Reach(agent, hub, problem=str(error), remedy=remedy)
    if answer.status >= 500:
        return Reach(agent, hub, problem=str(answer), remedy="ask who runs the Hub")
    clock = HubClock()
    clock.learn(answer)
    return Reach(agent, hub, skew=clock.now() - time.time())
