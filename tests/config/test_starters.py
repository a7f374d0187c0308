"""`sidecar init`: each config to start from is valid, and nothing of the user's is overwritten."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from sidecar.cli import main
from sidecar.config.load import Loaded
from sidecar.config.schemas.shipped import STARTERS, folder
from sidecar.prompts.render import Prompts

Check = Callable[[str], Loaded]
MARK = "# yaml-language-server: $schema="


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_a_file_for_each_and_no_other() -> None:
    files = sorted(path.stem for path in (folder() / "starters").glob("*.yaml"))
    assert files == sorted(STARTERS)
    folders = {path.name for path in (folder() / "starters").iterdir() if path.is_dir()}
    assert folders <= set(STARTERS)


@pytest.mark.parametrize("name", STARTERS)
def test_it_is_valid_but_for_the_credentials_that_come_later(
    name: str, here: Path, check: Check, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the comment at the top of the one for Kubernetes asks the pod for.
    machine.variables["SIDECAR_TOKEN"] = "a-token-of-the-pod"
    is_dir = machine.is_dir
    monkeypatch.setattr(machine, "is_dir", lambda at: at == Path("/workspace") or is_dir(at))
    assert main(["init", "--template", name]) == 0
    found = check((here / "config.yaml").read_text("utf-8"))
    assert {(one.code, one.level) for one in found.problems} == {("credentials-missing", "warning")}
    assert found.config is not None
    assert Prompts.compile(found.config)[1] == ()


def test_the_first_one_needs_nothing_but_a_sidecar(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "new.yaml"]) == 0
    assert capsys.readouterr().out == (
        "wrote new.yaml; `sidecar validate new.yaml` checks it\n"
        "wrote new.test.yaml\nwrote templates/everybody.j2\nwrote templates/message.j2\n"
    )
    assert main(["validate", "--json", "new.yaml"]) == 0
    assert [one["code"] for one in json.loads(capsys.readouterr().out)] == ["credentials-missing"]


def test_the_one_for_a_pod_is_checked_as_it_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--template", "kubernetes", "k.yaml"]) == 0
    assert capsys.readouterr().out == (
        "wrote k.yaml; `sidecar validate --no-env k.yaml` checks it\n"
    )
    assert main(["validate", "--no-env", "--strict", "k.yaml"]) == 0
    assert "file:/" not in (here / "k.yaml").read_text("utf-8")  # of a schema on this machine


def test_editors_find_the_schema_from_it(here: Path) -> None:
    assert main(["init"]) == 0
    text = (here / "config.yaml").read_text("utf-8")
    first = text.splitlines()[0]
    assert first.startswith(MARK)
    assert Path(unquote(urlsplit(first.removeprefix(MARK)).path)).is_file()
    assert text.count(MARK) == 1


def test_editors_find_the_schema_in_the_folder_of_starters() -> None:
    for path in (folder() / "starters").rglob("*.yaml"):
        first = path.read_text("utf-8").splitlines()[0]
        assert (path.parent / first.removeprefix(MARK)).is_file()


def test_a_file_that_is_there_stays_as_it_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "config.yaml").write_text("mine\n")
    assert main(["init"]) == 1
    assert (here / "config.yaml").read_text() == "mine\n"
    assert capsys.readouterr().err == (
        "sidecar: config.yaml is there already; nothing was written\n"
    )


def test_a_link_to_nowhere_is_not_followed(here: Path) -> None:
    (here / "config.yaml").symlink_to("elsewhere")
    assert main(["init"]) == 1
    assert not (here / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "no/where/new.yaml"]) == 0
    assert main(["validate", "no/where/new.yaml"]) == 0
    (here / "file").touch()
    assert main(["init", "file/new.yaml"]) == 1
    assert "file/new.yaml cannot be written: Not a directory" in capsys.readouterr().err


def test_its_templates_are_a_lesson_and_its_tests_hold(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 0
    for template in (here / "templates").iterdir():
        assert template.read_text("utf-8").startswith("{#\n")
    first = (here / "config.test.yaml").read_text("utf-8").splitlines()[0]
    schema = Path(unquote(urlsplit(first.removeprefix(MARK)).path))
    assert schema.name == "test.schema.json"
    assert schema.is_file()
    capsys.readouterr()
    assert main(["test"]) == 0
    out, err = capsys.readouterr()
    assert ("4 passed, 0 failed" in out, "no test reaches" in out, err) == (True, False, "")


def test_templates_that_are_there_stay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "templates").mkdir()
    (here / "templates" / "message.j2").write_text("mine")
    assert main(["init"]) == 0
    assert (here / "templates" / "message.j2").read_text() == "mine"
    assert "templates/message.j2 is there already, and stays" in capsys.readouterr().err
