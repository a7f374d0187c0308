"""Under a service manager."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE


async def test_systemd_is_told_when_it_is_ready_alive_and_stopping(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, path = asyncio.get_running_loop(), str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        # So seldom that the queue, of ten, has room for the last word, slow as this process may be.
        monkeypatch.setenv("WATCHDOG_USEC", "800000")
        await world.start()
        told: list[bytes] = []
        async with asyncio.timeout(PATIENCE):
            while told.count(b"WATCHDOG=1") < 2 or b"READY=1" not in told:
                told.append(await loop.sock_recv(manager, 100))
            world.terminate()
            while told[-1] != b"STOPPING=1":
                told.append(await loop.sock_recv(manager, 100))
        assert await world.ended() == 0
    assert set(told) == {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}
