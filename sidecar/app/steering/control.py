"""What the control plane asks is done, and answered; what changes here is told to it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from sidecar import metrics
from sidecar.api import Spawn
from sidecar.app.reloading.reload import Reloader
from sidecar.app.steering.agents import Agents
from sidecar.app.steering.inventory import Inventory
from sidecar.app.steering.managed import TRIGGER
from sidecar.app.steering.provisioning import Provisioner
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.codecs.hub.attention import attention_of
from sidecar.codecs.hub.control import Ack, Done, Failed, Frame
from sidecar.codecs.hub.provisioning import BadRequest, agent_of, profile_text
from sidecar.codecs.hub.waking import wake_message
from sidecar.codecs.loose import Record, records_of, text_of
from sidecar.config.model import Config, Runtime
from sidecar.errors import ControlRefused, SidecarError
from sidecar.model import Message
from sidecar.store.agent_files import agent_files
from sidecar.store.managed import ManagedFiles, Profile
from sidecar.store.workspace import workspace_of

log = logging.getLogger(__name__)

Tell = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""Sends an event: its type and its parameters."""
Result = Mapping[str, object] | None

_UNSUPPORTED = {
    "restart_daemon": "the sidecar does not restart itself: whoever runs it does",
}
_KEPT_PROFILES = 1000


async def _nobody(type_: str, params: Mapping[str, object]) -> None:
    """There is no link to the control plane."""


