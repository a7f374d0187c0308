"""What a person at the terminal does with the routes of a config."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.config.reading.managed import FILE
from sidecar.config.rewriting.route_text import NotEditable, added, removed
from sidecar.config.text.parse import parse

CONFIG = """\
# my sidecar
version: 1
state: {dir: state}
channels:
  demo:   {type: botcord, credentials: demo.json}   # wide on purpose
runtimes: {shell: {type: command, command: [sh]}}

routes:
  # the boss
  - name: owner
    match: {sender_kind: owner}
    runtime: shell
    cwd: .
    user_turn: |
      # not a comment
      {{ message.text }}

    # in the middle of it
    trust: owner   # kept
  # the team
  -   name: "team"
      match:
        conversation: [rm_1, rm_2]
      runtime: shell

  # the end of the list

# what is left
default_route: {runtime: shell, cwd: .}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def route(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["route", *arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_routes_are_listed_and_tried(route: Run) -> None:
    _, out, _ = route("list")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["ROUTE", "MATCH"],
        ["owner", "sender_kind=owner"],
        ["team", "conversation=rm_1,rm_2"],
        ["default", "everything"],
    ]
    assert json.loads(route("list", "--json")[1])[1]["match"] == {"conversation": ["rm_1", "rm_2"]}
    assert route("test", "--as", "owner")[1].startswith("owner: runtime shell, trust owner")
    found = json.loads(route("test", "--as", "owner", "--json")[1])
    assert (found["name"], found["runtime"], found["trust"]) == ("owner", "shell", "owner")
    told = route("test", "--as", "human", "--conversation", "rm_2", "--group")
    assert told[:2] == (0, "team: runtime shell, trust public, queue serial\n")


def test_a_route_is_added_and_all_else_stays_to_the_letter(route: Run, config: Path) -> None:
    config.chmod(0o640)
    code, out, err = route(
        "add", "ops", "--runtime", "shell", "--match", "sender=ag_1", "--match", "sender=ag_2",
        "--match", "mentioned=true", "--trust", "public", "--cwd", "~/a b: c",
    )  # fmt: skip
    assert (code, err) == (0, "")
    new = (
        "  - name: ops\n"
        "    match: {sender: [ag_1, ag_2], mentioned: true}\n"
        "    runtime: shell\n"
        '    cwd: "~/a b: c"\n'
        "    trust: public\n"
    )
    assert config.read_text() == CONFIG.replace(
        "      runtime: shell\n\n  # the end", f"      runtime: shell\n{new}\n  # the end"
    )
    assert "+  - name: ops\n" in out
    assert config.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in config.parent.iterdir()] == ["config.yaml"]
    assert route("remove", "ops")[0] == 0
    assert config.read_text() == CONFIG


def test_a_file_of_another_system_keeps_its_ends_of_lines(route: Run, config: Path) -> None:
    before = CONFIG.replace("\n", "\r\n").encode()
    config.write_bytes(before)
    assert route("add", "ops", "--runtime", "shell", "--match", "sender=ag_1")[0] == 0
    added = config.read_bytes()
    assert added.count(b"\n") == added.count(b"\r\n") > before.count(b"\n")
    assert route("remove", "ops")[0] == 0
    assert config.read_bytes() == before
    for name in ("owner", "team"):
        assert route("remove", name)[0] == 0
    assert b"\r\nroutes: []\r\n" in config.read_bytes()
    assert route("add", "again", "--runtime", "shell", "--match", "kind=direct")[0] == 0
    assert config.read_bytes().count(b"\n") == config.read_bytes().count(b"\r\n")


def test_a_route_goes_with_its_comment_and_can_come_before_another(
    route: Run, config: Path
) -> None:
    assert route("add", "first", "--runtime", "shell", "--match", "sender=x", "--before", "owner")
    text = config.read_text()
    item = "  - name: first\n    match: {sender: x}\n    runtime: shell\n"
    assert text == CONFIG.replace("routes:\n", f"routes:\n{item}")
    assert route("remove", "owner")[0] == 0
    assert "the boss" not in config.read_text()
    assert "in the middle" not in config.read_text()
    assert "  # the team\n" in config.read_text()
    assert route("remove", "first")[0] == route("remove", "team")[0] == 0
    assert "\nroutes: []\n" in config.read_text()
    assert "  # the end of the list\n\n# what is left\n" in config.read_text()
    assert route("add", "again", "--runtime", "shell", "--match", "kind=direct")[0] == 0
    assert "\nroutes:\n  - name: again\n    match: {kind: direct}\n" in config.read_text()


