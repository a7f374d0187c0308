"""Writes of the sidecar's own into files that it watches."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from sidecar.app.watching.own_writes import KEPT, OwnWrites, digest
from sidecar.app.watching.watch import changes
from sidecar.config.reading.managed import FILE
from sidecar.config.reloading import Reloading
from sidecar.core.managed import Managed
from sidecar.store.managed import ManagedFiles
from tests.patience import PATIENCE


def test_an_own_write_leads_from_what_was_known_to_what_is_there() -> None:
    own = OwnWrites()
    own.note(b"old", b"new")
    own.note(b"new", b"newer")
    assert own.lead(digest(b"old"), digest(b"new"))
    assert own.lead(digest(b"old"), digest(b"newer"))


def test_what_somebody_else_wrote_before_an_own_write_is_not_missed() -> None:
    own = OwnWrites()
    own.note(b"edited", b"edited, with a token")
    assert not own.lead(digest(b"old"), digest(b"edited, with a token"))


def test_a_file_that_went_or_came_is_no_own_write() -> None:
    own = OwnWrites()
    own.note(b"old", b"new")
    assert not own.lead(digest(b"old"), None)
    assert not own.lead(None, digest(b"new"))
    assert own.lead(None, None)


def test_a_file_that_the_sidecar_made_is_an_own_write() -> None:
    own = OwnWrites()
    own.note(None, b"new")
    own.note(b"new", b"newer")
    assert own.lead(None, digest(b"newer"))
    assert not own.lead(digest(b""), digest(b"newer"))
    assert not own.lead(digest(b"old"), None)


def test_the_first_agents_of_a_control_plane_are_an_own_write(tmp_path: Path) -> None:
    own = OwnWrites()
    ManagedFiles(tmp_path, own.note).write(Managed())
    assert own.lead(None, digest((tmp_path / FILE).read_bytes()))


def test_writing_back_and_forth_ends_the_search() -> None:
    own = OwnWrites()
    own.note(b"a", b"b")
    own.note(b"b", b"a")
    assert not own.lead(digest(b"c"), digest(b"a"))


def test_the_memory_of_writes_is_bounded() -> None:
    own = OwnWrites()
    for number in range(10 * KEPT):
        own.note(b"%d" % number, b"%d" % (number + 1))
    assert not own.lead(digest(b"0"), digest(b"1"))
    assert own.lead(digest(b"%d" % (10 * KEPT - 1)), digest(b"%d" % (10 * KEPT)))


async def test_an_own_write_is_no_change_and_an_edit_after_it_is_one(tmp_path: Path) -> None:
    file, own = tmp_path / "credentials.json", OwnWrites()
    file.write_bytes(b"as the person wrote it")
    looked, found = asyncio.Event(), asyncio.Event()
    looks = 0

    taken = {file: digest(file.read_bytes())}

    def inputs() -> dict[Path, bytes]:
        nonlocal looks
        looks += 1
        looked.set()
        return taken

    async def watch() -> None:
        async with aclosing(changes(inputs, timing=lambda: Reloading(poll=0.2), own=own)) as told:
            async for _ in told:
                found.set()

    async def look(more: int) -> None:
        wanted = looks + more
        while looks < wanted:
            looked.clear()
            await looked.wait()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(watch())
        await look(3)
        own.note(b"as the person wrote it", b"with a token")
        file.write_bytes(b"with a token")
        await look(4)
        assert not found.is_set()
        file.write_bytes(b"as the person edited it")
        await found.wait()
        task.cancel()
