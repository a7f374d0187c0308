"""Whatever becomes of the journal's file while it is used, nothing that was accepted is lost."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.errors import JournalError
from sidecar.model import Message, Reply
from sidecar.store import keeper as keeper_module
from sidecar.store import outbox, turns, writer
from sidecar.store.journal import Journal
from sidecar.store.keeper import Keeper, UnderWay
from sidecar.store.records import PendingReply, UnfinishedTurn
from tests.patience import until
from tests.store import test_database as database
from tests.store.test_database import garbage


def file(path: Path) -> None:
    path.unlink()


def log(path: Path) -> None:
    path.with_name("journal.db-wal").unlink()


def everything(path: Path) -> None:
    for one in path.parent.glob("journal.db*"):
        one.unlink()


def folder_itself(path: Path) -> None:
    shutil.rmtree(path.parent)


def replaced(path: Path) -> None:
    """By one that is sound and empty."""
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as db:
        db.execute("create table other(x)")
    other.replace(path)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def overwritten(path: Path) -> None:
    database.overwritten(path)
    times = path.stat()  # for clocks that tick slowly: its size is as before
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))


def size(path: Path) -> int:
    return path.stat().st_size


async def copied_back(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return when the write-ahead log is copied back, so that the file counts."""
    before = size(path)
    monkeypatch.setattr(writer, "_CHECKPOINT", 0)
    await journal.forget_account("none", "none")
    await until(lambda: size(path) != before)
    monkeypatch.undo()
    await journal.forget_account("none", "none")  # which comes after all that the copying does


def brought_back(folder: Path, to: Path) -> None:
    """Move the one journal that was set aside."""
    [aside] = (one for one in folder.glob("*.damaged-*") if not one.name.endswith(("-wal", "-shm")))
    aside.rename(to)


async def texts(folder: Path) -> list[str]:
    """The messages without an outcome that a restart finds."""
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    try:
        return [one.messages[0].text for one in await journal.unfinished()]
    finally:
        await journal.close()


@pytest.mark.parametrize(
    "lose", [file, log, everything, folder_itself, replaced, garbage, overwritten, emptied]
)
async def test_what_was_accepted_outlives_its_file(
    folder: Path,
    lose: Callable[[Path], None],
    message: Callable[..., Message],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = folder / "journal.db"
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first"), message("b", "second")], now=1.0)
    await copied_back(journal, path, monkeypatch)
    lose(path)
    await journal.accept([message("c", "third")], now=2.0)
    lose(path)  # which is noticed at the end
    await journal.close()
    assert "was written again" in caplog.text
    assert await texts(folder) == ["first", "second", "third"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("lose", [file, everything, folder_itself, garbage, emptied])
async def test_what_is_lost_again_as_soon_as_it_is_written_is_not_lost(
    folder: Path,
    lose: Callable[[Path], None],
    message: Callable[..., Message],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = folder / "journal.db"
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first")], now=1.0)
    losses = [lose, lose]
    real = keeper_module.open_database

    def late(path: Path, *, now: float) -> tuple[sqlite3.Connection, Path | None]:
        if losses:
            losses.pop()(path)
        return real(path, now=now)

    monkeypatch.setattr(keeper_module, "open_database", late)
    file(path)
    await journal.accept([message("b", "second")], now=2.0)
    assert not losses
    await journal.close()
    assert await texts(folder) == ["first", "second"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_journal_that_somebody_puts_in_its_place_meanwhile_is_set_aside(
    folder: Path, message: Callable[..., Message], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, other = folder / "journal.db", tmp_path / "other"
    backup = await Journal.open(other, session_ttl=1000.0, now=0.0)
    await backup.accept([message(name, "old") for name in "xyz"], now=1.0)
    await backup.close()
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first")], now=1.0)
    real = Path.replace

    def late(copy: Path, target: Path) -> Path:
        monkeypatch.undo()
        real(copy, target)
        return real(other / "journal.db", target)

    monkeypatch.setattr(Path, "replace", late)
    file(path)
    await journal.accept([message("b", "second")], now=2.0)
    await journal.close()
    assert await texts(folder) == ["first", "second"]
    await asyncio.to_thread(brought_back, folder, other / "journal.db")
    assert await texts(other) == ["old"] * 3


async def test_what_is_lost_again_and_again_is_there_as_soon_as_it_can_be(
    folder: Path, message: Callable[..., Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "journal.db"
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first")], now=1.0)
    real = Path.replace

    def late(copy: Path, target: Path) -> Path:
        copy.unlink()
        return real(copy, target)

    monkeypatch.setattr(Path, "replace", late)
    file(path)
    with pytest.raises(JournalError, match="cannot be renewed"):
        await journal.accept([message("b", "second")], now=2.0)
    monkeypatch.undo()
    await journal.accept([message("b", "second")], now=2.0)
    await journal.close()
    assert await texts(folder) == ["first", "second"]


async def test_a_tool_may_write_to_it(
    folder: Path, message: Callable[..., Message], caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "journal.db"
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first")], now=1.0)
    with closing(sqlite3.connect(path)) as db:
        db.execute("update turn set accepted_at = 5")
        db.commit()
        db.execute("pragma wal_checkpoint(passive)").fetchall()
    await journal.accept([message("b", "second")], now=1.0)
    await journal.close()
    assert await texts(folder) == ["first", "second"]
    assert caplog.text == ""


@pytest.mark.parametrize("lose", [file, log, everything, replaced])
async def test_what_takes_the_place_of_the_file_as_it_is_copied_back_to_is_not_taken_for_it(
    folder: Path, lose: Callable[[Path], None]
) -> None:
    path = folder / "journal.db"
    keeper = Keeper(path, lambda: None)

    def work() -> None:
        connection, _ = keeper.open(1.0)
        with closing(connection):
            assert keeper.is_fine()
            lose(path)
            keeper.note_written()
            assert not keeper.is_fine()

    await asyncio.to_thread(work)


async def test_of_what_nobody_can_read_any_more_those_who_work_tell_what_they_know(
    folder: Path, message: Callable[..., Message], reply: Callable[..., Reply]
) -> None:
    path, renewals = folder / "journal.db", []
    waits = UnfinishedTurn("aaaaaaaaaa", 0, False, (message("a"), message("b")))
    runs = UnfinishedTurn("bbbbbbbbbb", 0, True, (message("c"),))
    pending = PendingReply(7, "cccccccccc", reply(), 2, 3.0)

    def work() -> None:
        connection, _ = keeper.open(1.0)
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        garbage(path)
        connection.execute("pragma shrink_memory")
        assert not keeper.is_fine()
        with closing(keeper.renew(connection)) as renewed:
            assert turns.unfinished(renewed) == [waits, runs]
            assert outbox.pending(renewed) == [pending]
            assert keeper.is_fine()
        assert list(folder.glob("*.damaged-*"))

    keeper = Keeper(path, lambda: renewals.append(path))
    keeper.under_way = lambda: UnderWay([waits, runs], [pending])
    await asyncio.to_thread(work)
    assert renewals == [path]


async def test_what_a_sidecar_was_about_to_put_back_when_it_was_killed_is_found(
    folder: Path, message: Callable[..., Message]
) -> None:
    path = folder / "journal.db"
    journal = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    await journal.accept([message("a", "first")], now=1.0)
    await journal.close()
    await asyncio.to_thread(path.rename, folder / "journal.db.restored")
    assert await texts(folder) == ["first"]