def test_the_keys_that_are_commented_out_stay_with_their_route(route: Run, config: Path) -> None:
    item = "  -   name: last\n      runtime: shell\n      # model: opus\n\n      # effort: high\n"
    text = CONFIG.replace("\n  # the end", f"{item}\n  # the end")
    config.write_text(text)
    assert (
        route("add", "ops", "--runtime", "shell", "--match", "sender=a", "--before", "last")[0] == 0
    )
    assert route("remove", "ops")[0] == 0
    assert config.read_text() == text
    assert route("add", "ops", "--runtime", "shell", "--match", "sender=a")[0] == 0
    assert f"{item}  - name: ops\n" in config.read_text()
    assert route("remove", "ops")[0] == route("remove", "last")[0] == 0
    assert config.read_text() == text.replace(item, "")


def test_what_would_not_be_valid_is_not_written(route: Run, config: Path) -> None:
    for arguments, told in (
        (("add", "x", "--runtime", "shel"), "there is no runtime 'shel'"),
        (("add", "x", "--runtime", "shell", "--trust", "king"), "king"),
        (("add", "team", "--runtime", "shell"), "team"),
        (("add", "x", "--runtime", "shell", "--match", "sendr=x"), "KEY=VALUE"),
    ):
        code, _, err = route(*arguments)
        assert code == 2
        assert told in err
        assert config.read_text() == CONFIG
    code, _, err = route("remove", "tem")
    assert (code, "did you mean 'team'" in err) == (1, True)
    code, _, err = route("add", "late", "--runtime", "shell", "--before", "tem")
    assert (code, config.read_text()) == (1, CONFIG)
    # A route that takes all: those below it are never reached.
    code, _, err = route("add", "all", "--runtime", "shell", "--before", "team")
    assert "team" in err


def test_a_route_without_a_name_is_not_found_by_what_stands_for_one(
    route: Run, config: Path
) -> None:
    config.write_text(CONFIG.replace("- name: owner\n    match", "- match"))
    before = config.read_text()
    assert [line.split()[0] for line in route("list")[1].splitlines()[1:]] == [
        *("routes[0]", "team", "default"),
    ]
    for name, told in (
        ("zz", "config.yaml is named 'zz': the names are team\n"),
        ("None", "the names are team\n"),
        ("routes[0]", "given a `name` there first\n"),
    ):
        code, _, err = route("remove", name)
        assert (code, err.endswith(told), config.read_text()) == (1, True, before), err
    assert route("remove", "team")[0] == 0
    add = ("add", "b", "--runtime", "shell", "--before", "zz")
    assert route(*add)[2].endswith("'zz': none has a name\n")


def test_a_configmap_and_a_folder_that_cannot_be_written_are_told(
    route: Run, config: Path, tmp_path: Path
) -> None:
    mount = tmp_path / "mount"
    (mount / "..2026_01_01").mkdir(parents=True)
    config.rename(mount / "..2026_01_01" / "config.yaml")
    (mount / "..data").symlink_to("..2026_01_01")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    code, _, err = route("remove", "team", "--config", str(mount / "config.yaml"))
    assert (code, "is of a ConfigMap or Secret: edit that instead" in err) == (1, True)
    assert (mount / "config.yaml").read_text() == CONFIG


