"""What a person sees in the chat."""

import json
import time
from typing import Any

import pytest

from sidecar.app.reloading import last_good


async def test_the_owner_gets_an_answer_and_sees_the_work_in_order(world: Any) -> None:
    await world.start()
    asked = world.hub.owner_says("demo", "say hello")
    assert await world.replies(1) == ["hello"]
    [reply] = world.hub.sent
    assert reply.trace_id == asked
    await world.until(lambda: asked in world.hub.ended)
    blocks = [block for block in world.hub.blocks if block.trace_id == asked]
    assert [block.seq for block in blocks] == list(range(1, len(blocks) + 1))
    kinds = [block.block["kind"] for block in blocks]
    assert kinds[:3] == ["thinking", "tool_call", "tool_result"]


async def test_a_member_of_a_group_is_answered_in_the_group_under_its_topic(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Launch", [person, "demo"])
    world.hub.say(person, room, "say hi there", topic="plans")
    assert await world.replies(1) == ["hi there"]
    [reply] = world.hub.sent
    assert reply.room == room
    assert reply.envelope["topic"] == "plans"


async def test_another_agent_is_answered_with_the_trust_of_a_stranger(world: Any) -> None:
    await world.start()
    world.hub.add_agent("peer")
    world.hub.say("peer", "demo", "job trust")
    world.hub.owner_says("demo", "job trust")
    assert sorted(await world.replies(2)) == ['"owner"', '"public"']


async def test_a_silent_agent_posts_nothing(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "silent")
    await world.until(lambda: world.hub.ended)
    world.hub.owner_says("demo", "say after")
    assert await world.replies(1) == ["after"]


async def test_the_session_goes_on_from_turn_to_turn(world: Any) -> None:
    await world.start()
    for number in range(3):
        world.hub.owner_says("demo", "count")
        texts = await world.replies(number + 1)
        assert texts[-1] == f"{number} turns before, attempt 1"


async def test_a_session_that_is_gone_leads_to_a_fresh_start_not_to_an_error(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "say one")
    await world.replies(1)
    world.hub.owner_says("demo", "lost-session")
    assert (await world.replies(2))[-1] == "a fresh start"
    assert world.runs == ["say one", "lost-session", "lost-session"]


async def test_a_failure_that_passes_is_tried_once_more(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "fail-once")
    assert await world.replies(1) == ["second time lucky"]


@pytest.mark.parametrize("command", ["exit 3", "die", "garbage"])
async def test_an_agent_that_breaks_is_told_with_a_reference_that_the_log_explains(
    world: Any, command: str
) -> None:
    await world.start()
    world.hub.owner_says("demo", command)
    [text] = await world.replies(1)
    assert "stopped before it had finished" in text
    reference = text.partition("(reference ")[2].rstrip(")")

    def is_explained() -> bool:
        whole = world.log.read_text().rpartition("\n")[0].splitlines()
        return any(
            line["level"] == "error"
            and line["context"]["turn"] == reference
            and "turn failed" in line["msg"]
            for line in (json.loads(text) for text in whole if text[:1] == "{")
        )

    await world.until(is_explained)


async def test_a_long_turn_in_one_room_does_not_delay_another_room(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    slow, quick = (world.hub.add_room(name, [person, "demo"]) for name in ("Slow", "Quick"))
    world.hub.say(person, slow, "wait go")
    await world.until(lambda: world.runs == ["wait go"])
    world.hub.say(person, quick, "say quick")
    assert await world.replies(1) == ["quick"]
    world.touch("go")
    assert (await world.replies(2))[-1] == "waited for go"


async def test_a_message_that_the_hub_repeats_is_answered_once_also_after_a_restart(
    world: Any,
) -> None:
    await world.start()
    world.hub.owner_says("demo", "say once")
    await world.replies(1)
    item = world.hub.last_item("demo")
    world.hub.put_raw("demo", item)
    assert await world.stop() == 0
    await world.start()
    world.hub.put_raw("demo", item)
    world.hub.owner_says("demo", "say twice")
    assert await world.replies(2) == ["once", "twice"]
    assert world.runs == ["say once", "say twice"]


async def test_status_shows_channels_turns_and_outbox(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    picture = await world.status()
    assert picture["channels"]["demo"]["state"] == "connected"
    assert [turn["route"] for turn in picture["running"]] == ["default"]
    assert picture["outbox"] == {"pending": 0, "refused": 0}
    code, text = await world.run("status", str(world.config))
    assert code == 0
    assert "demo     demo     connected" in text
    await world.until((world.folder / "state" / last_good.FILE).exists)
    await world.kill()
    code, text = await world.run("status", str(world.config))
    assert code == 1
    assert "no sidecar runs with this state folder; it was cut, with its last sign of life" in text
    assert f"config that was in force last: of {world.config}, kept " in text
    assert "the last turn ran with config generation 1" in text
    [line] = [line for line in text.splitlines() if line.startswith(picture["running"][0]["turn"])]
    assert line.split()[1] == "running"
    code, text = await world.run("status", str(world.config), "--json")
    left = json.loads(text)
    assert (code, len(left["waiting"]), left["cut"]) == (1, 1, True)
    assert left["outbox"] == {"pending": 0, "refused": 0}
    assert left["journal"]["turns"] == {"running": 1}
    assert picture["since"] - 1 < left["seen_at"] <= time.time()


async def test_status_of_a_sidecar_that_does_not_run_says_so(world: Any) -> None:
    code, text = await world.run("status", str(world.config))
    assert code == 1
    assert "no sidecar runs with this state folder\n" in text


@pytest.mark.parametrize("generation", ["0.1.1", "today"])
async def test_the_main_job_works_with_old_and_new_hubs(make_world: Any, generation: str) -> None:
    world = await make_world(generation=generation)
    world.fresh = generation == "today"
    await world.start()
    hub = world.hub
    person = hub.add_person("Ann")
    hub.add_agent("peer")
    room = hub.add_room("Launch", [person, "demo", "peer"], rule="Be brief.")
    hub.owner_says("demo", "say to the owner")
    hub.say(person, room, "say to the room", topic="plans", mentions=["demo"])
    hub.say("peer", "demo", "say to the peer")
    texts = await world.replies(3)
    assert sorted(texts) == ["to the owner", "to the peer", "to the room"]
    await world.until(lambda: not hub.unacknowledged("demo"))
