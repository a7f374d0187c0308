"""The folder of an account's own."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.store.workspace import _seed, prepare, workspace_of


@pytest.mark.parametrize("account", ["../escape", "a/b", "..", ".", "", "has spaces", "a\0b", "a\n", "x" * 129])  # noqa: E501  # fmt: skip
def test_an_id_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, account: str) -> None:
    with pytest.raises(ValueError, match="cannot name a folder"):
        workspace_of(tmp_path, account)


def test_a_workspace_is_private_and_what_is_in_it_is_never_written_again(tmp_path: Path) -> None:
    folder = workspace_of(tmp_path, "ag_1")
    prepare(folder, channel="demo", account="ag_1", runtime="claude", now=0.0)
    assert "- Agent ID: ag_1\n- Channel: demo\n" in (folder / "identity.md").read_text()
    assert (folder / "AGENTS.md").read_text() == (folder / "CLAUDE.md").read_text()
    (folder / "identity.md").write_text("mine")
    (folder / "AGENTS.md").unlink()
    folder.chmod(0o755)
    prepare(folder, channel="demo", account="ag_1", runtime="claude", now=0.0)
    assert (folder / "identity.md").read_text() == "mine"
    assert (folder / "AGENTS.md").exists()
    for path in (folder.parent, folder, folder / "notes"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "AGENTS.md").stat().st_mode) == 0o600


def _file(path: Path) -> None:
    path.write_text("x")


def _dangling(path: Path) -> None:
    path.symlink_to(path / "gone")


@pytest.mark.parametrize("put", [_file, _dangling])
@pytest.mark.parametrize("name", ["notes", "AGENTS.md", "identity.md"])
def test_what_the_agent_puts_in_the_place_of_something_stays(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    folder = workspace_of(tmp_path, "ag_1")
    folder.mkdir(parents=True)
    put(folder / name)
    before = (folder / name).lstat()
    prepare(folder, channel="demo", account="ag_1", runtime="claude", now=0.0)
    after = (folder / name).lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (
        before.st_ino, before.st_mode, before.st_size
    )  # fmt: skip
    assert (folder / "CLAUDE.md").exists()


def test_what_cannot_be_made_in_it_is_told_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = workspace_of(tmp_path, "ag_1")
    gone = folder / "gone" / "notes"
    _seed(gone, lambda path: path.mkdir())
    assert f"{gone} cannot be made: No such file or directory" in caplog.text


def test_the_workspace_itself_is_required(tmp_path: Path) -> None:
    folder = workspace_of(tmp_path, "ag_1")
    folder.parent.mkdir(parents=True)
    _file(folder)
    with pytest.raises(FileExistsError):
        prepare(folder, channel="demo", account="ag_1", runtime="claude", now=0.0)
