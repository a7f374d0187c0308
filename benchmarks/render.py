"""Rendering the built-in prompt with warm caches, and compiling 1,000 templates of a config."""

import statistics
import sys
import time
from pathlib import Path

from benchmarks._measure import Figure, milliseconds, report, smoke
from sidecar.config.model import Config, Route, State, Template
from sidecar.prompts.render import Prompts
from sidecar.prompts.samples import SAMPLES

SAMPLE = "a message of a person in a group"
"""With all that context providers can tell."""
RENDER_GOAL = 300.0
"""Microseconds, at the median."""


def render_time(rounds: int) -> float:
    """The median of the seconds of one rendering: system context and user turn."""
    prompts, turn = Prompts(), SAMPLES[SAMPLE]
    prompts.render(turn)
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        prompts.render(turn)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def compile_time(count: int) -> float:
    """Seconds of processor time to compile so many templates, all different, and to try them out:
    what `sidecar validate` does on one processor, a reload on several."""
    routes = tuple(
        Route(
            f"r{number}",
            "agent",
            Path("/"),
            user_turn=Template(
                f"{number}.j2",
                f"{{# {number} #}}{{% for message in messages %}}\n"
                "{{ message.sender.label }}: {{ message.text }}\n{% endfor %}\n",
            ),
        )
        for number in range(count)
    )
    config = Config(State(Path("/")), None, routes=routes)
    begin = time.process_time()
    _, problems = Prompts.compile(config)
    seconds = time.process_time() - begin
    assert problems == ()
    return seconds


def main() -> int:
    rendering = render_time(50 if smoke() else 5000)
    count = 50 if smoke() else 1000
    compiling = compile_time(count)
    return report(
        Figure("render, median", milliseconds(rendering), rendering * 1e6, "us", RENDER_GOAL),
        Figure(f"compile {count} templates", milliseconds(compiling), compiling, "s of processor"),
    )


if __name__ == "__main__":
    sys.exit(main())
