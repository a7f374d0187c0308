"""What a monitoring system sees of a running sidecar."""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import PATIENCE

MOST_WAKES = 25.0
"""Times that all threads together wake up in a second: ten are to watch files, one is to measure
the loop."""


async def samples(world: Any) -> dict[tuple[str, str], float]:
    """Each value by name and the values of its labels."""
    connector = UnixConnector(str(world.folder / "s.sock"))
    async with ClientSession(connector=connector) as http, http.get("http://x/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        (one.name, ",".join(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


async def test_a_turn_a_reload_and_a_mistake_are_counted(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "say hello")
    await world.replies(1)
    await world.until(lambda: not world.hub.unacknowledged("demo"))
    world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"})
    await world.until(lambda: "config applied" in world.log.read_text())

    async def watched() -> bool:  # which may begin after a first look, with which it is applied
        return (await samples(world)).get(("sidecar_config_watcher_up", "")) == 1

    await world.until(watched)
    found = await samples(world)
    assert found["sidecar_messages_total", "demo,accepted"] == 1
    assert found["sidecar_turns_total", "answered,default,agent"] == 1
    for name in ("wait", "render", "first_output", "run"):
        assert found[f"sidecar_turn_{name}_seconds_count", "agent"] == 1, name
    assert found["sidecar_channel_connected", "demo"] == 1
    assert found["sidecar_config_reloads_total", "applied"] == 1
    assert found["sidecar_config_last_reload_successful", ""] == 1
    world.write(**{"runtime: agent": "runtime: agnet"})
    await world.until(lambda: "config rejected" in world.log.read_text())
    before, found = found, await samples(world)
    assert found["sidecar_config_last_reload_successful", ""] == 0
    confirmed = ("sidecar_config_last_reload_success_timestamp_seconds", "")
    assert found[confirmed] == before[confirmed] > 0


def wakes(pid: int) -> int:
    """How often the threads of a process have waited for something."""
    found = 0
    for one in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            told = one.read_text()
            found += int(told.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts as Linux does")
async def test_one_that_has_nothing_to_do_hardly_wakes_up(world: Any) -> None:
    await world.start()
    often = MOST_WAKES
    async with asyncio.timeout(world.patience):
        while often >= MOST_WAKES:  # it still starts
            before, began = wakes(world.process.pid), time.monotonic()
            await asyncio.sleep(1)
            often = (wakes(world.process.pid) - before) / (time.monotonic() - began)


async def test_a_listener_hears_of_a_turn_and_of_a_reload(world: Any) -> None:
    await world.start()
    connector = UnixConnector(str(world.folder / "s.sock"))
    heard: list[str] = []
    async with ClientSession(connector=connector) as http, http.get("http://x/events") as answer:
        world.hub.owner_says("demo", "say hello")
        await world.replies(1)
        world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"})
        while "event: reload" not in heard:
            heard.append(
                (await asyncio.wait_for(answer.content.readline(), PATIENCE)).decode().strip()
            )
    names = [line for line in heard if line.startswith("event: ")]
    wanted = ("channel", "turn.started", "block", "turn.ended", "reload")
    assert [f"event: {name}" for name in wanted if f"event: {name}" not in names] == []
    assert "hello" not in "".join(heard)
