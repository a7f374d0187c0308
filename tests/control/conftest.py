"""A development Hub, a login in a file, and links that are running."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from sidecar.api import Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.codecs.hub.control import Ack, Done, Frame
from sidecar.control.link import ControlLink, State, Waits
from sidecar.control.socket import Limits
from sidecar.devhub import DevHub
from sidecar.store.journal import Journal
from tests.patience import until

QUICK = Waits(first=0.02, longest=0.05, displaced=60.0, stable=0.0, look=0.02)


@pytest.fixture
async def hub() -> AsyncIterator[DevHub]:
    """A Hub that runs."""
    made = DevHub()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """What a link is lent."""
    supervisor = Supervisor()
    async with ClientSession() as session:
        yield Host(
            name="control",
            log=logging.getLogger("sidecar.control"),
            state=tmp_path,
            spawn=supervisor.spawn,
            http=lambda: session,
        )
        await supervisor.close()


@pytest.fixture
def login(hub: DevHub, tmp_path: Path) -> Path:
    """The file of a login that the Hub takes."""
    return write_login(tmp_path / "daemon" / "user-auth.json", hub.control.login(hub.url))


def write_login(path: Path, document: dict[str, object]) -> Path:
    """Put a login into its file, which nobody sees without it."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(".fresh")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(document))
    return beside.replace(path)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """The journal of a sidecar."""
    made = await Journal.open(tmp_path, session_ttl=60.0, now=time.time())
    yield made
    await made.close()


class Acted:
    """Does what is asked by noting it. `answer` is the ack of everything."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.answer: Ack = Done({"seen": True})
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, frame: Frame) -> Ack:
        self.frames.append(frame)
        await self.go.wait()
        return self.answer

    @property
    def types(self) -> list[str]:
        """What was asked so far, without greetings."""
        return [frame.type for frame in self.frames if frame.type != "hello"]


Running = Callable[..., Awaitable[ControlLink]]


@pytest.fixture
async def running(hub: DevHub, host: Host, login: Path, journal: Journal) -> AsyncIterator[Running]:
    """Starts a link with an act, and waits for a state."""
    async with AsyncExitStack() as stack:

        async def start(
            act: Callable[[Frame], Awaitable[Ack]],
            *,
            state: State | None = "connected",
            keys: Callable[[], tuple[str, ...]] | None = None,
            limits: Limits | None = None,
            waits: Waits = QUICK,
            label: str | None = None,
            path: Path | None = None,
        ) -> ControlLink:
            own = keys or (lambda: (hub.control.public_key,))
            link = ControlLink(
                path or login,
                host,
                keys=own,
                ledger=journal,
                label=label,
                limits=limits,
                waits=waits,
            )
            task = host.spawn(link.run(act), "control")
            stack.push_async_callback(_cancel, task)
            if state is not None:
                await until(lambda: link.status.state == state)
            return link

        yield start


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def acted() -> Acted:
    """What a link was asked."""
    return Acted()
