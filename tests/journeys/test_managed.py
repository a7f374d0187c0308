"""What the Hub sets, as a person on this machine sees it, and takes it away."""

import asyncio
import json
from typing import Any

from tests.journeys.conftest import World
from tests.journeys.test_control_plane import enable, log_in, machines


async def provisioned(world: World) -> str:
    """A running sidecar with an agent that the Hub added."""
    log_in(world)
    enable(world, world.hub.control.public_key)
    await world.start()
    await world.until(lambda: machines(world) == 1)
    ack: Any = await world.hub.provision("Lazy")
    assert ack["ok"] is True, ack
    return str(ack["result"]["agentId"])


async def agents(world: World) -> dict[str, str]:
    """Who added each agent."""
    _, text = await world.run("agents", "list", "--config", str(world.config), "--json")
    return {one["agent"]: one["by"] for one in json.loads(text)}


async def save(world: World, text: str) -> None:
    """Save a config that is valid, and wait until it was applied."""
    before = len((await world.status())["reloads"])
    world.config.write_text(text)

    async def applied() -> bool:
        reloads = (await world.status())["reloads"]
        return len(reloads) > before and reloads[-1]["result"] == "applied"

    await world.until(applied)


async def test_a_managed_agent_is_told_as_such_and_can_be_forgotten(world: World) -> None:
    agent = await provisioned(world)
    assert await agents(world) == {"demo": "config", agent: "control plane"}
    code, text = await world.run("config", "show", str(world.config), "--origin", "--json")
    assert code == 0, text
    origin = json.loads(text)[f"channels.{agent}.credentials"]["origin"]
    assert origin.startswith("state/managed/managed.yaml:")
    file = world.folder / f"state/credentials/{agent}.json"
    own = f"\n  {agent}: {{type: botcord, credentials: {file}}}"
    taken = world.folder / "taken.yaml"
    taken.write_text(world.config.read_text().replace("\nchannels:", f"\nchannels:{own}"))
    code, text = await world.run("plan", str(taken))
    assert (code, f"~ channels.{agent}.managed" in text) == (0, True), text
    text = world.config.read_text()
    await save(world, text.replace(f"dir: {world.folder}/state", f"dir: {world.folder}/other"))
    assert (await world.status())["pending"] == ["state.dir"]
    assert sorted((await world.status())["channels"]) == sorted(["demo", agent])
    code, told = await world.run("stop", str(world.config))
    assert code == 1
    assert f"none runs with the state folder {world.folder}/other (" in told
    await save(world, text)
    code, text = await world.run("agents", "forget", agent, "--config", str(world.config))
    assert code == 0, text
    await world.until(lambda: not world.hub.connected(agent))
    assert not await asyncio.to_thread(file.exists)
    assert await agents(world) == {"demo": "config"}
    code, text = await world.run("agents", "forget", "demo", "--config", str(world.config))
    assert (code, "demo is not an agent of the control plane" in text) == (1, True)


async def test_a_managed_agent_outlives_a_restart_and_can_be_forgotten_while_none_runs(
    world: World,
) -> None:
    agent = await provisioned(world)
    await world.until(lambda: world.hub.connected(agent))
    frame = world.hub.control.signed("ping")
    first = await world.hub.control.send(frame)
    await world.kill()
    await world.start()
    await world.until(lambda: world.hub.connected(agent) and machines(world) == 1)
    assert await world.hub.control.send(frame) == first  # with the time of then
    assert await world.stop() == 0
    code, text = await world.run("agents", "forget", agent, "--config", str(world.config))
    assert code == 0, text
    connects = world.hub.connects(agent)
    await world.start()
    assert await agents(world) == {"demo": "config"}
    assert world.hub.connects(agent) == connects
    assert not await asyncio.to_thread((world.folder / "state/unfinished.json").exists)
