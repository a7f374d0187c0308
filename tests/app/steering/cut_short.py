"""Sidecars that act on frames of the control plane and are killed at a point of the last of them.

Arguments, in JSON: pairs of a config file and the point (empty: none) at which its sidecar is to be
killed, and the frames as pairs of type and parameters. Prints how each ended, minus the number of
its signal or 0, and which points there are, in order. The first pair is to be without a point.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.checking.load import Loader
from sidecar.app.sidecar import Sidecar
from sidecar.app.turns.work import reply_to
from sidecar.codecs.hub.control import Done, Frame
from sidecar.hubclient import registration
from sidecar.model import Conversation, Message, Sender
from sidecar.store.journal import Journal

FOLDERS = {"credentials": "credentials", "managed": "managed.yaml", "state": "unfinished.json"}
"""Which file of the control plane is written by way of a temporary one in which folder."""
FILES = ("managed.yaml", "unfinished.json", "ag_1.json")


class Points:
    """The points that were reached, of which `fatal` is the last. They count while `on`."""

    def __init__(self) -> None:
        self.on = False
        self.fatal = ""
        self.reached: list[str] = []
        self._here = threading.local()  # others write files of their own meanwhile

    def reach(self, point: str) -> None:
        if not self.on:
            return
        self.reached.append(point)
        if point == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Changes of files. https://docs.python.org/3/library/audit_events.html"""
        if event == "tempfile.mkstemp":
            self._here.folder = Path(str(arguments[0])).parent.name
        elif event == "os.chmod" and isinstance(arguments[0], int):
            folder = self._here.folder
            self.reach(f"{FOLDERS.get(folder, folder)} written, not in its place")
        elif event == "os.rename" and (name := Path(arguments[1]).name) in FILES:
            self.reach(f"before {name} is in its place")
        elif event in ("os.remove", "shutil.rmtree"):
            path = Path(arguments[0])
            if event == "shutil.rmtree" or path.name in FILES:
                self.reach(f"before {path.parent.name}/{path.name} is removed")
        elif event == "os.rmdir":
            self.reach(f"before the folder {Path(arguments[0]).name} is removed")

    def around(self, owner: Any, name: str, tell: Callable[..., str]) -> None:
        """Points before and after a call of a function."""
        real = getattr(owner, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            told = tell(*arguments)
            self.reach(f"before {told}")
            done = await real(*arguments, **options)
            self.reach(f"after {told}")
            return done

        setattr(owner, name, call)


async def main(path: Path, frames: list[tuple[str, dict[str, object]]], points: Points) -> None:
    async def load(path: Path, begun: object = None) -> Candidate:
        return await asyncio.to_thread(check, path)

    found = await load(path)
    assert found.config is not None
    async with Sidecar(path, found.config, found.inputs) as sidecar:
        sidecar.reloader._load = load
        for index, (type_, params) in enumerate(frames):
            if index == len(frames) - 1:
                await owe(sidecar.journal)
                points.on = True
            answer = await sidecar.control.act(Frame(f"{index}", type_, params, 0.0))
            assert isinstance(answer, Done), answer
        points.on = False


async def owe(journal: Journal) -> None:
    """A reply that waits for the agent ag_1."""
    place, sender = Conversation("room", "group"), Sender("s", "human")
    message = Message("ag_1", "ag_1", "m", place, sender, "hello", 0.0)
    [one] = await journal.accept([message], now=time.time())
    replies = [reply_to(message, "hello", "answer")]
    _ = await journal.drop([one.turn], "test", now=time.time(), replies=replies)


def ended(run: Callable[[], Awaitable[None]]) -> int:
    """How a sidecar ends, in a process of its own."""
    child = os.fork()  # what is imported need not be imported again
    if not child:
        asyncio.run(run())  # type: ignore[arg-type]  # it is a coroutine
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    (whole, *cut), told = (json.loads(argument) for argument in sys.argv[1:3])
    Loader.begin = lambda _: None  # type: ignore[method-assign]  # no process that checks ahead
    points = Points()
    sys.addaudithook(points.audit)
    points.around(registration, "request", lambda _, method, url, **__: f"POST {Path(url).name}")
    points.around(Journal, "forget_account", lambda *_: "the sessions are forgotten")
    points.around(Journal, "refused", lambda *_: "the reply is refused")
    asyncio.run(main(Path(whole[0]), told, points))
    reached, ends = points.reached, [0]
    for path, points.fatal in cut:
        ends.append(ended(lambda path=path: main(Path(path), told, points)))
    sys.stdout.write(json.dumps({"ends": ends, "points": reached}))
