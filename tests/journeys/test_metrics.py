"""What a monitoring system sees of a running sidecar."""

import asyncio
from typing import Any

from aiohttp import ClientSession, UnixConnector
from prometheus_client.parser import text_string_to_metric_families


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
    found = await samples(world)
    assert found["sidecar_messages_total", "demo,accepted"] == 1
    assert found["sidecar_turns_total", "answered,default,agent"] == 1
    for name in ("wait", "render", "first_output", "run"):
        assert found[f"sidecar_turn_{name}_seconds_count", "agent"] == 1, name
    assert found["sidecar_channel_connected", "demo"] == 1
    assert found["sidecar_config_reloads_total", "applied"] == 1
    assert found["sidecar_config_last_reload_successful", ""] == 1
    assert found["sidecar_config_watcher_up", ""] == 1
    world.write(**{"runtime: agent": "runtime: agnet"})
    await world.until(lambda: "config rejected" in world.log.read_text())
    found = await samples(world)
    assert found["sidecar_config_last_reload_successful", ""] == 0
    assert found["sidecar_config_last_reload_success_timestamp_seconds", ""] > 0


async def test_a_listener_hears_of_a_turn_and_of_a_reload(world: Any) -> None:
    await world.start()
    connector = UnixConnector(str(world.folder / "s.sock"))
    heard: list[str] = []
    async with ClientSession(connector=connector) as http, http.get("http://x/events") as answer:
        world.hub.owner_says("demo", "say hello")
        await world.replies(1)
        world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"})
        while "event: reload" not in heard:
            heard.append((await asyncio.wait_for(answer.content.readline(), 20)).decode().strip())
    names = [line for line in heard if line.startswith("event: ")]
    wanted = ("channel", "turn.started", "block", "turn.ended", "reload")
    assert [f"event: {name}" for name in wanted if f"event: {name}" not in names] == []
    assert "hello" not in "".join(heard)
