"""What an agent prints: read, decoded, and made into events, against reading and cutting it only.

The floor is to read the output of a process through a pipe, in the pieces and by the code of the
runtimes, and to cut it into lines. What is held against it reads the same bytes in the same way.
Of both it is the processor time of this process that counts, from the start of the agent on.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks._measure import Figure, milliseconds, report, smoke
from benchmarks._stalls import Stalls, of_this_process, stall
from benchmarks._turns import job, peak, runtime
from sidecar.api import Runtime
from sidecar.codecs.ndjson import Lines, parse
from sidecar.codecs.pieces import CLAUDE
from sidecar.model import Block, TurnEnded
from sidecar.runtimes.claude_code import CLAUDE_CODE
from sidecar.runtimes.processes.process import Process

RUNS = 9
"""Of each measurement, one after the other; the medians count."""
SMALL = (
    b'{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"some words of an answer "}},"session_id":'
    b'"27dfa529-3b0c-4bfb-8be9-1f73b7a6371d","parent_tool_use_id":null,"uuid":'
    b'"5ef1a1f7-65e7-4e49-8d3f-6a0c9f0c6a3e"}\n'
)
LARGE = (
    b'{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t",'
    b'"content":"%s"}]}}\n' % (b'   1\\tsome words of a \\"file\\" that was read\\n' * 22_000)
)
"""Of 1 MB."""
LAST = b'{"type":"result","subtype":"success","result":"done","num_turns":1}\n'
AGENT = """\
#!/bin/sh
case "$*" in *--help*) exit;; esac
exec cat "$0.printed"
"""
"""Takes the place of Claude Code."""
NODE = """\
const line = process.argv[1], count = Number(process.argv[2]), size = 65536;
const data = Buffer.from((line + "\\n").repeat(count));
for (let run = 0; run < 20; run++) {
  const begin = process.cpuUsage();
  let rest = "";
  for (let at = 0; at < data.length; at += size) {
    const lines = (rest + data.toString("utf8", at, at + size)).split("\\n");
    rest = lines.pop();
    for (const text of lines) JSON.parse(text);
  }
  const used = process.cpuUsage(begin);
  console.log((used.user + used.system) / 1e6);
}
"""


def agent(folder: Path, name: str, line: bytes, count: int) -> Path:
    """A program that prints so many lines, and a result."""
    program = folder / name
    program.write_text(AGENT)
    program.chmod(0o700)
    with Path(f"{program}.printed").open("wb") as file:
        for _ in range(count):
            file.write(line)
        file.write(LAST)
    return program


async def read(program: Path, take: Callable[[bytes], object]) -> float:
    """Give `take` what a program prints, as it comes; the seconds that took."""
    begin = time.process_time()
    child = Process([str(program)], cwd=program.parent, env=dict(os.environ))
    while data := await child.read():
        take(data)
    seconds = time.process_time() - begin
    await child.wait()
    child.close()
    return seconds


async def turn(found: Runtime, folder: Path, count: int) -> float:
    """Run a turn, of so many lines; its seconds."""
    blocks, last = 0, None
    begin = time.process_time()
    async for event in found.run(job(folder)):
        blocks += isinstance(event, Block) and event.kind != "system"
        last = event
    seconds = time.process_time() - begin
    if blocks != count or not isinstance(last, TurnEnded) or last.text != "done":
        sys.exit(f"the turn went wrong: {blocks} blocks, {str(last)[:200]}")
    return seconds


async def turns(
    folder: Path, name: str, line: bytes, count: int, stalls: Stalls
) -> Sequence[Figure]:
    """The figures of whole turns."""
    program = agent(folder, name, line, count)
    warm = agent(folder, f"{name} at first", line, 1)
    async with runtime(CLAUDE_CODE, {"command": str(warm)}, folder) as found:
        await turn(found, folder, 1)
    before, floors, times, noted = peak(anew=True), [], [], []
    async with runtime(CLAUDE_CODE, {"command": str(program)}, folder) as found:
        for _ in range(RUNS):
            floors.append(await read(program, Lines().feed))
            stalls.anew()
            times.append(await turn(found, folder, count))
            noted.append(stalls.longest)
    seconds, floor, grown = median(times), median(floors), peak() - before
    return (
        Figure(f"turn, {name} lines", milliseconds(seconds), seconds / floor, "x floor", goal=8),
        Figure("memory, more than before", f"{grown:.1f} MiB", grown, "MiB", goal=8),
        stall(*noted),
    )


async def decoding(folder: Path, count: int) -> Sequence[Figure]:
    """The figures of decoding, as the codec of Claude Code does it, and a line at a time."""
    program = agent(folder, "decoded", SMALL, count)
    megabytes = len(SMALL) * count / 1e6
    floors, many, single = [], [], []
    lines = Lines()
    for _ in range(RUNS):
        floors.append(await read(program, lines.feed))
        many.append(await read(program, lambda data: CLAUDE.read(lines.whole(data))))
        single.append(await read(program, lambda data: each(lines.feed(data))))
    floor = median(floors)
    print(f"  floor: {megabytes / floor:.0f} MB/s, read through a pipe and cut into lines")

    def figure(name: str, seconds: float, goal: float | None = None) -> Figure:
        return Figure(name, f"{megabytes / seconds:.0f} MB/s", seconds / floor, "x floor", goal)

    return figure("decoded", median(many), 2), figure("decoded line by line", median(single))


def each(lines: Sequence[bytes]) -> None:
    """Decode each line for itself, as the codecs do with all that is no piece of a text."""
    for line in lines:
        parse(line)


def against_node(count: int) -> Sequence[Figure]:
    """Lines in memory, decoded at once or each for itself, against Node's `JSON.parse`."""
    node = shutil.which("node")
    if node is None:
        return ()
    command = [node, "-e", NODE, SMALL.decode().strip(), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    best = min(map(float, done.stdout.split()))
    data = SMALL * count
    pieces = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]

    def figure(name: str, take: Callable[[Lines, bytes], object], goal: float | None) -> Figure:
        times = []
        for _ in range(20):
            lines, begin = Lines(), time.process_time()
            for piece in pieces:
                take(lines, piece)
            times.append(time.process_time() - begin)
        speed = f"{len(data) / min(times) / 1e6:.0f} MB/s"
        return Figure(name, speed, min(times) / best, "x Node", goal)

    return (
        figure("decoded, Node's time", lambda lines, data: CLAUDE.read(lines.whole(data)), 1),
        figure("line by line, Node's time", lambda lines, data: each(lines.feed(data)), None),
    )


async def measure(small: int, large: int, stalls: Stalls) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = [
            *await turns(folder, "small", SMALL, small, stalls),
            *await turns(folder, "large", LARGE, large, stalls),
            *await decoding(folder, small),
        ]
    return report(*figures, *against_node(small // 10))


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(*((4_000, 4) if smoke() else (200_000, 100)), of_this_process())))
