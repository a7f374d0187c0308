"""A mounted ConfigMap changes many times in a row, by the kubelet's own moves."""

import asyncio
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.app.watching.test_watch import ConfigMap

SWAPS = 20
WAITED_FOR = {"inotify": 20, "poll": 5}
"""Swaps that have to be in force before the next one. Without events, each of them takes the second
after which the files are looked at; of those that follow, the last one counts."""
NO_INOTIFY = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
"""In a user namespace, which has limits of its own."""
WITHOUT = ("unshare", "-r", "sh", "-c", NO_INOTIFY, "sh")


async def start(world: Any, mode: str) -> None:
    """Start the sidecar; where the system refuses to tell events, if that is wanted."""
    if mode == "inotify":
        await world.start()
        return
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("there are no user namespaces")
    probe = [*WITHOUT, "true"]
    if (await asyncio.to_thread(subprocess.run, probe, capture_output=True)).returncode:
        pytest.skip("no user namespace may be made")
    with world.log.open("ab") as log:
        world.process = await asyncio.create_subprocess_exec(
            *WITHOUT, sys.executable, "-m", "sidecar", "run", str(world.config),
            stdout=log, stderr=log, env=os.environ,
        )  # fmt: skip
    await world.until(lambda: world.hub.connected("demo"))


@pytest.mark.parametrize("mode", WAITED_FOR)
async def test_twenty_swaps_take_effect_and_each_message_is_answered(world: Any, mode: str) -> None:
    def content(number: int) -> str:
        cwd = f"cwd: {world.cwd}"
        text = str(world.text).replace(f"{cwd}}}", f"{cwd}, user_turn: 'say {number}'}}")
        assert text != world.text
        return f"{text}reload: {{debounce: 20ms, poll: {'1s' if mode == 'poll' else '30d'}}}\n"

    def applied() -> int:
        return int(world.log.read_text().count("config applied (file)"))

    (mount := world.folder / "mount").mkdir()
    mounted = ConfigMap(mount, content(0))
    world.config = mount / "config.yaml"
    await start(world, mode)
    for number in range(1, WAITED_FOR[mode] + 1):
        mounted.swap(content(number))
        await world.until(lambda number=number: applied() == number)
        world.hub.owner_says("demo", "which one?")
        assert (await world.replies(number))[-1] == f"{number}"
    for number in range(WAITED_FOR[mode] + 1, SWAPS + 1):
        mounted.swap(content(number))
        await asyncio.sleep(0.02)
    while world.hub.sent[-1].text != f"{SWAPS}":
        before = applied()
        world.hub.owner_says("demo", "which one?")
        if (await world.replies(len(world.hub.sent) + 1))[-1] != f"{SWAPS}":
            await world.until(lambda before=before: applied() > before)
    picture = await world.status()
    assert picture["watcher"]["mode"] == mode
    assert {one["result"] for one in picture["reloads"]} <= {"applied", "unchanged"}
    assert picture["generation"] > WAITED_FOR[mode]
    assert world.hub.connects("demo") == 1
    assert await world.stop() == 0
