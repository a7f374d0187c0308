"""What is watched of files that lie side by side is what is watched of each of them."""

import itertools
import os
from pathlib import Path

import pytest

from sidecar.app.watching import folders
from sidecar.app.watching.folders import folders_of
from sidecar.config.system import FolderPath, ProgramPath


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    for name in ("real/sub/in.j2", "other/far.j2", "here/a.j2", "here/b.j2"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    here = tmp_path / "here"
    (here / "linked.j2").symlink_to("../other/far.j2")
    (here / "broken.j2").symlink_to("../nowhere/x.j2")
    (here / "folder").symlink_to("../real")
    files = ("a.j2", "b.j2", "linked.j2", "broken.j2", "missing.j2", "*.j2", "folder")
    names = (*files, "folder/x", "folder/y", "folder/*/in.j2", "folder/sub/in.j2", "none/x", "..")
    return [here / name for name in names] + [tmp_path / "other" / ".."]


def test_together_they_have_the_folders_of_each(inputs: list[Path]) -> None:
    each = {path: folders_of([path]) for path in inputs}
    for one, other in itertools.product(inputs, repeat=2):
        assert folders_of([one, other]) == each[one] | each[other], (one, other)


@pytest.mark.parametrize("kind", [FolderPath, ProgramPath])
def test_what_is_missing_where_nobody_may_look_keeps_no_other_file_from_being_watched(
    kind: type[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, file = tmp_path / "hidden", tmp_path / "config.yaml"
    hidden.mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: path != hidden)  # as for who is not root
    assert folders_of([file, kind(hidden / "sub")]) == folders_of([file])
    assert folders_of([kind(hidden / "sub"), hidden / "x"]) == folders_of([hidden / "x"])


def test_the_way_of_many_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    way = folders._on_the_way

    def counted(path: Path) -> set[Path]:
        asked.append(path)
        return way(path)

    monkeypatch.setattr(folders, "_on_the_way", counted)
    assert [one for one, _, _ in folders_of([tmp_path / f"{name}.j2" for name in "abcdef"])] == [
        tmp_path
    ]
    assert len(asked) == 1
