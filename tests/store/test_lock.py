"""One sidecar per state folder."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.errors import JournalError, StateLocked
from sidecar.store.lock import StateLock, holder

HOLD = """
import sys
from pathlib import Path
from sidecar.store.lock import StateLock

StateLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_folder_and_the_holder_are_named(
    folder: Path, other: "subprocess.Popen[bytes]"
) -> None:
    with pytest.raises(StateLocked, match=rf"pid {other.pid}\b.*{folder}"):
        StateLock(folder).acquire()


def test_the_pid_of_an_earlier_holder_leaves_no_trace(folder: Path) -> None:
    folder.mkdir()
    (folder / "lock").write_text("4194304999")
    with StateLock(folder), pytest.raises(StateLocked, match=rf"pid {os.getpid()}\)"):
        StateLock(folder).acquire()


def test_a_killed_holder_locks_nobody_out(folder: Path, other: "subprocess.Popen[bytes]") -> None:
    other.kill()
    other.wait()
    with StateLock(folder):
        pass


def test_a_released_lock_can_be_taken_again(folder: Path) -> None:
    lock = StateLock(folder)
    with lock, pytest.raises(StateLocked):
        StateLock(folder).acquire()
    lock.release()
    with StateLock(folder):
        pass


def test_a_child_does_not_inherit_the_lock(folder: Path) -> None:
    with StateLock(folder):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with StateLock(folder):
            pass
    finally:
        child.kill()
        child.wait()


def test_the_lock_is_for_the_owner_alone(folder: Path) -> None:
    with StateLock(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o600


def test_a_lock_whose_file_was_deleted_is_taken_anew(folder: Path) -> None:
    lock = StateLock(folder)
    lock.renew()  # when it is not held
    assert not folder.exists()
    with lock:
        before = (folder / "lock").stat().st_ino
        lock.renew()
        assert (folder / "lock").stat().st_ino == before
        shutil.rmtree(folder)
        lock.renew()
        assert holder(folder) == os.getpid()
        with pytest.raises(StateLocked):
            StateLock(folder).acquire()
        (folder / "lock").unlink()
        with StateLock(folder), pytest.raises(StateLocked):
            lock.renew()
    with StateLock(folder):
        pass


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="state folder cannot be used"):
        StateLock(tmp_path / "file").acquire()
