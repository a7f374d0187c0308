"""A start with a config that is broken."""

import asyncio
import sys
from typing import Any

from sidecar.app.check import check
from sidecar.app.last_good import keep


async def test_a_start_with_a_broken_file_falls_back_and_answers(world: Any) -> None:
    state = world.folder / "state"
    state.mkdir(mode=0o700)
    good = await asyncio.to_thread(check, world.config)
    await asyncio.to_thread(keep, state, world.config, good.config)
    world.write(**{"runtime: agent,": "runtime: agnt,"})
    with world.log.open("ab") as log:
        world.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidecar", "run", "--fallback-last-good", str(world.config),
            stdout=log, stderr=log,
        )  # fmt: skip
    world.hub.owner_says("demo", "say it works")
    assert await world.replies(1) == ["it works"]
    told = world.log.read_text()
    assert "there is no runtime 'agnt'" in told
    assert "is invalid: this is a start with the last good config" in told
    world.write(**{"level: debug": "level: info"})
    await world.until(lambda: "config applied (file)" in world.log.read_text())
    assert await world.stop() == 0
