"""How much faster a turn is in a process that stays, with the real CLIs and a model that answers
at once."""

import statistics
import time
from collections.abc import Callable

import pytest

from sidecar.api import Runtime
from sidecar.model import TurnEnded
from tests.e2e.conftest import Bench

TURNS = 20
GOALS = {"claude-code": 5.0, "codex": 2.0, "gemini-acp": 20.0}
"""How many times faster it has to be, the medians compared."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", GOALS)
async def test_a_warm_turn_against_a_cold_one(
    name: str,
    make_bench: Callable[[str], Bench],
    record_property: Callable[[str, object], None],
) -> None:
    """Turn about, so that both see the same machine."""
    cold, warm = make_bench(name), make_bench(f"{name} warm")
    session = (await warm.answered()).session
    cold_times, warm_times = [], []
    for _ in range(TURNS):
        cold_times.append(await _seconds(cold, cold.runtime, None))
        warm_times.append(await _seconds(warm, warm.runtime, session))
    slow, fast = statistics.median(cold_times), statistics.median(warm_times)
    figures = (
        f"cold {slow * 1000:.0f} ms, warm {fast * 1000:.0f} ms, {slow / fast:.1f} times faster"
    )
    record_property("speed", f"{name}: {figures} (goal: {GOALS[name]:g})")
    assert slow / fast >= GOALS[name], figures


async def _seconds(bench: Bench, runtime: Runtime, session: str | None) -> float:
    begin = time.perf_counter()
    ended = (await bench.run(runtime, "hello", session=session))[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.failure is None
    return time.perf_counter() - begin
