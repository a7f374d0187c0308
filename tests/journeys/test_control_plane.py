"""The control plane beside the channels: switched on by a save, steered, revoked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import World
from tests.patience import PATIENCE


def log_in(world: World) -> Path:
    """Write a login that the Hub takes."""
    path = world.folder / "user-auth.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(world.hub.control.login(world.hub.url)))
    return path


def enable(world: World, *keys: str) -> None:
    """Save a config with a control plane."""
    plane = {"enabled": True, "credentials": "user-auth.json", "public_keys": keys}
    world.config.write_text(f"{world.text}control_plane: {json.dumps(plane)}\n")


def machines(world: World) -> int:
    """How many machines are connected to the Hub."""
    return sum(one.socket is not None for one in world.hub.control.instances.values())


def snapshots(world: World) -> int:
    """How often machines have told which runtimes they have."""
    told = [event for one in world.hub.control.instances.values() for event in one.events]
    return sum(event["type"] == "runtime_snapshot" for event in told)


async def becomes(world: World, name: str, value: object) -> dict[str, Any]:
    """The status, as soon as it tells this of the control plane."""
    status: dict[str, Any] = {}

    async def told() -> bool:
        status.update(await world.status())
        return bool(status["control_plane"][name] == value)

    await world.until(told)
    return status


async def test_a_save_connects_the_control_plane_and_leaves_the_channels_alone(
    world: World,
) -> None:
    await world.start()
    log_in(world)
    enable(world, world.hub.control.public_key)
    await world.until(lambda: machines(world) == 1)
    ack = await world.hub.control.ask("ping")
    assert ack["ok"] is True
    assert world.hub.connects("demo") == 1
    await world.until(lambda: snapshots(world) == 1)
    world.hub.control.drop()
    await world.until(lambda: snapshots(world) == 2)
    status = await world.status()
    assert status["control_plane"]["state"] == "connected"
    assert status["remarks"] == []
    world.config.write_text(world.text)
    await world.until(lambda: machines(world) == 0)

    async def gone() -> bool:
        return (await world.status())["control_plane"] is None

    await world.until(gone)
    assert world.hub.connects("demo") == 1


async def test_a_key_that_is_saved_counts_at_once_on_the_same_socket(world: World) -> None:
    log_in(world)
    enable(world)
    await world.start()
    await world.until(lambda: machines(world) == 1)
    ack: Any = await world.hub.control.ask("ping")
    assert ack["error"]["code"] == "no_control_key"
    assert "no public key" in (await world.status())["remarks"][0]
    enable(world, world.hub.control.public_key)
    await becomes(world, "keys", 1)
    assert (await world.hub.control.ask("ping"))["ok"] is True
    assert world.hub.control.only().connects == 1


async def test_a_revoked_login_is_told_and_the_agents_go_on(world: World) -> None:
    path = log_in(world)
    enable(world, world.hub.control.public_key)
    await world.start()
    await world.until(lambda: machines(world) == 1)
    await world.hub.control.revoke()
    await world.until(path.with_name("auth-expired.flag").exists)
    status = await becomes(world, "state", "login")
    assert f"log in again with `sidecar login --file {path}`" in status["remarks"][0]
    assert status["not_ready"] == []
    world.hub.owner_says("demo", "hello")
    assert len(await world.replies(1)) == 1
    code, text = await world.run("status", str(world.config))
    assert code == 0, text
    assert "log in again" in text
    path.write_text(json.dumps(world.hub.control.login(world.hub.url)))
    await world.until(lambda: machines(world) == 1)


async def test_an_agent_that_the_hub_adds_connects_and_answers(world: World) -> None:
    log_in(world)
    enable(world, world.hub.control.public_key)
    await world.start()
    await world.until(lambda: machines(world) == 1)
    ack: Any = await world.hub.provision("Lazy")
    assert ack["ok"] is True, ack
    agent = ack["result"]["agentId"]
    await world.until(lambda: world.hub.connected(agent))
    events = world.hub.control.only().events
    await world.until(lambda: "agent_provisioned" in [one["type"] for one in events])
    [told] = [one for one in events if one["type"] == "agent_provisioned"]
    assert told["params"] == {"agentId": agent}
    world.hub.owner_says(agent, "hello")
    assert (await world.hub.wait_sent(timeout=PATIENCE))[0].envelope["from"] == agent
    control = world.hub.control
    at_once = await asyncio.gather(
        control.ask("set_route", {"agentId": agent, "pattern": "rm_", "route": {}}),
        control.ask("revoke_agent", {"agentId": agent}),
        control.ask("set_route", {"agentId": agent, "pattern": "rm_x", "route": {}}),
        control.ask("revoke_agent", {"agentId": agent}),
    )
    assert [one["ok"] for one in at_once] == [True, True, False, True]
    assert [one["result"]["removed"] for one in (at_once[1], at_once[3])] == [True, False]
    await world.until(lambda: not world.hub.connected(agent))
    assert world.hub.connects("demo") == 1


@pytest.mark.parametrize("key", ["H8lKtrtJclp+M69dh0n0avdia/kN8fy1tYUSrQFpDxY=", "AAAA", "x y"])
async def test_a_key_that_proves_nothing_is_a_problem_of_the_config(
    make_world: Callable[..., Awaitable[World]], key: str
) -> None:
    world = await make_world()
    log_in(world)
    enable(world, key)
    code, text = await world.run("validate", str(world.config))
    assert code == 2
    assert "public_keys" in text