def test_a_route_of_an_included_file_is_edited_there(route: Run, config: Path) -> None:
    (config.parent / "routes.d").mkdir()
    more = config.parent / "routes.d" / "more.yaml"
    text = "# more\nroutes:\n  - name: late   # last\n    runtime: shell\n"
    more.write_text(text)
    config.write_text(f"{CONFIG}include: [routes.d/*.yaml]\n")
    before = config.read_text()
    add = ("add", "new", "--runtime", "shell", "--match", "sender=x", "--before", "late")
    code, out, err = route(*add)
    assert (code, err) == (0, "")
    assert "+++ routes.d/more.yaml" in out
    item = "  - name: new\n    match: {sender: x}\n    runtime: shell\n"
    assert more.read_text() == text.replace("  - name: late", f"{item}  - name: late")
    code, _, err = route("add", "team", *add[2:])  # a name of the other file
    assert (code, "two routes are named 'team'" in err) == (2, True)
    assert route("remove", "new")[0] == 0
    assert more.read_text() == text
    code, _, err = route("remove", "lat")
    assert (code, "did you mean 'late'" in err) == (1, True)
    assert config.read_text() == before
    assert route("remove", "team", "--config", str(config))[0] == 0
    assert "team" not in config.read_text()
    assert route("remove", "late", "--config", str(config))[0] == 0
    assert more.read_text() == "# more\nroutes: []\n"


def test_a_route_of_the_control_plane_is_left_to_it(route: Run, config: Path) -> None:
    managed = config.parent / "state" / FILE
    managed.parent.mkdir(parents=True)
    theirs = "routes:\n  - {name: theirs, match: {account: ag_1}, runtime: shell}\n"
    managed.write_text(theirs)
    code, _, err = route("remove", "theirs")
    assert (code, "was set by the control plane" in err) == (1, True)
    assert managed.read_text() == theirs


def test_a_link_stays_a_link(route: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    config.rename(tmp_path / "real" / "config.yaml")
    config.symlink_to("real/config.yaml")
    assert route("remove", "team")[0] == 0
    assert os.readlink(config) == "real/config.yaml"  # noqa: PTH115 -- as it was written
    assert 'team"' not in (tmp_path / "real" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\n", "a: 1\nroutes:\n  - name: n\n"),
        ("a: 1", "a: 1\nroutes:\n  - name: n\n"),
        ("# of it\ndefault_route: {}\n", "routes:\n  - name: n\n# of it\ndefault_route: {}\n"),
        ("routes: []  # none\na: 1\n", "routes:  # none\n  - name: n\na: 1\n"),
        ("routes:\na: 1\n", "routes:\n  - name: n\na: 1\n"),
        ("routes:\n- name: m\n  x: |\n    y\n\na: 1\n",
         "routes:\n- name: m\n  x: |\n    y\n- name: n\n\na: 1\n"),
    ],
)  # fmt: skip
def test_the_first_and_the_last_route_find_their_place(before: str, after: str) -> None:
    document, _ = parse(before, "c")
    assert document is not None
    assert added(before, document, {"name": "n"}) == after


@pytest.mark.parametrize(
    "text", ["routes: [{name: m}]\n", "{routes: [], a: 1}\n", "routes:\n  -\n    name: m\n"]
)
def test_what_is_laid_out_otherwise_is_left_to_a_person(text: str) -> None:
    document, _ = parse(text, "c")
    assert document is not None
    with pytest.raises(NotEditable):
        added(text, document, {"name": "n"})


def test_an_edit_is_dropped_when_somebody_else_was_faster_or_it_means_another_thing(
    config: Path,
) -> None:
    from sidecar.app.authoring.config_edit import CannotWrite, prepare

    edit = prepare(
        config,
        config,
        lambda text, document: removed(text, document, "team"),
        lambda data: {**data, "routes": data["routes"][:1]},  # type: ignore[index]
    )
    config.write_text(f"{CONFIG}# new\n")
    with pytest.raises(CannotWrite, match="has just been changed"):
        edit.write()
    assert config.read_text() == f"{CONFIG}# new\n"
    beside = config.parent / "beside.yaml"  # no part of the config
    beside.write_text("a: 1\n")
    with pytest.raises(CannotWrite, match="included in a way"):
        prepare(config, beside, lambda text, _: f"{text}b: 2\n", lambda data: {**data, "b": 2})
    with pytest.raises(CannotWrite, match="only a person"):
        prepare(config, config, lambda text, _: text.replace("team", "tram"), lambda data: data)
