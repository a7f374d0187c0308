"""What was rejected is tried again when somebody touches a file, and for no other reason."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.watching import watch
from sidecar.app.watching.digests import Digests, Look, digests
from sidecar.app.watching.own_writes import OwnWrites
from sidecar.app.watching.watch import changes
from sidecar.config.reloading import Reloading


class Rejecting:
    """Can use nothing of what files hold. `todo` happens one after the other, each time that the
    watch waits for an event."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"
        self.credentials = folder / "demo.json"
        self.template = folder / "x.j2"
        for file in (self.config, self.credentials, self.template):
            file.write_text("as at the start")
        self.todo: list[Callable[[], object]] = []
        self._files = [self.config, self.credentials]
        self._taken: Digests = digests(self._files)
        self._own, self._rejected = OwnWrites(), False
        self._told = changes(
            lambda: self._taken,
            timing=lambda: Reloading(0.001, 60.0),
            own=self._own,
            retries=lambda: self._rejected,
        )
        self._saves = 0

    def save(self) -> None:
        self._saves += 1
        self.config.write_text(f"mistake {self._saves}")

    def touch(self) -> None:
        os.utime(self.config, (1, 1))

    def store_token(self) -> None:
        """Write the credentials as a channel does that has a new token."""
        before = self.credentials.read_bytes()
        after = before + b", token"
        self._own.note(before, after)
        self.credentials.write_bytes(after)
        os.utime(self.credentials, (len(after), len(after)))  # whatever the clock tells

    async def happens(self) -> None:
        """The next thing to do; it is a mistake to wait when there is none."""
        assert self.todo, "the watch waits, though there is something to try"
        await asyncio.to_thread(self.todo.pop(0))

    async def rejects(self, *todo: Callable[[], object], names: Path | None = None) -> None:
        """What is to do leads to one try, at its end, in which the config names another file."""
        self.todo += todo
        await anext(self._told)
        assert self.todo == [], "it was tried without a reason"
        self._rejected = True
        self._files += [names] if names else []
        self._taken = await asyncio.to_thread(digests, self._files)

    async def close(self) -> None:
        await self._told.aclose()


@pytest.fixture
async def rejecting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rejecting]:
    rejecting = await asyncio.to_thread(Rejecting, tmp_path)
    monkeypatch.setattr(watch.Bell, "wait", lambda *_: rejecting.happens())
    await rejecting.rejects(rejecting.save)
    yield rejecting
    await rejecting.close()


async def test_tokens_that_the_sidecar_stores_are_no_reason(rejecting: Rejecting) -> None:
    store = rejecting.store_token
    await rejecting.rejects(store, store, rejecting.touch)


async def test_a_token_that_is_stored_while_a_save_comes_to_rest_is_no_reason(
    rejecting: Rejecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = watch._settled

    async def meanwhile(*args: Any) -> Look:
        await asyncio.to_thread(rejecting.store_token)
        return await settled(*args)

    monkeypatch.setattr(watch, "_settled", meanwhile)
    await rejecting.rejects(rejecting.save)
    await rejecting.rejects(rejecting.touch)


async def test_a_file_that_joins_is_no_reason(rejecting: Rejecting) -> None:
    await rejecting.rejects(rejecting.save, names=rejecting.template)
    await rejecting.rejects(rejecting.touch)


async def test_a_touch_during_the_try_is_one(rejecting: Rejecting) -> None:
    await asyncio.to_thread(rejecting.touch)
    await rejecting.rejects()
