"""Agents are added and removed for the control plane, and routes are set: all of it or nothing.

Killed in between, the next start finds what was begun (`recover`): an agent is there as soon as
`managed.yaml` names it, and gone as soon as it does not; the rest follows that.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sidecar import metrics
from sidecar.app.channels import Channels
from sidecar.app.dispatch import Dispatcher
from sidecar.app.inventory import runtime_of
from sidecar.app.managed import ManagedLayer
from sidecar.app.outbox import Outbox
from sidecar.app.reload import Reloader
from sidecar.app.traces import REMOVED, delete_traces, folder_inside
from sidecar.codecs.loose import Record
from sidecar.codecs.provisioning import (
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
from sidecar.config.model import Config
from sidecar.core.managed import Entry, with_agent, with_route, without_agent
from sidecar.errors import ActionRefused, ControlRefused
from sidecar.store.journal import Journal
from sidecar.store.managed import ManagedFiles, ManagedUnusable, Unfinished
from sidecar.store.workspace import prepare, workspace_of

log = logging.getLogger(__name__)

REVOKED = "revoked"
"""The recorded reason of turns of an agent that was removed."""
END_SLACK = 5.0
"""Seconds beyond the grace of their processes until cancelled turns must have ended."""
_LOOK = 0.05


Register = Callable[[str | None, str | None], Awaitable[Mapping[str, object]]]
"""Registers a new agent with a name and a description; its credentials. Raises ControlRefused."""


class Provisioner:
    """Does one thing at a time. `files` are those of the control plane."""

    def __init__(
        self,
        files: ManagedFiles,
        reloader: Reloader,
        channels: Channels,
        dispatcher: Dispatcher,
        outbox: Outbox,
        journal: Journal,
        register: Register,
    ) -> None:
        self._files = files
        self._reloader = reloader
        self._channels = channels
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._journal = journal
        self._register = register
        self._layer = ManagedLayer(files, reloader)
        self._one_at_a_time = asyncio.Lock()

    async def provision(self, params: Record) -> dict[str, object]:
        """Add an agent, whose credentials are handed over, or which is registered at the Hub
        first. Raises ControlRefused or BadRequest."""
        if not hands_over(params):
            await self._route(target_of(params))  # what could not work is not registered
            made = await self._register(profile_text(params, "name"), profile_text(params, "bio"))
            params = {**params, "credentials": made}
        wanted = provision_of(params, datetime.now(UTC).isoformat(timespec="milliseconds"))
        async with self._one_at_a_time:
            route = await self._route(wanted.target)
            if not await self._is_here(wanted):
                await self._add(wanted, route)
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
        """Remove an agent, with its credentials and its state, for a person. Raises
        ActionRefused."""
        try:
            if agent not in (await self._layer.read()).channels:
                raise ActionRefused(f"{agent} is not an agent of the control plane")
            return await self.remove(Revocation(agent, True, True, False))
        except ControlRefused as error:
            raise ActionRefused(str(error)) from error

    async def remove(self, asked: Revocation) -> dict[str, object]:
        """Remove an agent; of one that is not known, what it may have left. Raises
        ControlRefused: the user's config names it, so that it is the user's to remove."""
        async with self._one_at_a_time:
            managed = await self._layer.read()
            known = asked.agent in managed.channels
            if not known and self.channel_of(asked.agent) is not None:
                raise ControlRefused(
                    "not_managed", f"{asked.agent} is in the config of this machine's user"
                )
            change = Unfinished(
                "remove", asked.agent, asked.credentials, asked.state, asked.workspace
            )
            await self._cancel_turns(asked.agent)
            async with self._noted(change):
                await self._layer.change(
                    lambda now: without_agent(now, asked.agent),
                    lambda config: not _is_managed(config, asked.agent),
                    lambda config: _without(config, asked.agent),
                )
                # Messages may have come until its channel was gone.
                await self._cancel_turns(asked.agent)
                await self._give_up_replies(asked.agent)
                deleted = await delete_traces(change, self._files, self._journal)
        return {"agentId": asked.agent, "removed": known, **deleted}

    async def set_route(self, params: Record) -> dict[str, object]:
        """Set a route for an agent, in effect at once. Raises ControlRefused or BadRequest."""
        agent, match, target = route_of(params)
        async with self._one_at_a_time:
            if self.channel_of(agent) is None:
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
            change = await asyncio.to_thread(self._files.unfinished)
            if change is None:
                return
            known = change.agent in (await asyncio.to_thread(self._files.read)).channels
            if not known:
                await delete_traces(change, self._files, self._journal)
            await asyncio.to_thread(self._files.end)
        except (ManagedUnusable, OSError) as error:
            metrics.count("control_failures_total", what="recover")
            log.error("what the control plane began is left as it is: %s", error)  # noqa: TRY400
        else:
            log.warning("agent %s: a change that was cut is settled", change.agent)

    async def _add(self, wanted: Provision, route: Entry) -> None:
        agent = wanted.agent
        if self.channel_of(agent) is not None:
            raise ControlRefused("agent_exists", f"{agent} is an agent of this machine already")
        try:
            kept = await asyncio.to_thread(self._files.kept_credentials, agent)
        except (ManagedUnusable, OSError) as error:
            raise ControlRefused("state_unusable", str(error)) from error
        if kept is not None and kept.get("privateKey") != wanted.credentials["privateKey"]:
            raise ControlRefused("agent_exists", f"other credentials of {agent} are here already")
        change = Unfinished("add", agent, credentials=kept is None)
        async with self._noted(change):
            try:
                if kept is None:
                    await asyncio.to_thread(
                        self._files.write_credentials, agent, wanted.credentials
                    )
                await self._layer.change(
                    lambda now: with_agent(now, agent, self._files.credentials(agent), route),
                    lambda config: _is_managed(config, agent),
                )
            except (ControlRefused, OSError) as error:
                await delete_traces(change, self._files, self._journal)
                if isinstance(error, OSError):
                    raise ControlRefused("state_unusable", str(error)) from error
                raise
        with suppress(OSError):  # the first turn makes it, too
            await asyncio.to_thread(self._prepare, wanted, str(route["runtime"]))

    async def _is_here(self, wanted: Provision) -> bool:
        """Whether this very agent was added before: the Hub asks again when it got no answer."""
        managed = await self._layer.read()
        if wanted.agent not in managed.channels:
            return False
        kept = await asyncio.to_thread(self._files.kept_credentials, wanted.agent) or {}
        if all(kept.get(key) == wanted.credentials[key] for key in ("keyId", "privateKey")):
            return True
        raise ControlRefused("agent_exists", f"{wanted.agent} is here already, with another key")

    async def _route(self, target: Target) -> Entry:
        """The part of a route that tells what answers."""
        config = self._reloader.snapshot.config
        runtime = runtime_of(config, target.runtime)
        if runtime is None:
            raise ControlRefused("unknown_runtime", f"there is no runtime {target.runtime!r} here")
        route: dict[str, object] = {"runtime": runtime}
        if target.cwd is not None:
            route["cwd"] = await asyncio.to_thread(folder_inside, target.cwd, self._roots(config))
        if target.model is not None:
            route["model"] = target.model
        if target.effort is not None:
            route["effort"] = target.effort
        if target.args:
            route["args"] = list(target.args)
        return route

    def _roots(self, config: Config) -> Sequence[Path]:
        return config.control_plane.roots or (self._files.state / "agents",)

    def channel_of(self, agent: str) -> str | None:
        """The channel that speaks as an agent."""
        for name, (account, _) in self._channels.statuses().items():
            if agent in (account, name):
                return name
        return None

    async def _cancel_turns(self, agent: str) -> None:
        """Return when no turn of an agent runs or waits; a little later at the latest."""
        end = self._reloader.snapshot.config.limits.stop_grace + END_SLACK
        with suppress(TimeoutError):
            async with asyncio.timeout(end):
                while turns := self._turns(agent):
                    for turn in turns:
                        self._dispatcher.cancel(turn, REVOKED)
                    await asyncio.sleep(_LOOK)

    async def _give_up_replies(self, agent: str) -> None:
        """Return when no reply of an agent waits; a little later at the latest."""
        with suppress(TimeoutError):  # one that is being sent; `delete_traces` sees to it
            async with asyncio.timeout(END_SLACK):
                await self._outbox.give_up(agent, agent, REMOVED)

    def _turns(self, agent: str) -> list[str]:
        waiting = self._dispatcher.waiting.items()
        running = ((turn, work) for turn, (work, _) in self._dispatcher.running.items())
        return [turn for turn, work in (*waiting, *running) if work.newest.account == agent]

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
            await asyncio.to_thread(self._files.end)
            raise
        await asyncio.to_thread(self._files.end)

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
    channels = {name: one for name, one in config.channels.items() if name != agent}
    routes = tuple(
        one for one in config.routes if not (one.managed and one.match.account == (agent,))
    )
    return replace(config, channels=channels, routes=routes)
