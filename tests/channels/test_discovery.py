import os
from pathlib import Path

from sidecar.channels import discovery
from tests.credentials import write_credentials


def write(path: Path, agent: str, *, written: int = 1_000, mode: int = 0o600) -> Path:
    write_credentials(path, agent, mode=mode)
    os.utime(path, (written, written))
    return path


def scan(folder: Path) -> tuple[dict[str, Path], list[str]]:
    found, warnings = discovery.scan(folder)
    return {agent: credentials.path for agent, credentials in found.items()}, warnings


def test_each_agent_with_credentials_is_found_by_the_id_in_its_file(tmp_path: Path) -> None:
    second = write(tmp_path / "a.json", "ag_2")
    first = write(tmp_path / "b.json", "ag_1")
    (tmp_path / "notes.txt").write_text("no credentials")
    (tmp_path / ".a.json.tmp").write_text("{")
    assert scan(tmp_path) == ({"ag_1": first, "ag_2": second}, [])


def test_the_later_of_two_files_of_one_agent_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "ag_1", written=1_000)
    later = write(tmp_path / "b.json", "ag_1", written=2_000)
    write(tmp_path / "c.json", "ag_1", written=1_500)
    found, warnings = scan(tmp_path)
    assert found == {"ag_1": later}
    assert len(warnings) == 2
    assert "two files for agent ag_1" in warnings[0]


def test_of_two_files_of_the_same_time_the_first_by_name_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "b.json", "ag_1")
    first = write(tmp_path / "a.json", "ag_1")
    assert scan(tmp_path)[0] == {"ag_1": first}


def test_files_that_cannot_be_used_are_told_and_do_not_hurt_the_others(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", "ag_1")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "broken.json").chmod(0o600)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "loose.json", "ag_2", mode=0o644)
    write(tmp_path / "unsafe.json", "../escape")
    found, warnings = scan(tmp_path)
    assert found == {"ag_1": good}
    assert len(warnings) == 5
    assert sum("chmod 600" in warning for warning in warnings) == 1


def test_a_folder_that_is_not_there_has_no_agents(tmp_path: Path) -> None:
    assert scan(tmp_path / "missing") == ({}, [])


def test_a_folder_that_is_none_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    found, warnings = scan(path)
    assert found == {}
    assert len(warnings) == 1