class Control:
    """Acts on frames that were verified; those that change something come one after the other.

    `accept` takes messages over, `picture` is what a status request gets, `user` knows the owner's
    id at the Hub. `tell` is to be set by whoever has a link to the control plane.
    """

    def __init__(
        self,
        files: ManagedFiles,
        reloader: Reloader,
        provisioner: Provisioner,
        agents: Agents,
        inventory: Inventory,
        attention: AttentionPolicies,
        *,
        accept: Callable[[Sequence[Message]], Awaitable[None]],
        picture: Callable[[], Awaitable[Mapping[str, object]]],
        user: Callable[[], Awaitable[str | None]],
        spawn: Spawn,
    ) -> None:
        self.tell: Tell = _nobody
        self._files = files
        self._reloader = reloader
        self._provisioner = provisioner
        self._agents = agents
        self._inventory = inventory
        self._attention = attention
        self._accept = accept
        self._picture = picture
        self._user = user
        self._spawn = spawn
        self._told: Mapping[str, Runtime] | None = None
        self._acts: Mapping[str, Callable[[Record], Coroutine[Any, Any, Result]]] = {
            "collect_diagnostics": self._diagnostics,
            "hello": self._hello,
            "list_agent_files": self._list_files,
            "list_agents": self._list_agents,
            "list_runtimes": self._list_runtimes,
            "ping": self._ping,
            "policy_updated": self._policy_updated,
            "reload_config": self._reload,
            "revoke_agent": self._revoke,
            "set_route": self._provisioner.set_route,
            "update_agent": self._update_agent,
            "wake_agent": self._wake,
        }

    async def act(self, frame: Frame) -> Ack:
        """Do what a frame asks; cancelled half-way, it is done all the same."""
        if (why := _UNSUPPORTED.get(frame.type)) is not None:
            return Failed("unsupported", why)
        act = self._acts.get(frame.type)
        if frame.type == "provision_agent":  # of no use to the Hub when it is late
            act = partial(self._provision, due=frame.due)
        if act is None:
            return Failed("unknown_type", f"frames of type {frame.type} are not known")
        done: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                done.set_result(await _outcome(act, frame.params))
            finally:
                done.cancel()  # without effect once there is a result

        _ = self._spawn(work(), f"control:{frame.type}")
        return await asyncio.shield(done)

    def use(self, config: Config) -> None:
        """Follow a configuration: the Hub is told when it has other runtimes."""
        if self._told is not None and self._told != config.runtimes:
            _ = self._spawn(self._tell_runtimes(config), "control:snapshot")

    def connected(self) -> None:
        """The Hub has let us in, or something changed here: tell what this machine offers."""
        config = self._reloader.snapshot.config
        _ = self._spawn(self._tell_runtimes(config), "control:snapshot")

    async def _tell_runtimes(self, config: Config) -> None:
        self._told = config.runtimes
        await self.tell("runtime_snapshot", await self._inventory.runtimes(config))

    async def _ping(self, params: Record) -> Result:
        return {"pong": True, "ts": int(time.time() * 1000)}

    async def _hello(self, params: Record) -> Result:
        await self._learn(records_of(params, "agents"))
        return None

    async def _update_agent(self, params: Record) -> Result:
        agent = agent_of(params)
        await self._learn([params])
        return {"agentId": agent}

    async def _learn(self, agents: Sequence[Record]) -> None:
        """Keep names and descriptions of agents."""
        try:
            await asyncio.to_thread(
                self._files.change_profiles, lambda known: _with_profiles(known, agents)
            )
        except OSError as error:
            raise ControlRefused("state_unusable", str(error)) from error

    async def _provision(self, params: Record, due: float) -> Result:
        done = await self._provisioner.provision(params, due)
        await self._say("agent_provisioned", done["agentId"])
        return done

    async def _revoke(self, params: Record) -> Result:
        done = await self._provisioner.revoke(params)
        self._attention.tell(agent_of(params), None, None)
        if done["removed"]:
            await self._say("agent_revoked", done["agentId"])
        return done

    async def _say(self, type_: str, agent: object) -> None:
        await self.tell(type_, {"agentId": agent})
        self.connected()

    async def _reload(self, params: Record) -> Result:
        before = set(self._reloader.snapshot.config.channels)
        outcome = await self._reloader.reload(TRIGGER)
        if outcome.result == "rejected":
            raise ControlRefused("config_refused", "; ".join(outcome.problems[:5]))
        after = set(self._reloader.snapshot.config.channels)
        self.connected()
        return {
            "reloaded": True,
            "added": sorted(after - before),
            "removed": sorted(before - after),
        }

    async def _list_agents(self, params: Record) -> Result:
        profiles = await asyncio.to_thread(self._files.profiles)
        names = {agent: one["name"] for agent, one in profiles.items() if "name" in one}
        return {"agents": await self._inventory.agents(names)}

    async def _list_runtimes(self, params: Record) -> Result:
        return await self._inventory.runtimes(self._reloader.snapshot.config)

    async def _list_files(self, params: Record) -> Result:
        agent = agent_of(params)
        folder = workspace_of(self._files.state, agent)
        found = await asyncio.to_thread(agent_files, folder, text_of(params, "fileId"))
        return {"agentId": agent, "files": found}

    async def _policy_updated(self, params: Record) -> Result:
        agent = agent_of({"agentId": params.get("agent_id")})
        room = text_of(params, "room_id")
        self._attention.tell(agent, room, attention_of(params.get("policy")))
        applied = self._agents.channel_of(agent) is not None
        return {"agent_id": agent, "applied": applied}

    async def _wake(self, params: Record) -> Result:
        agent = agent_of({"agentId": params.get("agent_id")})
        channel, user = self._agents.channel_of(agent), await self._user()
        if channel is None or user is None:
            raise ControlRefused("agent_not_loaded", f"{agent} cannot answer its owner here")
        message = wake_message(params, channel, agent, user, time.time())
        if (reason := self._agents.refusal(message)) is not None:
            told = (
                f"channel {channel} does not take messages of {message.sender.id}: see its `allow`"
            )
            raise ControlRefused(reason, told)
        await self._accept([message])
        return {"agent_id": agent, "accepted": True}

    async def _diagnostics(self, params: Record) -> Result:
        return {"diagnostics": dict(await self._picture())}


def _with_profiles(known: Mapping[str, Profile], agents: Sequence[Record]) -> dict[str, Profile]:
    """The profiles with what is told of agents. A null takes a text back."""
    new = dict(known)
    for one in agents[:_KEPT_PROFILES]:
        try:
            agent = agent_of(one)
        except BadRequest:
            continue
        profile = dict(new.get(agent, {}))
        for key, name in (("name", "displayName"), ("bio", "bio")):
            if name in one:
                profile.pop(key, None)
            if (text := profile_text(one, name)) is not None:
                profile[key] = text
        new[agent] = profile
    return new


async def _outcome(act: Callable[[Record], Awaitable[Result]], params: Record) -> Ack:
    try:
        return Done(await act(params))
    except BadRequest as error:
        return Failed("bad_params", str(error))
    except ControlRefused as error:
        return Failed(error.code, str(error))
    except SidecarError as error:
        return Failed("handler_error", str(error))
    except Exception as error:  # whatever goes wrong in one frame, the next one is heard
        metrics.count("control_failures_total", what="frame")
        log.exception("a control frame failed")
        return Failed("handler_error", f"{type(error).__name__}: the sidecar's log tells more")
