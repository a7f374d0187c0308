"""The file of the journal: private, migrated, and never deleted when it is damaged."""

import logging
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import JournalError
from sidecar.model import Message
from sidecar.store import migrations
from sidecar.store.database import open_database
from sidecar.store.journal import Journal

NOW = 1_735_689_600.0  # 2025-01-01T00:00:00Z
ASIDE = "journal.db.damaged-20250101T000000Z"


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "journal.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A sound journal of many pages, closed."""
    connection, _ = open_database(path, now=NOW)
    with closing(connection):
        connection.execute("begin")
        for number in range(300):
            turn = (f"{number:010x}", "[]", "answered", 1.0, 1.0)
            connection.execute(
                "insert into turn(id, conversation, state, accepted_at, ended_at)"
                " values(?, ?, ?, ?, ?)",
                turn,
            )
        connection.commit()
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def turns_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("select count(*) from turn").fetchone()[0]
        return found


def reopened(path: Path, now: float = NOW) -> tuple[int, Path | None]:
    """The number of turns after a restart, and where a damaged journal went."""
    connection, aside = open_database(path, now=now)
    with closing(connection):
        return connection.execute("select count(*) from turn").fetchone()[0], aside


def test_folder_and_files_are_for_the_owner_alone(path: Path) -> None:
    connection, aside = open_database(path, now=NOW)
    with closing(connection):
        assert aside is None
        assert mode(path.parent) == 0o700
        assert {file.name for file in path.parent.iterdir()} >= {"journal.db", "journal.db-wal"}
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}


def test_a_commit_survives_the_loss_of_power(path: Path) -> None:
    connection, _ = open_database(path, now=NOW)
    with closing(connection):
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.execute(f"pragma {name}").fetchone()[0] for name in pragmas]
        assert values == ["wal", 2, 1, 5000]


def test_a_sound_journal_is_used_again(filled: Path) -> None:
    assert reopened(filled) == (300, None)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says\n" * 100)


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * 4096])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [garbage, short, cut, overwritten])
def test_a_damaged_journal_is_set_aside_and_a_new_one_begun(
    filled: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(filled)
    content = filled.read_bytes()
    assert reopened(filled) == (0, filled.with_name(ASIDE))
    assert filled.with_name(ASIDE).read_bytes() == content
    (line,) = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert str(filled) in line.getMessage()
    assert ASIDE in line.getMessage()
    assert reopened(filled) == (0, None)


def test_what_can_be_read_of_a_damaged_journal_is_saved(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(filled.read_bytes())
    # https://www.sqlite.org/fileformat.html: the leaves of a table begin with 13.
    leaves = [
        start
        for start in range(4096, len(content), 4096)
        if content[start] == 13 and b"answered" in content[start : start + 4096]
    ]
    assert len(leaves) >= 3
    start = leaves[len(leaves) // 2]
    content[start : start + 4096] = b"\xa5" * 4096
    filled.write_bytes(content)
    count, aside = reopened(filled)
    assert aside is not None
    assert 300 * (len(leaves) - 2) // len(leaves) <= count < 300
    assert f"{count} row(s)" in caplog.text


def test_an_older_damaged_journal_is_not_overwritten(filled: Path) -> None:
    for number in range(3):
        filled.write_bytes(b"damage %d\n" % number * 100)
        reopened(filled)
    names = [ASIDE, f"{ASIDE}-2", f"{ASIDE}-3"]
    contents = [filled.with_name(name).read_bytes()[:8] for name in names]
    assert contents == [b"damage 0", b"damage 1", b"damage 2"]


@pytest.mark.parametrize("lost", ["empty", "gone"])
def test_a_log_whose_file_was_lost_is_kept(path: Path, lost: str) -> None:
    connection, _ = open_database(path, now=NOW)
    with closing(connection):
        connection.execute(
            "insert into turn(id, conversation, state, accepted_at) values('a', '[]', 'queued', 1)"
        )
        log = path.with_name("journal.db-wal").read_bytes()
    path.with_name("journal.db-wal").write_bytes(log)
    path.write_bytes(b"") if lost == "empty" else path.unlink()
    assert reopened(path) == (0, path.with_name(ASIDE))
    assert path.with_name(f"{ASIDE}-wal").read_bytes() == log


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert reopened(path) == (0, None)


async def test_a_new_journal_takes_messages_where_a_damaged_one_was(
    folder: Path, filled: Path, message: Callable[..., Message]
) -> None:
    garbage(filled)
    journal = await Journal.open(folder, session_ttl=1.0, now=NOW)
    assert filled.with_name(ASIDE).exists()
    assert len(await journal.accept([message("m1")], now=1.0)) == 1
    await journal.close()


def test_a_journal_of_a_newer_sidecar_is_refused_and_left_as_it_is(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(JournalError, match=r"journal\.db.* newer sidecar.* 99"):
        open_database(filled, now=NOW)
    assert turns_in(filled) == 300
    assert not list(filled.parent.glob("*damaged*"))


def test_a_file_that_is_no_file_is_a_clear_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(JournalError, match=r"journal\.db cannot be used"):
        open_database(path, now=NOW)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be used"):
        open_database(tmp_path / "file" / "journal.db", now=NOW)


def version(connection: sqlite3.Connection) -> Any:
    return connection.execute("pragma user_version").fetchone()[0]


def test_steps_that_a_file_has_not_seen_are_done_in_order() -> None:
    steps = ["create table a(x)", "alter table a add y; insert into a values(1, 2)"]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.migrate(connection, steps[:1])
        assert version(connection) == 1
        migrations.migrate(connection, steps)
        migrations.migrate(connection, steps)
        assert version(connection) == 2
        assert connection.execute("select * from a").fetchall() == [(1, 2)]


def test_a_step_that_fails_is_undone_whole() -> None:
    steps = ["create table a(x)", "create table b(x); insert into missing values(1)"]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="missing"):
            migrations.migrate(connection, steps)
        assert version(connection) == 1
        assert connection.execute("select name from sqlite_master").fetchall() == [("a",)]
