"""Sidecars that act on frames of the control plane and are killed in the last of them.

Arguments: a JSON list of config files, and the frames as a JSON list of `[type, params]`. The first
sidecar is killed before the first change of files in the last frame, the second before the second
one, and so on. Prints how each ended: minus the number of its signal, or 0.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from sidecar.app.candidate import Candidate
from sidecar.app.check import check
from sidecar.app.sidecar import Sidecar
from sidecar.codecs.control import Done, Frame

CHANGES = ("os.chmod", "os.rename", "os.remove")
"""Audit events. The first comes when a new file has its content, not yet in its place.
https://docs.python.org/3/library/audit_events.html"""
FILES = ("managed.yaml", "/credentials/", "unfinished.json")


def cut(number: int) -> None:
    """Kill this process before a change of files of the control plane."""
    seen = 0

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        told = f"{arguments[:2]}"
        unplaced = event == "os.chmod" and isinstance(arguments[0], int)
        if event in CHANGES and (unplaced or any(name in told for name in FILES)):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


async def main(path: Path, frames: list[tuple[str, dict[str, object]]], number: int) -> None:
    async def load(path: Path, begun: object = None) -> Candidate:
        return await asyncio.to_thread(check, path)

    found = await load(path)
    assert found.config is not None
    async with Sidecar(path, found.config, found.inputs) as sidecar:
        sidecar.reloader._load = load
        for index, (type_, params) in enumerate(frames):
            if index == len(frames) - 1:
                cut(number)
            answer = await sidecar.control.act(Frame(f"{index}", type_, params, 0.0))
            assert isinstance(answer, Done), answer


def ended(path: Path, frames: list[tuple[str, dict[str, object]]], number: int) -> int:
    """How the sidecar of a config file ends, in a process of its own."""
    child = os.fork()  # what is imported need not be imported again
    if not child:
        asyncio.run(main(path, frames, number))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    paths, told = (json.loads(argument) for argument in sys.argv[1:3])
    ends = [ended(Path(path), told, at) for at, path in enumerate(paths, 1)]
    sys.stdout.write(json.dumps(ends))
