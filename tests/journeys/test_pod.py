"""As in a pod: process 1 of its own namespace, nothing writable but its state, a ConfigMap."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientSession, UnixConnector

from tests.app.watching.test_watch import ConfigMap
from tests.held_port import held_port

INSIDE = """
set -e
mount --bind "$1" "$1"
mount --bind "$1/mount" "$1/mount"
mount -o remount,bind,ro "$1/mount"
mount -o remount,bind,ro /
if touch "$1/mount/x" "$1/../x" 2> "$1/denied"; then exit 9; fi
shift
exec "$@"
"""
"""Makes all but the folder read-only, and the mounted config too, then becomes the sidecar."""
UNSHARE = ["unshare", "-rpmf", "--mount-proc", "--kill-child", "sh", "-c", INSIDE, "inside"]
NOBODY = 54321


def may_unshare() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    probe = [*UNSHARE[:4], "sh", "-c", "mount -o remount,bind,ro /"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def family(pid: int) -> list[int]:
    """The children of a process."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def make_checkout(folder: Path) -> None:
    """A repo that belongs to somebody else, where that can be arranged."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(folder)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    folder.chmod(0o777)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(folder)], check=True)


def content(world: Any, port: int) -> str:
    """A config with the branch in each prompt, for which git is given its time, and the port of the
    Hub."""
    turn = '"{{ repo.branch if repo }}\\n{{ message.text }}"'
    text = world.text.replace(f"cwd: {world.cwd}", f"cwd: {world.cwd}, user_turn: {turn}")
    hub = f"type: botcord\n    hub_url: http://127.0.0.1:{port}\n"
    return f"context: {{timeout: 60s}}\n{text}".replace("type: botcord\n", hub)


async def start_pod(world: Any, config: Path) -> int:
    """The sidecar as process 1 of a new namespace; its number out here."""
    with world.log.open("ab") as log:
        world.process = await asyncio.create_subprocess_exec(
            *UNSHARE, str(world.folder), sys.executable, "-m", "sidecar", "run", str(config),
            stdout=log, stderr=log,
            env={**os.environ, "PYTHONWARNINGS": "error", "HOME": str(world.folder)},
        )  # fmt: skip
    await world.until(lambda: (world.folder / "s.sock").exists() and family(world.process.pid))
    return family(world.process.pid)[0]


async def probed(world: Any, path: str) -> None:
    """Return when a probe of the kubelet succeeds."""

    async def succeeds() -> bool:
        connector = UnixConnector(str(world.folder / "s.sock"))
        async with ClientSession(connector=connector) as http:
            try:
                async with http.get(f"http://x{path}") as answer:
                    return answer.status == 200
            except ClientConnectorError:
                return False

    await world.until(succeeds)


async def test_it_is_process_1_with_read_only_root_and_config_and_a_repo_of_somebody_else(
    world: Any, tmp_path: Path
) -> None:
    if not await asyncio.to_thread(may_unshare):
        pytest.skip("namespaces cannot be made here")
    await asyncio.to_thread(make_checkout, world.cwd)
    mount = tmp_path / "mount"
    mount.mkdir()
    # It is alive before its Hub is: what waits for it in the start order of the pod does not hang.
    await world.hub.stop()
    with held_port() as port:
        text = content(world, port)
        mounted = await asyncio.to_thread(ConfigMap, mount, text)
        pid = await start_pod(world, mount / "config.yaml")
        await probed(world, "/livez")
        await world.hub.start(port=port)
    await world.until(lambda: world.hub.connects("demo"))
    await probed(world, "/readyz")
    status = await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)
    assert "\nNSpid:" in status
    assert status.partition("\nNSpid:")[2].split("\n")[0].split()[-1] == "1"

    # What a turn leaves behind becomes a child of process 1: it is ended and taken away.
    world.hub.owner_says("demo", "child")
    await world.replies(1)
    await world.until(lambda: family(pid) == [])
    world.hub.owner_says("demo", "prompt")
    assert "trunk" in (await world.replies(2))[1]

    await asyncio.to_thread(mounted.swap, text.replace("level: debug", "level: info"))
    await world.until(lambda: "config applied (file): ~ log.level" in world.log.read_text())

    # The grace of the pod is over before the turn is: all that is in the container is killed, and
    # the container that comes next takes the turn up again.
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: "wait go" in world.runs and family(pid))
    [agent] = family(pid)
    os.kill(pid, signal.SIGTERM)
    await world.until(lambda: "stopping: 1 turn(s) run" in world.log.read_text())
    os.kill(pid, signal.SIGKILL)
    await world.ended()
    await world.until(lambda: not Path(f"/proc/{agent}").exists())
    (world.folder / "s.sock").unlink(missing_ok=True)
    pid = await start_pod(world, mount / "config.yaml")
    world.touch("go")
    assert (await world.replies(3))[2] == "waited for go"
    os.kill(pid, signal.SIGTERM)
    assert await world.ended() == 0
    assert "Traceback" not in world.log.read_text()
