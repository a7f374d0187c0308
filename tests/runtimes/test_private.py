"""The files of a turn go with it, however early it ends."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from sidecar.runtimes.processes import private
from sidecar.runtimes.processes.private import PrivateFiles
from tests.patience import PATIENCE, until


def found(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class Slow(PrivateFiles):
    """Takes its time in the middle of the work."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go = threading.Event(), threading.Event()

    def _write(self, texts: object) -> list[Path]:
        files = super()._write(texts)  # type: ignore[arg-type]
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return files


async def test_several_files_are_written_at_once_and_are_ours_alone(tmp_path: Path) -> None:
    files = await PrivateFiles(tmp_path / "new").write(("one", ".txt"), ("two", ".json"))
    assert [file.read_text() for file in files] == ["one", "two"]
    assert [file.suffix for file in files] == [".txt", ".json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_turn_that_is_cancelled_while_its_files_are_written_leaves_none(
    tmp_path: Path,
) -> None:
    files = Slow(tmp_path)
    writing = asyncio.ensure_future(files.write(("secret", ".txt")))  # noqa: TID251 -- cancelled
    assert await asyncio.to_thread(files.begun.wait, PATIENCE)
    assert len(found(tmp_path)) == 1
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    files.go.set()
    await until(lambda: not found(tmp_path))


async def test_when_one_file_cannot_be_written_none_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await PrivateFiles(tmp_path).write(("one", ".txt"), ("two", "/no/such.txt"))
    assert found(tmp_path) == []


async def test_files_from_before_the_start_are_removed_and_those_of_now_stay(
    tmp_path: Path,
) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    before.touch()
    now.touch()
    os.utime(before, (private._BEGAN - 1, private._BEGAN - 1))
    [new] = await PrivateFiles(tmp_path).write(("text", ".txt"))
    assert set(found(tmp_path)) == {now, new}
