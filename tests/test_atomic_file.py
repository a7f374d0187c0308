"""Files that are replaced as a whole."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from sidecar.atomic_file import FileRewritten, replace_by, replace_file, stamp_of


def test_a_file_gets_a_new_content_and_its_mode_and_the_stamp_is_that_of_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    stamp = replace_file(path, b"one")
    assert (path.read_bytes(), stamp_of(path.stat())) == (b"one", stamp)
    assert stat.S_IMODE(stamp.mode) == 0o600
    stamp = replace_file(path, b"two", 0o640, expected=b"one")
    assert (path.read_bytes(), stamp_of(path.stat())) == (b"two", stamp)
    assert stat.S_IMODE(stamp.mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [b"other", None])
def test_what_somebody_else_wrote_or_removed_stays_so(tmp_path: Path, there: bytes | None) -> None:
    path = tmp_path / "file"
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(FileRewritten):
        replace_file(path, b"new", expected=b"old")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([] if there is None else [there])


def test_a_file_is_as_it_was_where_the_new_one_cannot_be_filled(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fill(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        replace_by(path, fill)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_one_keeps_its_owner_and_one_that_is_filled_anew_is_ours_alone(tmp_path: Path) -> None:
    kept, anew = tmp_path / "kept", tmp_path / "anew"
    for path in (kept, anew):
        path.touch(0o644)
        os.chown(path, 4711, 4712)
    replace_file(kept, b"", 0o644)
    replace_by(anew, lambda file: file.write(b"x"))
    told = [path.stat() for path in (kept, anew)]
    owners = [(one.st_uid, one.st_gid, stat.S_IMODE(one.st_mode)) for one in told]
    assert owners == [(4711, 4712, 0o644), (0, os.getegid(), 0o600)]
