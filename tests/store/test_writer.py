"""Group commit: what is shared, what is not, and what happens when it fails."""

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.errors import JournalError, OutcomeFinal
from sidecar.store.writer import Writer
from tests.patience import PATIENCE, until

TABLES = """
    pragma journal_mode = wal;
    pragma foreign_keys = on;
    create table note(text text unique);
    create table page(number integer primary key);
    create table line(page integer references page(number) deferrable initially deferred);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.executescript(TABLES)
    made = Writer(connection, Nowhere())
    yield made
    await made.close()


class Nowhere:
    """A place where nothing happens."""

    def is_fine(self) -> bool:
        return True

    def note_damage(self) -> None: ...

    def note_written(self) -> None: ...

    def renew(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        return connection


class Held:
    """Keeps the writer busy, so that what is submitted meanwhile waits together."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._go = threading.Event()

    async def __aenter__(self) -> None:
        loop, busy = asyncio.get_running_loop(), asyncio.Event()

        def hold(_: sqlite3.Connection) -> bool:
            loop.call_soon_threadsafe(busy.set)
            return self._go.wait(PATIENCE)

        self._held = self._writer.submit(hold)
        await busy.wait()

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        assert await self._held


def note(text: str, number: int = 0) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("insert into note values(?)", (text,))
        return number

    return work


def size_of(path: Path) -> int:
    return path.stat().st_size


def notes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [text for (text,) in connection.execute("select text from note order by rowid")]


async def test_callers_that_wait_together_share_one_commit(writer: Writer, path: Path) -> None:
    statements: list[str] = []
    await writer.submit(lambda connection: connection.set_trace_callback(statements.append))
    async with Held(writer):
        waiting = [writer.submit(note(f"n{number}", number)) for number in range(50)]
    assert await asyncio.gather(*waiting) == list(range(50))
    commits = [text for text in statements if text.lower() == "commit"]
    assert len(commits) == 3  # of the tracing, of the one that held, of all the others
    assert notes(path) == [f"n{number}" for number in range(50)]


async def test_a_caller_alone_pays_for_no_savepoint(writer: Writer) -> None:
    statements: list[str] = []
    await writer.submit(lambda connection: connection.set_trace_callback(statements.append))
    await writer.submit(note("alone"))
    assert not any("savepoint" in text.lower() for text in statements)


async def test_an_answer_comes_after_the_commit(writer: Writer, path: Path) -> None:
    for number in range(20):
        await writer.submit(note(f"n{number}"))
        assert len(notes(path)) == number + 1


