"""Stopping a sidecar, and reading what it logged."""

import asyncio
import sys
from typing import Any

from sidecar.store.lock import holder
from tests.patience import PATIENCE


async def test_stop_lets_the_running_turn_finish_and_returns_when_all_has_ended(
    world: Any,
) -> None:
    await world.start()
    assert holder(world.folder / "state") == world.process.pid
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(world.run("stop", str(world.config)))
        await world.until(lambda: "stopping" in world.log.read_text())
        world.touch("go")
        assert await world.replies(1) == ["waited for go"]
    assert stopping.result() == (0, "")
    assert await world.ended() == 0
    assert holder(world.folder / "state") is None
    code, output = await world.run("stop", str(world.config))
    assert (code, "none runs" in output) == (1, True)


async def test_stop_now_cuts_the_running_turn(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait for ever")
    await world.until(lambda: world.runs)
    assert await world.run("stop", "--now", str(world.config)) == (0, "")
    assert await world.ended() == 0
    assert "told to stop at once" in world.log.read_text()


async def test_logs_shows_the_file_follows_it_and_picks_one_turn(world: Any) -> None:
    file = world.folder / "sidecar.log"
    world.write(**{"log: {": f"log: {{file: {file}, "})
    code, output = await world.run("logs", str(world.config))
    assert (code, "does not exist yet" in output) == (1, True)
    await world.start()
    following = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "logs", "-f", str(world.config),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert following.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while b"connected as" not in await following.stdout.readline():
                pass
            world.hub.owner_says("demo", "say hello")
            while b"turn answered" not in (line := await following.stdout.readline()):
                pass
    finally:
        following.terminate()
        await following.wait()
    turn = line.decode().split('"turn": "')[1].split('"')[0]
    code, output = await world.run("logs", "--turn", turn[:6], str(world.config))
    assert code == 0
    assert "turn answered" in output
    assert "connected as" not in output


async def test_without_a_file_logs_says_where_to_look(world: Any) -> None:
    code, output = await world.run("logs", str(world.config))
    assert (code, "journalctl" in output) == (1, True)
