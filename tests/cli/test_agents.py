"""What a person at the terminal is told of the agents of this machine while no sidecar runs."""

import json
from pathlib import Path

import pytest

from sidecar.cli import main
from tests.credentials import write_credentials

CONFIG = """\
version: 1
state: {dir: state}
channels:
  mine: {type: botcord, agent: ag_1, credentials: found/a.json}
discovery: {botcord: {credentials_dir: found}}
runtimes: {shell: {type: command, command: [sh]}}
default_route: {runtime: shell, cwd: .}
"""


def test_agents_of_the_folder_are_listed_and_files_that_are_none_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = tmp_path / "config.yaml", tmp_path / "found"
    path.write_text(CONFIG)
    folder.mkdir()
    write_credentials(folder / "a.json", "ag_1")
    write_credentials(folder / "b.json", "ag_2")
    (folder / "c.json").write_text("{")
    assert main(["agents", "list", "--config", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == [
        {"channel": "mine", "agent": "ag_1", "by": "config", "state": None},
        {"channel": "ag_2", "agent": "ag_2", "by": "discovery", "state": None},
    ]
    assert f"{folder}/c.json" in err
    assert "a.json" not in err