async def test_a_failure_of_one_caller_is_its_own(writer: Writer, path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("insert into note values('half')")
        connection.execute("insert into note values('first')")

    async with Held(writer):
        waiting = [writer.submit(work) for work in (note("first"), half, note("last"))]
    first, failed, last = await asyncio.gather(*waiting, return_exceptions=True)
    assert (first, last) == (0, 0)
    assert isinstance(failed, JournalError)
    assert isinstance(failed.__cause__, sqlite3.IntegrityError)
    assert notes(path) == ["first", "last"]


async def test_a_caller_alone_that_fails_leaves_nothing(writer: Writer, path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("insert into note values('half')")
        raise LookupError("a defect")

    with pytest.raises(LookupError, match="a defect"):
        await writer.submit(half)
    await writer.submit(note("next"))
    assert notes(path) == ["next"]


async def test_a_step_that_makes_no_sense_any_more_is_no_failure_of_the_journal(
    writer: Writer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        connection.execute("insert into note values('half')")
        raise OutcomeFinal("the turn was answered")

    before = metrics.value("journal_errors_total")
    with pytest.raises(OutcomeFinal, match="the turn was answered"):
        await writer.submit(refuse)
    async with Held(writer):
        writer.submit(refuse).cancel()
    await writer.submit(note("next"))
    assert notes(path) == ["next"]
    assert metrics.value("journal_errors_total") == before
    assert "failed" not in caplog.text


async def test_a_commit_that_fails_fails_all_its_callers_and_no_other(
    writer: Writer, path: Path
) -> None:
    def orphan(connection: sqlite3.Connection) -> None:
        connection.execute("insert into line values(7)")  # its page is missed by the commit only

    before = metrics.value("journal_errors_total")
    async with Held(writer):
        waiting = [writer.submit(work) for work in (note("with it"), orphan)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [JournalError, JournalError]
    assert metrics.value("journal_errors_total") == before + 2
    await writer.submit(note("next"))
    assert notes(path) == ["next"]


async def test_when_sqlite_undoes_the_transaction_nobody_is_told_that_it_is_done(
    writer: Writer, path: Path
) -> None:
    await writer.submit(note("twice"))

    def undo(connection: sqlite3.Connection) -> None:
        connection.execute("insert or rollback into note values('twice')")

    async with Held(writer):
        waiting = [writer.submit(work) for work in (note("before"), undo, note("after"))]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [JournalError] * 3
    assert all("UNIQUE constraint failed" in str(answer) for answer in answers)
    with pytest.raises(JournalError):
        await writer.submit(undo)
    await writer.submit(note("next"))
    assert notes(path) == ["twice", "next"]


async def test_a_full_disk_is_an_error_until_there_is_room_again(
    writer: Writer, path: Path
) -> None:
    pages = "pragma max_page_count = {}".format
    (size,) = await writer.submit(lambda db: db.execute("pragma page_count").fetchone())
    await writer.submit(lambda db: db.execute(pages(size)).fetchone())
    with pytest.raises(JournalError, match="full"):
        await writer.submit(note("x" * 100_000))
    await writer.submit(lambda db: db.execute(pages(size + 100)).fetchone())
    await writer.submit(note("fits"))
    assert notes(path) == ["fits"]


async def test_a_cancelled_caller_does_not_undo_its_work(writer: Writer, path: Path) -> None:
    async with Held(writer):
        gone = writer.submit(note("gone"))
        gone.cancel()
    await writer.submit(note("next"))
    assert notes(path) == ["gone", "next"]


async def test_a_failure_that_nobody_waits_for_is_logged(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    await writer.submit(note("twice"))
    async with Held(writer):
        writer.submit(note("twice")).cancel()
    await writer.submit(lambda _: None)
    assert "a caller that is gone" in caplog.text


async def test_close_waits_for_what_is_queued(writer: Writer, path: Path) -> None:
    waiting = [writer.submit(note(f"n{number}")) for number in range(10)]
    await writer.close()
    assert all(answer.done() for answer in waiting)
    assert len(notes(path)) == 10
    with pytest.raises(JournalError, match="closed"):
        await writer.submit(note("late"))
    await writer.close()


async def test_the_write_ahead_log_is_copied_back_when_nobody_writes(
    writer: Writer, path: Path
) -> None:
    await writer.submit(lambda db: db.execute("pragma wal_autocheckpoint = 0").fetchone())
    size = size_of(path)
    for number in range(300):
        await writer.submit(note(f"{number} " + "x" * 300))
    await until(lambda: size_of(path) >= size + 50_000)


async def test_the_write_ahead_log_is_bounded_although_somebody_always_writes(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.store.writer._LATEST_CHECKPOINT", 300)
    # Without SQLite's own limit, only the writer copies.
    await writer.submit(lambda db: db.execute("pragma wal_autocheckpoint = 0").fetchone())
    size = size_of(path)
    numbers = itertools.count()
    async with asyncio.timeout(PATIENCE):
        while size_of(path) < size + 50_000:
            await writer.submit(note(f"{next(numbers)} " + "x" * 300))
    assert next(numbers) > 200


def test_a_loop_that_ends_without_closing_does_not_hang_the_process(path: Path) -> None:
    script = f"""
import asyncio, sqlite3, threading
from sidecar.store.writer import Writer
from tests.store.test_writer import Nowhere

ended = threading.Event()

async def main():
    database = sqlite3.connect({str(path)!r}, isolation_level=None, check_same_thread=False)
    writer = Writer(database, Nowhere())
    writer.submit(lambda _: ended.wait({PATIENCE}))
    writer.submit(lambda _: None)

asyncio.run(main())
ended.set()
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=PATIENCE, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
