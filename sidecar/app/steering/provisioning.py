"""Agents are added and removed for the control plane, and routes are set: all of it or nothing.

Killed in between, the next start finds what was begun (`recover`): an agent is there as soon as
`managed.yaml` names it, and gone as soon as it does not; the rest follows that.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from sidecar import metrics
from sidecar.app.reloading.reload import Reloader
from sidecar.app.steering.agents import Agents
from sidecar.app.steering.inventory import runtime_of
from sidecar.app.steering.managed import ManagedLayer
from sidecar.app.steering.traces import delete_traces, settle
from sidecar.app.turns.roots import folder_inside, roots_of
from sidecar.codecs.hub.botcord import is_safe_id
from sidecar.codecs.hub.provisioning import (
    Provision,
    Revocation,
    Target,
    hands_over,
    profile_text,
    provision_of,
    revocation_of,
    route_of,
    target_of,
)
from sidecar.codecs.loose import Record
from sidecar.config.model import Config
from sidecar.core.managed import Entry, with_agent, with_route, without_agent
from sidecar.errors import ActionRefused, ControlRefused
from sidecar.store.journal import Journal
from sidecar.store.managed import ManagedFiles, ManagedUnusable, Unfinished
from sidecar.store.workspace import prepare, workspace_of

log = logging.getLogger(__name__)

_SAME = ("hubUrl", "keyId", "privateKey")
"""What the credentials of an agent have in common with those of the same agent."""

Register = Callable[[str | None, str | None], Awaitable[Mapping[str, object]]]
"""Registers a new agent with a name and a description; its credentials. Raises ControlRefused."""


class Provisioner:
    """Does one thing at a time. `files` are those of the control plane."""

    def __init__(
        self,
        files: ManagedFiles,
        reloader: Reloader,
        agents: Agents,
        journal: Journal,
        register: Register,
    ) -> None:
        self._files = files
        self._reloader = reloader
        self._agents = agents
        self._journal = journal
        self._register = register
        self._layer = ManagedLayer(files, reloader)
        self._one_at_a_time = asyncio.Lock()

    async def provision(self, params: Record, due: float) -> dict[str, object]:
        """Add an agent, whose credentials are handed over, or which is registered at the Hub
        first. One that is not there at `due`, by the monotonic clock, is taken back. Raises
        ControlRefused or BadRequest."""
        if not hands_over(params):
            await self._route(target_of(params))  # what could not work is not registered
            made = await self._register(profile_text(params, "name"), profile_text(params, "bio"))
            params = {**params, "credentials": made}
        wanted = provision_of(params, datetime.now(UTC).isoformat(timespec="milliseconds"))
        async with self._one_at_a_time:
            route = await self._route(wanted.target)
            if not await self._is_here(wanted):
                await self._add(wanted, route, due)
        path = self._files.credentials(wanted.agent)
        told: dict[str, object] = {"agentId": wanted.agent, "hubUrl": wanted.hub}
        told["credentialsFile"] = str(path)
        if (claim := wanted.credentials.get("claimUrl")) is not None:
            told["claimUrl"] = claim
        return told

    async def revoke(self, params: Record) -> dict[str, object]:
        """Remove an agent, and what of it is asked for. Raises ControlRefused or BadRequest."""
        return await self.remove(revocation_of(params))

    async def forget(self, agent: str) -> dict[str, object]:
        """Remove an agent, with its credentials and its state, for a person; of one that is not
        known any more, what it has left. Raises ActionRefused."""
        try:
            if not is_safe_id(agent) or not await self._has_left(agent):
                raise ActionRefused(f"{agent} is not an agent of the control plane")
            return await self.remove(Revocation(agent, True, True, False))
        except ControlRefused as error:
            raise ActionRefused(str(error)) from error

    async def remove(self, asked: Revocation) -> dict[str, object]:
        """Remove an agent; of one that is not known, what it may have left. Raises
        ControlRefused: the user has it, so that it is the user's to remove. Then it is dropped
        from the layer, and nothing else of it is touched."""
        agent = asked.agent
        async with self._one_at_a_time:
            known = agent in (await self._layer.read()).channels
            if not known:
                self._refuse_users(agent)
            change = Unfinished("remove", agent, asked.credentials, asked.state, asked.workspace)
            if _is_managed(self._reloader.snapshot.config, agent):
                await self._agents.end_turns(agent)
            async with self._noted(change):
                await self._let_go(agent)
                deleted = await delete_traces(change, self._files, self._journal)
        return {"agentId": agent, "removed": known, **deleted}

    async def set_route(self, params: Record) -> dict[str, object]:
        """Set a route for an agent, in effect at once. Raises ControlRefused or BadRequest."""
        agent, match, target = route_of(params)
        async with self._one_at_a_time:
            if self._agents.channel_of(agent) is None:
                raise ControlRefused("agent_not_loaded", f"{agent} is not an agent of this machine")
            route = await self._route(target)
            new, index, inserted = with_route(await self._layer.read(), agent, match, route)
            name = new.routes[index]["name"]
            await self._layer.change(
                lambda _: new,
                lambda config: any(one.managed and one.name == name for one in config.routes),
            )
        return {"ok": True, "agentId": agent, "routeIndex": index, "inserted": inserted}

    async def recover(self) -> None:
        """Undo or complete what a killed sidecar had begun. To be called before anything runs."""
        try:
            settled = await settle(self._files, self._journal, self._is_users)
        except (ManagedUnusable, OSError) as error:
            metrics.count("control_failures_total", what="recover")
            log.error("what the control plane began is left as it is: %s", error)  # noqa: TRY400
        else:
            for agent in settled:
                log.warning("agent %s: a change that was cut is settled", agent)

    def _is_users(self, agent: str) -> bool:
        return self._agents.is_users(agent, self._files.credentials(agent))

    async def _has_left(self, agent: str) -> bool:
        """Whether the control plane has an agent, or has had one whose credentials are kept."""
        if agent in (await self._layer.read()).channels:
            return True
        kept = await asyncio.to_thread(self._files.credentials(agent).exists)
        return kept and not self._is_users(agent)

    def _refuse_users(self, agent: str) -> None:
        """Raise ControlRefused where the user has an agent."""
        if self._is_users(agent):
            text = f"{agent} is in the config of this machine's user"
            raise ControlRefused("not_managed", text)

    async def _let_go(self, agent: str) -> None:
        """Drop an agent, and end what is under way for it. Raises ControlRefused."""
        await self._drop(agent)
        # The user may have it too, also since the config was loaded anew just now.
        self._refuse_users(agent)
        # Messages may have come until its channel was gone.
        await self._agents.end_turns(agent)
        await self._agents.give_up_replies(agent)

    async def _drop(self, agent: str) -> None:
        """Take an agent and its routes out of the layer. Raises ControlRefused."""
        await self._layer.change(
            lambda now: without_agent(now, agent),
            lambda config: not _is_managed(config, agent),
            lambda config: _without(config, agent),
        )

    async def _add(self, wanted: Provision, route: Entry, due: float) -> None:
        agent = wanted.agent
        if self._agents.is_taken(agent):
            raise ControlRefused("agent_exists", f"{agent} is an agent of this machine already")
        try:
            kept = await asyncio.to_thread(self._files.kept_credentials, agent)
        except (ManagedUnusable, OSError) as error:
            raise ControlRefused("state_unusable", str(error)) from error
        if kept is not None and kept.get("privateKey") != wanted.credentials["privateKey"]:
            told = f"credentials of {agent} with another key are kept here:"
            told = f"{told} `sidecar agents forget {agent}` deletes them"
            raise ControlRefused("agent_exists", told)
        change = Unfinished("add", agent, credentials=kept is None)
        async with self._noted(change):
            try:
                await asyncio.to_thread(self._files.write_credentials, agent, wanted.credentials)
                await self._layer.change(
                    lambda now: with_agent(now, agent, self._files.credentials(agent), route),
                    lambda config: _is_managed(config, agent),
                )
            except (ControlRefused, OSError) as error:
                await self._take_back(change, kept)
                if isinstance(error, OSError):
                    raise ControlRefused("state_unusable", str(error)) from error
                raise
            if time.monotonic() > due:
                await self._let_go(agent)
                await self._take_back(change, kept)
                raise ControlRefused("busy", f"adding {agent} took too long: it is taken back")
        with suppress(OSError):  # the first turn makes it, too
            await asyncio.to_thread(self._prepare, wanted, str(route["runtime"]))

    async def _take_back(self, change: Unfinished, kept: Mapping[str, object] | None) -> None:
        """Undo the credentials of an agent that is not added; `kept` were there before."""
        await delete_traces(change, self._files, self._journal)
        if kept is not None:
            await asyncio.to_thread(self._files.write_credentials, change.agent, kept)

    async def _is_here(self, wanted: Provision) -> bool:
        """Whether this very agent was added before: the Hub asks again when it got no answer."""
        managed = await self._layer.read()
        if wanted.agent not in managed.channels:
            return False
        kept = await asyncio.to_thread(self._files.kept_credentials, wanted.agent) or {}
        if all(kept.get(key) == wanted.credentials[key] for key in _SAME):
            return True
        raise ControlRefused("agent_exists", f"{wanted.agent} is here already, as another one")

    async def _route(self, target: Target) -> Entry:
        """The part of a route that tells what answers."""
        config = self._reloader.snapshot.config
        runtime = runtime_of(config, target.runtime)
        if runtime is None:
            raise ControlRefused("unknown_runtime", f"there is no runtime {target.runtime!r} here")
        route: dict[str, object] = {"runtime": runtime}
        if target.cwd is not None:
            roots = roots_of(config, self._files.state)
            route["cwd"] = await asyncio.to_thread(folder_inside, target.cwd, roots)
        if target.model is not None:
            route["model"] = target.model
        if target.effort is not None:
            route["effort"] = target.effort
        if target.args:
            route["args"] = list(target.args)
        return route

    @asynccontextmanager
    async def _noted(self, change: Unfinished) -> AsyncIterator[None]:
        """Note a change while it is under way."""
        try:
            await asyncio.to_thread(self._files.begin, change)
        except OSError as error:
            raise ControlRefused("state_unusable", str(error)) from error
        try:
            yield
        except ControlRefused:  # it was undone; whatever else comes, the next start settles it
            await asyncio.to_thread(self._files.end, change.agent)
            raise
        await asyncio.to_thread(self._files.end, change.agent)

    def _prepare(self, wanted: Provision, runtime: str) -> None:
        prepare(
            workspace_of(self._files.state, wanted.agent),
            channel=wanted.agent,
            account=wanted.agent,
            runtime=runtime,
            now=time.time(),
            name=wanted.name or "",
            bio=wanted.bio or "",
        )


def _is_managed(config: Config, agent: str) -> bool:
    return agent in config.channels and config.channels[agent].managed


def _without(config: Config, agent: str) -> Config:
    channels = {
        name: one for name, one in config.channels.items() if name != agent or not one.managed
    }
    routes = tuple(
        one for one in config.routes if not (one.managed and one.match.account == (agent,))
    )
    return replace(config, channels=channels, routes=routes)
