"""The folder of an account's own."""

import stat
from pathlib import Path

import pytest

from sidecar.store.workspace import prepare, workspace_of


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
