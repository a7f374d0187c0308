"""A file that is restored after another reload has read it: what runs is not what it holds."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.watching import watch
from sidecar.app.watching.digests import Digests, Look, digests
from sidecar.app.watching.watch import changes
from sidecar.config.reloading import Reloading


class Receiver:
    """Reads the file when a test says so, as a reload does that something else has asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._save("A")
        self._read()

    async def save(self, text: str) -> None:
        await asyncio.to_thread(self._save, text)

    async def read(self) -> None:
        await asyncio.to_thread(self._read)

    def _save(self, text: str) -> None:
        self.path.write_text(text)

    def _read(self) -> None:
        self.works_with = self.path.read_text()
        self.taken: Digests = digests([self.path])


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path / "config.yaml")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Awaitable[None]]]:
    """What happens each time that the watch waits for an event; that it waits once more fails."""
    todo: list[Callable[[], Awaitable[None]]] = []

    async def wait(self: object, inputs: object, poll: float) -> None:
        assert todo, "the watch waits, though what runs is not what the file holds"
        await todo.pop(0)()

    monkeypatch.setattr(watch.Bell, "wait", wait)
    return todo


def timing() -> Reloading:
    return Reloading(0.001, 60.0)


async def test_a_save_that_was_read_by_hand_and_is_undone_before_it_settles_is_told(
    receiver: Receiver,
    meanwhile: list[Callable[[], Awaitable[None]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settled = watch._settled

    async def unsettled(*args: Any) -> Look:
        await receiver.read()
        await receiver.save("A")
        return await settled(*args)

    monkeypatch.setattr(watch, "_settled", unsettled)
    meanwhile.append(lambda: receiver.save("B"))
    told = changes(lambda: receiver.taken, timing=timing)
    await anext(told)
    assert receiver.works_with == "B"
    await receiver.read()
    assert receiver.works_with == "A"
    await told.aclose()


async def test_a_save_that_is_undone_while_its_reload_goes_on_is_told(
    receiver: Receiver, meanwhile: list[Callable[[], Awaitable[None]]]
) -> None:
    meanwhile.append(lambda: receiver.save("S"))
    told = changes(lambda: receiver.taken, timing=timing)
    await anext(told)
    await receiver.save("X")
    await receiver.read()
    await receiver.save("S")
    await anext(told)
    assert receiver.works_with == "X"
    await told.aclose()


async def test_what_the_receiver_has_read_of_a_later_save_is_not_told_again(
    receiver: Receiver, meanwhile: list[Callable[[], Awaitable[None]]]
) -> None:
    meanwhile.append(lambda: receiver.save("S"))
    told = changes(lambda: receiver.taken, timing=timing)
    await anext(told)
    await receiver.save("X")
    await receiver.read()
    meanwhile.append(lambda: receiver.save("Y"))
    await anext(told)
    assert not meanwhile
    await told.aclose()
