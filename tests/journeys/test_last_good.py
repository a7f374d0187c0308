"""A start with a config that is broken."""

import asyncio
import json
import os
from typing import Any

from sidecar.app.checking.check import check
from sidecar.app.reloading.last_good import keep
from tests import starting


async def test_a_start_with_a_broken_file_falls_back_and_answers(world: Any) -> None:
    state = world.folder / "state"
    state.mkdir(mode=0o700)
    world.text = world.text.replace("type: botcord\n", "type: botcord\n    notices: true\n")
    world.write()
    good = await asyncio.to_thread(check, world.config)
    await asyncio.to_thread(keep, state, world.config, good.config, good.inputs)
    credentials = world.folder / "demo.json"
    world.write(**{"runtime: agent,": "runtime: agnt,", str(credentials): "elsewhere.json"})
    with world.log.open("ab") as log:
        command = ("-m", "sidecar", "run", "--fallback-last-good", str(world.config))
        world.process = await starting.start(*command, output=log, env=os.environ)
    world.hub.owner_says("demo", "say it works")
    assert await world.replies(1) == ["it works"]
    await world.until(lambda: "there is no runtime 'agnt'" in world.log.read_text())
    told = world.log.read_text()
    assert "is invalid: this is a start with the last good config" in told
    assert all(json.loads(line) for line in told[: told.rindex("\n")].splitlines())
    await world.until(lambda: world.hub.notices)
    assert world.hub.notices[0].startswith("⚠️ Config rejected, the last good one is in force:\n")
    assert "there is no runtime 'agnt'" in world.hub.notices[0]
    # What the broken file does not name any more is used as long as it is in force.
    new = credentials.with_name("new.json")
    new.touch(mode=0o600)
    new.write_text(json.dumps(world.hub.add_agent("demo")))
    new.replace(credentials)
    await world.until(lambda: "~ channels.demo.credentials" in world.log.read_text())
    world.write(**{"level: debug": "level: info"})
    await world.until(lambda: "config applied (file)" in world.log.read_text())
    assert await world.stop() == 0
