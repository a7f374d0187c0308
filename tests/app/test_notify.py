"""What systemd is told."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.setblocking(False)
        yield path, receiver


async def test_states_are_told_in_one_datagram(manager: tuple[str, socket.socket]) -> None:
    path, receiver = manager
    Notifier({"NOTIFY_SOCKET": path}).tell("READY=1", "STATUS=fine")
    received = await asyncio.get_running_loop().sock_recv(receiver, 100)
    assert received == b"READY=1\nSTATUS=fine"


async def test_the_watchdog_is_fed_twice_in_its_time(manager: tuple[str, socket.socket]) -> None:
    path, receiver = manager
    loop = asyncio.get_running_loop()
    notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(notifier.keep_alive())
        for _ in range(3):
            assert await loop.sock_recv(receiver, 100) == b"WATCHDOG=1"
        task.cancel()


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1"}])
async def test_a_watchdog_of_nobody_or_of_another_process_is_not_fed(env: dict[str, str]) -> None:
    await Notifier({**env, "WATCHDOG_PID": str(os.getpid() + 1)}).keep_alive()


def test_a_socket_that_is_gone_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    before = metrics.value("notify_failures_total")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")
    assert metrics.value("notify_failures_total") == before + 1


@pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux has abstract sockets")
async def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(b"")  # the system chooses a free abstract name
        receiver.setblocking(False)
        name = receiver.getsockname()[1:].decode()
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1")
        assert await asyncio.get_running_loop().sock_recv(receiver, 100) == b"READY=1"
