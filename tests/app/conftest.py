"""A dispatcher with a real journal and outbox; its agent and its channel do what a test says."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.api import Channel, ChannelStatus, ChannelType, Host
from sidecar.app.connecting.speakers import Speakers
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.app.turns.budgets import Budgets
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.intake import Intake
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.app.turns.turn import TurnRunner
from sidecar.config import model as config
from sidecar.core.routing import Router
from sidecar.model import (
    AgentEvent,
    Block,
    Conversation,
    Job,
    Message,
    Reply,
    Sender,
    SenderKind,
    TurnEnded,
)
from sidecar.plugins import runtime_type
from sidecar.prompts.render import Prompts
from sidecar.store.journal import Journal
from tests.patience import until

runtime_type("command")  # loaded as when a runtime is built: later, that would block the loop


class Agent:
    """A runtime: a prompt that begins with `wait` waits for `go`, the others are answered."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.go = asyncio.Event()
        self.script: list[list[AgentEvent]] = []

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        self.jobs.append(job)
        if self.script:
            for event in self.script.pop(0):
                yield event
            return
        if "wait" in job.prompt.user:
            await self.go.wait()
        yield TurnEnded(f"answer {len(self.jobs)}")

    async def close(self) -> None: ...


class Shown:
    """The progress of one turn."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.closed = False

    def show(self, block: Block) -> None:
        self.blocks.append(block)

    async def close(self, *, reply_follows: bool) -> None:
        self.closed = True


class Line:
    """A channel that takes every reply."""

    account = "ag"
    max_text: int | None = None
    status = ChannelStatus("connected", 0.0)

    def __init__(self) -> None:
        self.taken: list[Reply] = []
        self.shown: list[Shown] = []

    async def run(self, accept: object) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> str | None:
        self.taken.append(reply)
        return None

    def progress(self, message: Message) -> Shown:
        self.shown.append(Shown())
        return self.shown[-1]


def _line(options: Mapping[str, object], host: Host) -> Channel:
    return Line()


LINE = ChannelType(
    "line",
    {"properties": {"agent": {"x-account": True}}},
    _line,
    account=lambda _, options: str(options.get("agent", "ag")),
)


class Rig:
    """What lies between a channel and a runtime, on a journal in `folder`."""

    def __init__(self, folder: Path, journal: Journal, agent: Agent, line: Line) -> None:
        self.folder = folder
        self.journal = journal
        self.agent = agent
        self.line = line
        self.supervisor = Supervisor()
        self.channels = {"demo": config.Channel("demo", "line", rate_limit=None)}
        self.lines: dict[str, Line] = {"demo": line}
        self.speakers = Speakers(journal.names, lambda _: LINE)
        self.speakers.use(self.channels)
        self.route = config.Route("all", "agent", folder)
        self.snapshot = self._snapshot(self.route)
        self.outbox = Outbox(journal, self._sender, self.supervisor.spawn, first_wait=0.01)
        self.budgets = Budgets()
        runner = TurnRunner(
            journal, self.outbox, self.lines.get, self.supervisor.spawn, self.budgets
        )
        self.dispatcher = Dispatcher(
            journal,
            self.outbox,
            runner,
            self.snapshot,
            self.speakers.find,
            self.supervisor.spawn,
        )
        attention = AttentionPolicies(lambda name: None)
        spawn = self.supervisor.spawn
        self.intake = Intake(journal, self.dispatcher, self.channels.get, spawn, attention)
        self._number = 0

    def _snapshot(self, route: config.Route) -> Snapshot:
        agent = config.Runtime("agent", "command")
        checked = config.Config(config.State(route.cwd), route, runtimes={"agent": agent})
        use = RuntimeUse(agent, self.agent)
        return Snapshot(1, checked, Router((), route), Prompts(), {"agent": use})

    def _sender(self, channel: str, account: str) -> Line | None:
        found = self.speakers.find(channel, account)
        return None if found is None else self.lines.get(found.id)

    def reroute(self, **changes: object) -> None:
        """Apply a configuration with a changed route, and the channels as they are now."""
        self.route = replace(self.route, **changes)  # type: ignore[arg-type]
        self.speakers.use(self.channels)
        self.dispatcher.use(self._snapshot(self.route))

    def message(self, text: str, kind: SenderKind = "owner", **facts: object) -> Message:
        self._number += 1
        place = Conversation("room", "group")
        sender = Sender(f"a-{kind}", kind)
        found = Message("demo", "ag", f"m{self._number}", place, sender, text, time.time())
        return replace(found, **facts)  # type: ignore[arg-type]

    async def say(self, text: str, kind: SenderKind = "owner", **facts: object) -> None:
        await self.intake.accept([self.message(text, kind, **facts)])

    async def quiet(self) -> None:
        """Return when no turn is unfinished and no reply waits."""

        async def settled() -> bool:
            return not (await self.journal.unfinished() or await self.journal.pending_replies())

        await until(settled)

    @property
    def texts(self) -> list[str]:
        return [reply.text for reply in self.line.taken]

    async def close(self) -> None:
        await self.supervisor.close()


@pytest.fixture
async def make_rig(tmp_path: Path) -> AsyncIterator[Callable[[], Rig]]:
    """Makes rigs on one journal: the second one is what a restart finds."""
    journal = await Journal.open(tmp_path, session_ttl=60.0, now=time.time())
    rigs: list[Rig] = []

    def make() -> Rig:
        rigs.append(Rig(tmp_path, journal, Agent(), Line()))
        return rigs[-1]

    yield make
    for rig in rigs:
        await rig.close()
    await journal.close()


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()
