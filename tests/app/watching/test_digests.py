"""What is compared of files and of folders that have to be there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.checking.system import MachineSystem
from sidecar.app.watching import digests as module
from sidecar.app.watching.digests import digests, look
from sidecar.app.watching.own_writes import digest


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_the_hash_is_of_all_that_a_file_holds(size: int, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * size)
    assert digests([file]) == {file: digest(b"x" * size)}


def test_of_what_is_endless_a_part_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 100_000)
    file = tmp_path / "a"
    file.write_bytes(b"x" * 100_001)
    assert digests([file]) == {file: digest(b"x" * 100_000)}


def test_the_time_is_of_the_file_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, later = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"the same")
    later.write_bytes(b"the same")
    os.utime(later, (1, 1))
    before = look([file])

    def replaced_meanwhile(content: bytes) -> bytes:
        if later.exists():
            later.replace(file)
        return digest(content)

    monkeypatch.setattr(module, "digest", replaced_meanwhile)
    found = look([file])
    assert found.times == before.times
    assert not found.touched_since(before)
    assert look([file]).times == {file: 10**9}


class Late(MachineSystem):
    """A machine on which something happens right after somebody has looked in vain."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def is_dir(self, path: Path) -> bool:
        return super().is_dir(path) or bool(self._happens())

    def which(self, command: str, folder: Path) -> str | None:
        if (found := super().which(command, folder)) is None:
            self._happens()
        return found


def changed(found: Candidate) -> list[Path]:
    """The inputs that are not as they were when a config was checked."""
    now = digests(found.inputs)
    return [path for path, held in now.items() if held != found.inputs[path]]


def saved(folder: Path, *, command: str = "cat", cwd: str = ".") -> Path:
    config = folder / "config.yaml"
    config.write_text(
        "version: 1\nstate: {dir: s}\n"
        f"runtimes: {{r: {{type: command, command: ['{command}']}}}}\n"
        f"default_route: {{runtime: r, cwd: '{cwd}'}}\n"
    )
    return config


@pytest.mark.parametrize("name", ["later", "lat[e]r*"])
def test_a_folder_that_a_route_lacks_is_an_input(name: str, tmp_path: Path) -> None:
    config, folder = saved(tmp_path, cwd=name), tmp_path / name
    found = check(config)
    assert [one.code for one in found.problems] == ["no-folder"]
    assert changed(found) == []
    assert check(config, Late(folder.mkdir)).inputs == found.inputs
    assert changed(found) == [folder]
    assert folder not in check(config).inputs


@pytest.mark.parametrize("command", ["la[t]er*", "./bin/la[t]er*"])
def test_a_program_that_a_runtime_lacks_is_an_input_wherever_it_may_come(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", str(tmp_path / "bin")]))
    config, program = saved(tmp_path, command=command), tmp_path / "bin" / "la[t]er*"
    found = check(config)
    assert [one.code for one in found.problems] == ["command-not-found"]
    assert changed(found) == []
    assert check(config, Late(program.touch)).inputs == found.inputs
    found = check(config)
    assert [one.code for one in found.problems] == ["command-not-found"]
    assert changed(found) == []
    program.chmod(0o755)
    assert changed(found) == [program]
    assert program not in check(config).inputs
