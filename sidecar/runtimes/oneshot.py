"""Command line tools of which one process runs one turn. What differs is a row: a `Cli`."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack

from sidecar.api import Host, Invocation
from sidecar.model import AgentEvent, Job, TurnEnded
from sidecar.runtimes.launch import Cli, LaunchFailed
from sidecar.runtimes.processes.orphans import adopt
from sidecar.runtimes.processes.private import remove
from sidecar.runtimes.processes.starting import Starter
from sidecar.runtimes.processes.turn import ProcessTurn


class OneShot:
    """A runtime for one `Cli`. Of `options`, it reads what `Starter` reads."""

    def __init__(self, cli: Cli, options: Mapping[str, object], host: Host) -> None:
        adopt()
        self._cli = cli
        self._host = host
        self._starter = Starter(cli, options, host)

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn. Ends with exactly one `TurnEnded`; closing or cancelling it stops the
        agent and all that the agent started."""
        async with AsyncExitStack() as stack:
            try:
                turn = await self._begin(job, stack)
            except LaunchFailed as stopped:
                yield TurnEnded("", job.session, stopped.failure)
                return
            while (events := await turn.next()) is not None:
                for event in events:
                    yield event
            for event in turn.outcome():
                yield event

    async def close(self) -> None:
        """Nothing is kept between turns."""

    async def describe(self, job: Job) -> Invocation:
        """How a turn would be run, without a look at the machine."""
        return await self._starter.describe(job)

    async def _begin(self, job: Job, stack: AsyncExitStack) -> ProcessTurn:
        """Start the process of a turn; the stack ends it.

        Raises:
            LaunchFailed: it cannot be started.
        """
        found = await self._starter.surroundings(job, job.turn)
        try:
            launch = await self._cli.launch(found.program, job, found.env, found.marks)
        except OSError as error:
            raise LaunchFailed.of(error) from error
        if launch.files:
            stack.push_async_callback(asyncio.to_thread, remove, launch.files)
        talks = launch.dialogue is not None
        process = self._starter.start(launch.argv, found, job.cwd, launch.stdin, dialogue=talks)
        turn = ProcessTurn(process, launch, job, self._host, found.marks)
        stack.push_async_callback(turn.close)
        return turn
