"""What happens to messages that arrive while a turn runs, and when the sidecar is told to stop."""

from pathlib import Path
from typing import Any


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_new_message_of_the_owner_stops_the_running_turn(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "stubborn never")
    children = world.cwd / "children"
    await world.until(lambda: children.exists() and children.read_text().endswith("\n"))
    world.hub.owner_says("demo", "say newest")
    assert await world.replies(1) == ["newest"]
    assert not alive(int(children.read_text()))


async def test_a_group_is_answered_message_by_message(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])
    for number in range(5):
        world.hub.say(person, room, f"say {number}")
    assert await world.replies(5) == ["0", "1", "2", "3", "4"]


async def test_coalesced_messages_become_one_turn(world: Any) -> None:
    world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, queue: coalesce"})
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])
    world.hub.say(person, room, "wait go")
    await world.until(lambda: world.runs)
    for number in range(3):
        world.hub.say(person, room, f"say {number}")
    await world.until(lambda: not world.hub.unacknowledged("demo"))
    world.touch("go")
    assert await world.replies(2) == ["waited for go", "2"]
    assert world.runs == ["wait go", "say 2"]


async def test_a_full_queue_is_told(world: Any) -> None:
    world.write(**{"limits: {": "limits: {queue_depth: 1, "})
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])
    world.hub.say(person, room, "wait go")
    await world.until(lambda: world.runs)
    world.hub.say(person, room, "say second")
    world.hub.say(person, room, "say third")
    [text] = await world.replies(1)
    assert "Too many messages are waiting" in text
    world.touch("go")
    assert (await world.replies(3))[1:] == ["waited for go", "second"]


async def test_a_turn_over_its_limit_is_stopped_and_told(world: Any) -> None:
    world.write(**{"limits: {": "limits: {turn_timeout: 1s, "})
    await world.start()
    world.hub.owner_says("demo", "stubborn never")
    [text] = await world.replies(1)
    assert "did not finish within 1 second" in text
    children = world.cwd / "children"
    # Where the machine is slow, the second was over before the agent noted itself.
    noted = children.read_text().split() if children.exists() else []
    assert not any(alive(int(pid)) for pid in noted)


async def test_no_output_for_too_long_is_stopped_and_told(world: Any) -> None:
    world.write(**{"limits: {": "limits: {idle_timeout: 1s, "})
    await world.start()
    world.hub.owner_says("demo", "wait never")
    [text] = await world.replies(1)
    assert "no sign of life for 1 second" in text


async def test_told_to_stop_it_lets_the_running_turn_finish_and_delivers(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    world.terminate()
    await world.until(lambda: "stopping" in world.log.read_text())
    world.touch("go")
    assert await world.ended() == 0
    assert [sent.text for sent in world.hub.sent] == ["waited for go"]


async def test_a_turn_that_does_not_finish_in_time_is_cut_and_runs_at_the_next_start(
    world: Any,
) -> None:
    world.write(**{"drain_timeout: 30s": "drain_timeout: 500ms"})
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    assert await world.stop() == 0
    assert world.hub.sent == []
    world.touch("go")
    await world.start()
    assert await world.replies(1) == ["waited for go"]


async def test_a_second_signal_ends_it_at_once_with_all_that_it_started(world: Any) -> None:
    world.write(**{"drain_timeout: 30s": "drain_timeout: 1h"})
    await world.start()
    world.hub.owner_says("demo", "child never")
    children = world.cwd / "children"
    await world.until(lambda: children.exists() and len(children.read_text().split()) == 2)
    world.terminate()
    await world.until(lambda: "stopping" in world.log.read_text())
    world.terminate()
    assert await world.ended() == 0
    await world.until(lambda: not any(alive(int(pid)) for pid in children.read_text().split()))
