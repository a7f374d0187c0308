"""Finding the route of a message among 10,000 routes, against finding it among 10; and what that
is of a whole turn, which at least starts a program."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._measure import Figure, instant_program, report, smoke, spawn_times
from sidecar.config.model import Match, Route
from sidecar.core.routing import Router
from sidecar.model import Conversation, Message, Sender

CONDITIONS: dict[str, Callable[[str], Match]] = {
    "conversation": lambda room: Match(conversation=(room,)),
    "conversation_prefix": lambda room: Match(conversation_prefix=(room,)),
}


def router(count: int, condition: str) -> Router:
    matches = (CONDITIONS[condition](f"rm_{number:06}") for number in range(count))
    routes = [Route(f"r{n}", "runtime", Path("/"), match) for n, match in enumerate(matches)]
    return Router(routes, None)


def message(number: int) -> Message:
    place = Conversation(f"rm_{number:06}", "group")
    return Message("demo", "demo", "m", place, Sender("s", "human"), "hello", 0.0)


def cost(match: Callable[[Message], object], said: Message, rounds: int) -> float:
    """Seconds of one look-up: the least of several rounds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(1000):
            match(said)
        times.append((time.perf_counter() - begin) / 1000)
    return min(times)


def main() -> int:
    rounds = 3 if smoke() else 30
    figures = []
    with tempfile.TemporaryDirectory() as name:
        turn = statistics.median(spawn_times(instant_program(Path(name)), 10 * rounds))
    for condition in CONDITIONS:
        few = cost(router(10, condition).match, message(9), rounds)
        many = cost(router(10_000, condition).match, message(9_999), rounds)
        name = f"route by {condition}"
        figures.append(Figure(name, f"{many * 1e6:.2f} us", many / few, "x ten routes", goal=1.5))
        whole = (turn + many) / (turn + few)
        figures.append(Figure("  a turn", f"{turn * 1e3:.2f} ms", whole, "x ten routes", goal=1.1))
    return report(*figures)


if __name__ == "__main__":
    sys.exit(main())
