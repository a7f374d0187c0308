"""Which flags a version of a tool knows: its `--help` is asked once for each state of its file."""

import asyncio
import re
from collections.abc import Mapping, Set
from pathlib import Path

from sidecar.api import Spawn
from sidecar.runtimes.processes.ending import finish
from sidecar.runtimes.processes.process import Process

PATIENCE = 10.0
"""Seconds for the answer: a first start from a cold disk takes some."""
LONGEST = 1 << 18
"""Bytes of the longest answer."""
FRESH = 5.0
"""Seconds for which a file is taken to be the same without a look."""
AGAIN = 60.0
"""Seconds after which a program that gave no help is asked again."""

_FLAG = re.compile(rb"(?<![\w-])--[a-z][a-z-]*")


def named(text: bytes) -> frozenset[str]:
    """The flags that a help names."""
    return frozenset(flag.decode() for flag in _FLAG.findall(text))


class Help:
    """Tells which of `flags` a program knows. `spawn` ends what asking it has left behind."""

    def __init__(self, flags: Set[str], spawn: Spawn) -> None:
        self._flags = frozenset(flags)
        self._spawn = spawn
        self._asking = asyncio.Lock()
        self._state: tuple[str, int, int] | None = None
        self._answered = False
        self._known: frozenset[str] = frozenset()
        self._fresh_until = 0.0

    @property
    def answered(self) -> bool:
        """Whether the program has given its help, the last time that it was asked."""
        return self._answered

    async def flags(
        self, program: str, cwd: Path, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> frozenset[str]:
        """The flags that the program knows; none when it gives no help.

        `marks` are those in `env`: by them is found what the program may have started.
        """
        loop = asyncio.get_running_loop()
        async with self._asking:
            same = self._state is not None and self._state[0] == program
            if same and loop.time() < self._fresh_until:
                return self._known
            state = await asyncio.to_thread(_state, program)
            fresh = FRESH
            if state != self._state or not self._answered:
                text = await self._ask(program, cwd, env, marks)
                self._answered = text is not None
                self._known = self._flags & named(text or b"")
                self._state = state
                fresh = FRESH if self._answered else AGAIN
            self._fresh_until = loop.time() + fresh
            return self._known

    async def _ask(
        self, program: str, cwd: Path, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> bytes | None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        try:
            process = Process([program, "--help"], cwd=cwd, env=env)
        except (OSError, ValueError):
            return None  # the start for the turn will tell why
        text = b""
        try:
            while piece := await process.read(deadline):
                text += piece
                if len(text) > LONGEST:
                    return None
            code = await process.wait(deadline)
        except TimeoutError:
            return None
        finally:
            await finish(process, marks, 0.0, self._spawn)
        return text if code == 0 else None


def _state(program: str) -> tuple[str, int, int] | None:
    """What is another one when the program is."""
    try:
        found = Path(program).stat()
    except OSError:
        return None
    return program, found.st_mtime_ns, found.st_size
