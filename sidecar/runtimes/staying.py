"""Command line tools that stay for the next turn of their session, as far as that is possible.

Whatever is in the way of it, the turn runs as it does without: one process, which ends with it.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from sidecar import metrics
from sidecar.api import Host, Invocation
from sidecar.config.model import Warm
from sidecar.model import ACTS, AgentEvent, Block, Job, TurnEnded
from sidecar.runtimes.launch import LaunchFailed, WarmCli
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.processes.environment import TRACE
from sidecar.runtimes.processes.private import remove
from sidecar.runtimes.processes.starting import Starter, Surroundings
from sidecar.runtimes.processes.turn import ProcessTurn
from sidecar.runtimes.processes.warm import IDLE_GRACE, Pool, Resident, Seat, key_of, owned

COLD_FOR = 60.0
"""Seconds for which none is started to stay, after one that broke off its first turn."""


class Staying:
    """A runtime for one `WarmCli`. Of `options`, it reads what `Starter` reads."""

    def __init__(self, cli: WarmCli, warm: Warm, options: Mapping[str, object], host: Host) -> None:
        self._cli = cli
        self._host = host
        self._cold = OneShot(cli, options, host)
        self._starter = Starter(cli, options, host)
        self._pool = Pool(warm.max, warm.idle, host)
        self._not_before = 0.0

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn. Ends with exactly one `TurnEnded`; closing or cancelling it stops the
        agent and all that the agent started."""
        resident = await self._resident(job)
        if resident is not None:
            acted = False
            async with aclosing(self._turn(resident, job)) as events:
                async for event in events:
                    if event is None and not acted:
                        break
                    if event is not None:
                        yield event
                        acted = acted or (isinstance(event, Block) and event.kind in ACTS)
                else:
                    return
            self._host.log.info("the turn begins anew in a process of its own")
        self._count("cold")
        async with aclosing(self._cold.run(job)) as events:
            async for event in events:
                yield event

    async def retire(self) -> None:
        """End the processes that wait; none is kept from now on."""
        await self._pool.close()

    async def close(self) -> None:
        """End the processes that wait."""
        await self._pool.close()

    async def describe(self, job: Job) -> Invocation:
        """How a turn would be run by a process of its own, without a look at the machine."""
        return await self._starter.describe(job)

    async def _turn(self, resident: Resident, job: Job) -> AsyncGenerator[AgentEvent | None, None]:
        """The events of a turn; before its end comes None when the agent broke it off."""
        turn = ProcessTurn(resident.process, resident.launch, job, self._host, resident.marks)
        kept = False
        try:
            while (events := await turn.next()) is not None:
                for event in events:
                    yield event
            *notes, ended = turn.outcome()
            if turn.broke_off:
                self._broke_off(resident)
                yield None
            if isinstance(ended, TurnEnded) and ended.failure is None and turn.can_stay():
                session = owned(job, ended.session)
                kept = session is not None and await self._pool.keep(resident, session)
            for event in (*notes, ended):
                yield event
        finally:
            if not kept:
                try:
                    await turn.cancel()
                finally:
                    await self._pool.end(resident, turn.grace)

    async def _resident(self, job: Job) -> Resident | None:
        """The process for a turn; None when it has to run cold, or cannot run at all."""
        try:
            env = {name: job.env[name] for name in job.env.keys() - TRACE}
            name = f"warm-{secrets.token_hex(8)}"
            found = await self._starter.surroundings(replace(job, env=env), name)
            same = await self._cli.same(found.program, job, found.env, found.marks)
            unmarked = {name: found.env[name] for name in found.env.keys() - found.marks.keys()}
            key = key_of(job, unmarked, (found.program, *same))
            resident = await self._pool.take(key, owned(job, job.session))
            if resident is not None and await self._goes_on(resident, job):
                return resident
            if asyncio.get_running_loop().time() < self._not_before:
                return None
            seat = self._pool.reserve()
            return None if seat is None else await self._start(seat, key, found, job)
        except LaunchFailed as stopped:  # the cold run will tell, if it fails too
            self._host.log.debug("not warm: %s", stopped.failure.detail)
            await self._pool.forget(owned(job, job.session))
            return None

    async def _goes_on(self, resident: Resident, job: Job) -> bool:
        """Give a process its next turn; one that had better not run it, or cannot, is ended."""
        try:
            dialogue = self._cli.follow(resident.dialogue, job)
        except Exception:
            await self._pool.end(resident, IDLE_GRACE)
            raise
        if dialogue is None:
            metrics.count("warm_ended_total", runtime=self._host.name, reason="context")
            await self._pool.end(resident, IDLE_GRACE)
            return False
        resident.launch = replace(resident.launch, codec=dialogue, dialogue=dialogue)
        resident.used = True
        resident.process.begin_anew()
        self._count("reused")
        return True

    async def _start(self, seat: Seat, key: str, found: Surroundings, job: Job) -> Resident:
        started = False
        try:
            launch = await self._cli.open(found.program, job, found.env, found.marks)
            try:
                process = self._starter.start(launch.argv, found, job.cwd, dialogue=True)
            except LaunchFailed:
                await asyncio.to_thread(remove, launch.files)
                raise
            started = True
        except OSError as error:
            raise LaunchFailed.of(error) from error
        finally:
            if not started:
                self._pool.release(seat)
        self._count("started")
        return Resident(seat, process, key, found.marks, launch)

    def _broke_off(self, resident: Resident) -> None:
        process = resident.process
        said = process.hide(process.stderr).strip()[-500:]
        self._host.log.warning("process %d did not finish its turn: %s", process.pid, said)
        if not resident.used:
            self._not_before = asyncio.get_running_loop().time() + COLD_FOR

    def _count(self, how: str) -> None:
        metrics.count("warm_turns_total", runtime=self._host.name, process=how)
