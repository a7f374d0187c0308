"""A pattern names the files that it is known to name, and walks no more than it may."""

from pathlib import Path

import pytest

from sidecar.app.watching import walk
from sidecar.app.watching.digests import digests
from sidecar.app.watching.walk import files_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a.yaml",
        "b.yaml",
        ".c.yaml",
        ".hid/h.yaml",
        "d.txt",
        "sub/e.yaml",
        "sub/deep/f.yaml",
        "x[1]/g",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "sub/up").symlink_to("..")
    (tmp_path / "broken").symlink_to("nowhere")
    return tmp_path


def hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@pytest.mark.parametrize(
    "pattern",
    ["*.yaml", ".*.yaml", ".hid/*.yaml", "[ab].yaml", "?.txt", "*/e.yaml", "*/*", "**/*.yaml",
     "sub/**/*.yaml", "**/deep/*", "*/deep/f.yaml", "no/*.yaml", "broken/*", "x*/g",
     "**/**/f.yaml", "link/*.yaml", "a.yaml/*"],
)  # fmt: skip
def test_it_names_what_patterns_name_elsewhere(folder: Path, pattern: str) -> None:
    found = [path for path in files_of(folder, pattern) if path.is_file()]
    # It takes names with a leading dot for every wildcard, which a shell does not.
    # Which links `**` of the standard library follows depends on its version.
    known = {path for path in folder.glob(pattern) if "up" not in path.parts and path.is_file()}
    if "**" in pattern:
        known = {path for path in known if "link" not in path.parts}
    known = {path for path in known if pattern.startswith(".") or not hidden(path)}
    assert [path for path in found if "up" not in path.parts] == sorted(known)


def test_what_editors_and_kubernetes_hide_is_not_named(folder: Path) -> None:
    (folder / ".#a.yaml").symlink_to("ann@host.1234")
    (folder / "._a.yaml").touch()
    (folder / "..2026_1").mkdir()
    (folder / "..2026_1/e.yaml").touch()
    (folder / "..data").symlink_to("..2026_1")
    assert not any(map(hidden, files_of(folder, "**/*")))
    assert [path.name for path in files_of(folder, "*.yaml")] == ["a.yaml", "b.yaml"]
    assert files_of(folder, "..data/*.yaml") == [folder / "..data/e.yaml"]


def test_two_stars_within_a_name_are_no_pattern(folder: Path) -> None:
    with pytest.raises(ValueError, match="stands alone between slashes"):
        files_of(folder, "a**/b")


def test_a_pattern_of_many_parts_takes_no_longer_and_one_of_too_many_is_refused(
    folder: Path,
) -> None:
    assert files_of(folder, "**/" * 2000 + "f.yaml") == files_of(folder, "**/f.yaml")
    with pytest.raises(ValueError, match="more than 100 parts between slashes"):
        files_of(folder, "../" * 2000 + "*")


def test_too_much_is_refused_before_it_takes_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(files_of(folder, "**/*")) > 10
    monkeypatch.setattr(walk, "MOST_FOUND", 10)
    with pytest.raises(ValueError, match="this names more than 10 files"):
        files_of(folder, "**/*")
    monkeypatch.setattr(walk, "MOST_ENTRIES", 5)
    with pytest.raises(ValueError, match="more than 5 files and folders are in its way"):
        files_of(folder, "**/none")
    pattern = folder / "**/*.yaml"
    assert digests([pattern]) == digests([pattern])


def test_the_whole_machine_is_not_walked() -> None:
    with pytest.raises(ValueError, match="more than 10000 files"):
        files_of(Path("/"), "**/no such file")
