"""Nothing that was acknowledged is lost, whatever dies in between."""

import os
from pathlib import Path
from typing import Any


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_turn_that_was_cut_by_a_kill_runs_again_and_knows_it(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    await world.kill()
    world.touch("go")
    await world.start()
    assert await world.replies(1) == ["waited for go"]
    assert world.runs == ["wait go", "wait go"]


async def test_a_turn_that_is_cut_twice_is_reported_and_not_run_a_third_time(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait never")
    for runs in (1, 2):
        await world.until(lambda runs=runs: len(world.runs) == runs)
        await world.kill()
        await world.start()
    [text] = await world.replies(1)
    assert "interrupted twice" in text
    assert len(world.runs) == 2


async def test_messages_that_waited_when_it_was_killed_are_answered_in_order(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])
    world.hub.say(person, room, "wait go")
    for number in range(3):
        world.hub.say(person, room, f"say {number}")
    await world.until(lambda: world.runs and not world.hub.unacknowledged("demo"))
    await world.kill()
    world.touch("go")
    await world.start()
    assert await world.replies(4) == ["waited for go", "0", "1", "2"]


async def test_a_reply_that_the_hub_did_not_take_is_delivered_once_after_a_restart(
    world: Any,
) -> None:
    await world.start()
    world.hub.faults.add("/hub/send", status=500, times=1000)
    world.hub.owner_says("demo", "say late")
    await world.until(lambda: world.hub.requests["/hub/send"] >= 1)
    await world.kill()
    world.hub.faults.clear()
    await world.start()
    assert await world.replies(1) == ["late"]
    world.hub.owner_says("demo", "say next")
    assert await world.replies(2) == ["late", "next"]


async def test_an_answer_whose_receipt_was_lost_arrives_once(world: Any) -> None:
    await world.start()
    world.hub.faults.add("/hub/send", reset=True, after=True)
    world.hub.owner_says("demo", "say one")
    await world.until(lambda: world.hub.requests["/hub/send"] >= 2)
    world.hub.owner_says("demo", "say two")
    assert await world.replies(2) == ["one", "two"]


async def test_processes_of_a_killed_sidecar_are_ended_by_the_next_one(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "child never")
    children = world.cwd / "children"
    await world.until(lambda: children.exists() and len(children.read_text().split()) == 2)
    pids = [int(pid) for pid in children.read_text().split()]
    await world.kill()
    await world.start()
    await world.until(lambda: not any(alive(pid) for pid in pids))


async def test_what_an_agent_started_ends_with_its_turn(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "child")
    assert await world.replies(1) == ["left children"]
    pids = [int(pid) for pid in (world.cwd / "children").read_text().split()]
    await world.until(lambda: not any(alive(pid) for pid in pids))


async def test_a_damaged_journal_is_set_aside_and_said(world: Any) -> None:
    state = world.folder / "state"
    state.mkdir(mode=0o700)
    (state / "journal.db").write_bytes(os.urandom(20_000))
    await world.start()
    world.hub.owner_says("demo", "say still here")
    assert await world.replies(1) == ["still here"]
    assert list(state.glob("journal.db.damaged-*"))
    await world.until(lambda: "damaged" in world.log.read_text())


async def test_a_second_sidecar_on_one_state_folder_is_refused_clearly(world: Any) -> None:
    await world.start()
    code, text = await world.run("run", str(world.config))
    assert code == 1
    assert "another sidecar" in text.lower()
