"""Small lines of JSON from an agent: cut and decoded, against being cut only, and against Node."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks._measure import Figure, report, smoke
from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.ndjson import Lines, parse

PIECE = 1 << 16
LINE = (
    b'{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"some words of an answer "}},"session_id":'
    b'"27dfa529-3b0c-4bfb-8be9-1f73b7a6371d","parent_tool_use_id":null,"uuid":'
    b'"5ef1a1f7-65e7-4e49-8d3f-6a0c9f0c6a3e"}\n'
)
NODE = """\
const line = process.argv[1], count = Number(process.argv[2]), size = 65536;
const data = Buffer.from((line + "\\n").repeat(count));
for (let run = 0; run < 3; run++) {
  const begin = process.hrtime.bigint();
  let rest = "";
  for (let at = 0; at < data.length; at += size) {
    const lines = (rest + data.toString("utf8", at, at + size)).split("\\n");
    rest = lines.pop();
    for (const text of lines) JSON.parse(text);
  }
  console.log(Number(process.hrtime.bigint() - begin) / 1e9);
}
"""


def cut(data: bytes, take: Callable[[bytes], object] | None = None) -> float:
    """Seconds to cut the data into lines, and to give each to `take`."""
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    lines = Lines()
    begin = time.perf_counter()
    for piece in pieces:
        found = lines.feed(piece)
        if take is not None:
            for line in found:
                take(line)
    return time.perf_counter() - begin


def node(count: int) -> float | None:
    """Seconds of Node for the same, `JSON.parse` a line; None where there is no Node."""
    program = shutil.which("node")
    if program is None:
        return None
    command = [program, "-e", NODE, LINE.decode().strip(), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return min(map(float, done.stdout.split()))


def measure(count: int) -> int:
    data = LINE * count
    megabytes = len(data) / 1e6

    def best(take: Callable[[bytes], object] | None = None) -> float:
        return min(cut(data, take) for _ in range(3))

    floor, decoded, events = best(), best(parse), best(ClaudeCodec().feed)
    print(f"  floor: {megabytes / floor:.0f} MB/s, cut into lines")
    figures = [
        Figure("decoded", f"{megabytes / decoded:.0f} MB/s", decoded / floor, "x floor", goal=2),
        Figure(
            "events of Claude Code", f"{megabytes / events:.0f} MB/s", events / floor, "x floor"
        ),
    ]
    other = node(count)
    if other is not None:
        speed = f"{megabytes / other:.0f} MB/s"
        figures.append(Figure("decoded, Node's time", speed, decoded / other, "x Node", goal=1))
    return report(*figures)


if __name__ == "__main__":
    sys.exit(measure(2_000 if smoke() else 80_000))
