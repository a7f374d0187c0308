"""The real machine answers, whatever it is asked."""

import os
import sys
from pathlib import Path

import pytest

from sidecar.app.checking import system
from sidecar.app.checking.system import LARGEST_FILE, MachineSystem

MACHINE = MachineSystem()


def test_text_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("é\r\n".encode())
    assert MACHINE.read_text(tmp_path / "x") == "é\r\n"


def test_what_is_no_file_or_too_large_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "big", Path("/dev/zero"), tmp_path / "no"):
        with pytest.raises(OSError, match=r".+"):
            MACHINE.read_text(path)


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    for path in (tmp_path / "no", Path("x" * 5000), tmp_path / "x" / "y"):
        assert not MACHINE.exists(path)
        assert not MACHINE.is_dir(path)
        assert MACHINE.is_private(path) is None


def test_privacy_is_that_of_the_file_that_a_link_names(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.touch(0o640)
    link.symlink_to(real)
    assert MACHINE.is_private(link) is False
    real.chmod(0o600)
    assert MACHINE.is_private(link) is True
    assert MACHINE.exists(link)
    assert MACHINE.is_dir(tmp_path)


def test_matching_files_come_sorted(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "c.txt"):
        (tmp_path / name).touch()
    assert MACHINE.glob(tmp_path, "*.yaml") == [tmp_path / "a.yaml", tmp_path / "b.yaml"]


def test_a_command_is_found_in_path_or_beside_python_or_where_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "bin", tmp_path / "beside"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "one").touch(0o755)
    (folders[1] / "two").touch(0o755)
    (folders[1] / "plain").touch(0o644)
    monkeypatch.setenv("PATH", str(folders[0]))
    monkeypatch.setattr(sys, "executable", str(folders[1] / "python"))
    assert MACHINE.which("one", tmp_path) == str(folders[0] / "one")
    assert MACHINE.which("two", tmp_path) == str(folders[1] / "two")
    assert MACHINE.which("./bin/one", tmp_path) == str(folders[0] / "one")
    assert MACHINE.which(str(folders[0] / "one"), Path("/")) == str(folders[0] / "one")
    for name in ("plain", "three", "./one", "bin"):
        assert MACHINE.which(name, tmp_path) is None


def test_a_user_without_a_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert MACHINE.home == Path("/somewhere")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    assert MACHINE.home == Path("/")


def test_the_environment_is_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", "x")
    assert MACHINE.env["SOME_NAME"] == "x"


def test_what_is_mounted_at_a_path_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(system, "MOUNTS", mounts)
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "config.yaml").touch()
    assert not MACHINE.is_mount(folder / "config.yaml")  # as on a system that does not tell
    written = str(folder.resolve() / "config.yaml").replace(" ", r"\040")
    mounts.write_text(f"21 1 8:1 /x {written} rw,relatime - ext4 /dev/sda rw\n")
    assert MACHINE.is_mount(folder / "config.yaml")
    assert not MACHINE.is_mount(folder)
    (tmp_path / "link").symlink_to(folder)
    assert MACHINE.is_mount(tmp_path / "link/config.yaml")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mounted")
def test_a_real_mount_is_seen(tmp_path: Path) -> None:
    assert MACHINE.is_mount(Path("/proc"))
    assert not MACHINE.is_mount(tmp_path / "config.yaml")
