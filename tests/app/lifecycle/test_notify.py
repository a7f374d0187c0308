"""What systemd is told."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.lifecycle.notify import Notifier


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


async def test_the_watchdog_is_fed_twice_in_its_time(
    manager: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, receiver = manager
    notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"})
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        assert receiver.recv(100) == b"WATCHDOG=1"
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", wait)
        with pytest.raises(asyncio.CancelledError):
            await notifier.keep_alive()
    assert waits == [30.0, 30.0, 30.0]


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
