"""Turns, sessions and replies at the terminal; budgets, rotated sessions and limits of a route."""

import json
import os
import sys
from typing import Any

import pytest

ROUTE = "default_route: {runtime: agent, cwd: "


async def listed(world: Any, *command: str) -> Any:
    code, output = await world.run(*command, "--json")
    assert code == 0, output
    return json.loads(output)


async def test_turns_are_told_with_their_cost_while_it_runs_and_when_it_is_down(
    world: Any,
) -> None:
    await world.start()
    world.hub.owner_says("demo", "cost 0.25")
    await world.replies(1)
    world.hub.owner_says("demo", "exit 3")
    await world.replies(2)
    failed, answered = await listed(world, "turns", "list")
    assert (answered["state"], answered["cost_usd"], answered["text"]) == (
        "answered", 0.25, "cost 0.25",
    )  # fmt: skip
    assert (answered["input_tokens"], answered["output_tokens"]) == (100, 20)
    status = await world.status()
    assert status["spending"]["default"]["spent"] == 0.25
    _, text = await world.run("status", str(world.config))
    assert "$0.2500" in text

    assert await world.stop() == 0
    assert [one["turn"] for one in await listed(world, "turns", "list")] == [
        failed["turn"], answered["turn"],
    ]  # fmt: skip
    code, text = await world.run("turns", "show", answered["turn"])
    assert code == 0
    for piece in ("$0.2500", "100+20", "cost 0.25", "that was 0.25", "delivered"):
        assert piece in text
    code, text = await world.run("turns", "show", "nothing")
    assert (code, text) == (1, "sidecar: the journal has no turn nothing\n")
    code, text = await world.run("turns", "retry", failed["turn"])
    assert code == 0, text
    assert "for its next start" in text
    await world.start()
    assert (await world.replies(3))[2].startswith("⚠️")
    code, text = await world.run("turns", "retry", failed["turn"])
    assert code == 1
    assert "has its messages now" in text


async def test_a_budget_survives_a_crash_and_a_raised_one_works_at_once(world: Any) -> None:
    bounded = {ROUTE: f"{ROUTE[:-5]}budget: {{usd: 0.5, per: month}}, cwd: "}
    world.write(**bounded)
    await world.start()
    world.hub.owner_says("demo", "cost 0.5")
    await world.replies(1)
    await world.until(lambda: not world.hub.unacknowledged("demo"))
    await listed(world, "turns", "list")
    await world.kill()
    await world.start()
    world.hub.owner_says("demo", "say refused")
    _, told = await world.replies(2)
    assert "budget" in told
    assert "UTC" in told
    [refused, _] = await listed(world, "turns", "list")
    assert (refused["state"], refused["error"]) == ("dropped", "budget")
    world.write(**{ROUTE: f"{ROUTE[:-5]}budget: {{usd: 5, per: month}}, cwd: "})
    code, text = await world.run("reload", str(world.config))
    assert code == 0, text
    code, text = await world.run("turns", "retry", refused["turn"])
    assert code == 0, text
    assert (await world.replies(3))[2] == "refused"


async def test_a_session_is_left_at_its_bound_listed_and_forgotten(world: Any) -> None:
    world.write(**{ROUTE: f"{ROUTE[:-5]}session: {{max_turns: 2}}, cwd: "})
    await world.start()
    for number, text in enumerate(("say one", "say two", "prompt"), 1):
        world.hub.owner_says("demo", text)
        found = await world.replies(number)
    assert found[2].startswith("[BotCord Notice] You begin a new session")
    assert "say one" in found[2]
    assert "you answered: two" in found[2]
    [session] = await listed(world, "sessions", "list")
    assert (session["turns"], session["runtime"]) == (1, "agent")
    code, text = await world.run("sessions", "forget", session["conversation"])
    assert (code, text) == (0, "1 session(s) forgotten\n")
    assert await listed(world, "sessions", "list") == []
    world.hub.owner_says("demo", "count")
    assert (await world.replies(4))[3].startswith("0 turns before")


async def test_a_running_turn_is_cancelled_from_the_terminal(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait never")
    await world.until(lambda: world.runs)
    [running] = await listed(world, "turns", "list", "--state", "running")
    code, text = await world.run("turns", "cancel", running["turn"])
    assert (code, text) == (0, f"turn {running['turn']} is stopped\n")
    [told] = await world.replies(1)
    assert told == "This request was stopped by the operator."

    async def delivered() -> bool:
        return await listed(world, "outbox", "list") == []

    await world.until(delivered)  # the Hub has it before the sidecar knows
    [reply] = await listed(world, "outbox", "list", "--state", "delivered")
    assert reply["text"] == told


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
async def test_an_agent_has_the_memory_and_the_place_that_its_runtime_gives_it(world: Any) -> None:
    world.write(**{"protocol: ndjson}": "protocol: ndjson, memory_max: 300MiB, nice: 3}"})
    await world.start()
    world.hub.owner_says("demo", "bounds")
    assert await world.replies(1) == [f"memory {300 << 20}, nice {min(19, os.nice(0) + 3)}"]
