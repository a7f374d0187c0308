"""How late the event loop is."""

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest

from sidecar import metrics
from sidecar.app.lifecycle import lag
from tests.patience import PATIENCE, until


async def test_a_loop_that_is_held_up_is_measured_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lag, "PAUSE", 0.01)
    monkeypatch.setattr(lag, "LATE", 0.05)
    caplog.set_level(logging.WARNING)
    before = sum(metrics.durations().get("event_loop_lag_seconds", {}).get((), ((0,), 0))[0])
    task = asyncio.create_task(lag.watch_loop())  # noqa: TID251 -- of a test
    async with asyncio.timeout(PATIENCE):
        while "held up for" not in caplog.text:
            await asyncio.sleep(0)  # it waits for its timer now
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                pass
    task.cancel()
    counts, _ = metrics.durations()["event_loop_lag_seconds"][()]
    assert sum(counts) > before


async def test_a_process_with_little_to_do_is_measured_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    loads = iter([0.0, 1.0, 1.0, 0.0])
    now = used = 0.0

    async def tick(pause: float) -> float:
        nonlocal now, used
        pauses.append(pause)
        load = next(loads, None)
        if load is None:
            await asyncio.Future()
        now += pause
        used += (load or 0.0) * pause
        return now

    # Of the loop it asks for the time only, and that of both clocks is made up.
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr(lag, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    monkeypatch.setattr(lag, "time", SimpleNamespace(process_time=lambda: used))
    monkeypatch.setattr(lag, "tick", tick)
    task = asyncio.create_task(lag.watch_loop())  # noqa: TID251 -- of a test
    await until(lambda: len(pauses) == 5)
    task.cancel()
    calm, busy = lag.CALM_PAUSE, lag.PAUSE
    assert pauses == [busy, calm, busy, busy, calm]
