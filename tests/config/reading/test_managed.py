"""The managed layer under the user's config: what wins, what is left out, where it comes from."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar import plugins
from sidecar.app.checking.system import MachineSystem
from sidecar.cli import main
from sidecar.config.comparing.diff import difference
from sidecar.config.comparing.effective import effective
from sidecar.config.comparing.plan import brief, from_json, to_json, to_text
from sidecar.config.load import Loaded, load
from sidecar.config.reading.managed import FILE, LEFT_OUT
from sidecar.config.reading.quick import QuickRoutes
from sidecar.config.schemas.schema import Schema
from sidecar.core.managed import Managed, write

ROUTE = {"name": "managed-1", "match": {"account": "ag_1"}, "runtime": "echo"}


def loaded(folder: Path, layer: str | Managed | None = None, user: str = "", **more: Any) -> Loaded:
    path, file = folder / "config.yaml", folder / "state" / FILE
    path.write_text(
        f"version: 1\nstate: {{dir: {folder}/state}}\n"
        "runtimes: {echo: {type: command, command: [cat]}}\n"
        f"default_route: {{runtime: echo, cwd: {folder}}}\n{user}"
    )
    if layer is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(layer if isinstance(layer, str) else write(layer))
    return load(path, MachineSystem(), Schema(), types=plugins, **more)


def channel(folder: Path, agent: str = "ag_1") -> dict[str, str]:
    file = folder / f"{agent}.json"
    file.touch(mode=0o600)
    return {"type": "botcord", "agent": agent, "credentials": str(file)}


def test_managed_routes_come_after_those_of_the_user_and_are_marked(tmp_path: Path) -> None:
    layer = Managed({"ag_1": channel(tmp_path)}, (ROUTE,))
    user = "routes: [{name: mine, match: {sender: hu_1}, runtime: echo}]\n"
    config = loaded(tmp_path, layer, user).config
    assert config is not None
    assert [(route.name, route.managed) for route in config.routes] == [
        ("mine", False),
        ("managed-1", True),
    ]
    assert config.channels["ag_1"].managed


def test_a_process_goes_on_with_the_folder_that_it_began_with(tmp_path: Path) -> None:
    layer = Managed({"ag_1": channel(tmp_path)}, (ROUTE,))
    loaded(tmp_path, layer)
    (tmp_path / "state").rename(tmp_path / "begun")
    found = loaded(tmp_path, inside=str(tmp_path / "begun"))
    assert found.config is not None
    assert found.config.state.dir == tmp_path / "state"
    assert [*found.config.channels] == ["ag_1"]
    assert tmp_path / "begun" / FILE in found.inputs


def test_of_one_channel_id_the_users_wins(tmp_path: Path) -> None:
    own = json.dumps({"ag_1": {**channel(tmp_path), "stream": False}})
    config = loaded(tmp_path, Managed({"ag_1": channel(tmp_path)}), f"channels: {own}\n").config
    assert config is not None
    assert not config.channels["ag_1"].managed
    assert config.channels["ag_1"].options["stream"] is False


def test_what_does_not_fit_is_left_out_with_a_warning_and_the_rest_holds(tmp_path: Path) -> None:
    bad = {**ROUTE, "name": "bad", "runtime": "gone"}
    twice = {"mine": {**channel(tmp_path), "agent": "ag_1"}}
    layer = Managed({"ag_1": channel(tmp_path), "ag_2": channel(tmp_path, "ag_2")}, (bad, ROUTE))
    found = loaded(tmp_path, layer, f"channels: {json.dumps(twice)}\n")
    assert found.config is not None
    assert set(found.config.channels) == {"mine", "ag_2"}
    assert [route.name for route in found.config.routes] == ["managed-1"]
    told = [one.path for one in found.problems if one.code == LEFT_OUT]
    assert sorted(told) == ["channels.ag_1", "routes[0]"]


def test_a_route_that_is_known_is_left_out_alone_when_its_folder_went(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    layer = f"""routes:
- {{name: first, match: {{account: ag_1}}, runtime: echo}}
- {{name: second, match: {{account: ag_2}}, runtime: echo, cwd: {folder}}}
- {{name: third, match: {{account: ag_3}}, runtime: echo}}
"""
    first = QuickRoutes()
    assert loaded(tmp_path, layer, quick=first).problems == ()
    folder.rmdir()
    found = loaded(tmp_path, layer, quick=QuickRoutes(first.learned))
    assert found.config is not None
    assert [(one.code, one.path) for one in found.problems] == [(LEFT_OUT, "routes[1]")]
    assert len(found.config.routes) == 2
    assert found.problems == loaded(tmp_path, layer).problems


def test_a_layer_that_is_no_yaml_never_keeps_the_users_config_from_loading(tmp_path: Path) -> None:
    for text in ("{", "[]", "channels: 5\nroutes: {}\n", "\0"):
        found = loaded(tmp_path, text)
        assert found.config is not None, found.problems
        assert not found.config.channels


def test_nothing_in_the_layer_is_interpolated(tmp_path: Path) -> None:
    route = {**ROUTE, "args": ["${HOME}", "${file:/etc/passwd}", "$$"]}
    config = loaded(tmp_path, Managed({}, (route,))).config
    assert config is not None
    assert config.routes[0].args == ("${HOME}", "${file:/etc/passwd}", "$$")


def test_a_quick_load_finds_the_same(tmp_path: Path) -> None:
    layer = Managed({"ag_1": channel(tmp_path)}, (ROUTE,))
    whole, quick = loaded(tmp_path, layer), loaded(tmp_path, layer, quick=QuickRoutes())
    assert whole.config == quick.config
    assert whole.inputs == quick.inputs
    assert tmp_path / "state" / FILE in whole.inputs


def test_the_origin_of_a_managed_value_is_the_managed_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, Managed({"ag_1": channel(tmp_path)}, (ROUTE,)))
    assert found.config is not None
    assert found.source is not None
    values: Any = effective(found.config, found.source, found.schema)
    assert (
        values["channels"]
        .value["ag_1"]
        .value["agent"]
        .origin.startswith(f"{tmp_path}/state/{FILE}:")
    )
    assert values["routes"].value[0].value["runtime"].origin.startswith(f"{tmp_path}/state/{FILE}:")


def test_what_is_managed_is_shown_with_its_place_and_the_rest_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(tmp_path, Managed({"ag_1": channel(tmp_path)}, (ROUTE,)))
    assert main(["config", "show", str(tmp_path / "config.yaml"), "--resolved"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "#" in line]
    assert [line.split()[:2] for line in lines[:2]] == [["type:", "botcord"], ["agent:", "ag_1"]]
    assert {line.rpartition("# ")[2].rpartition(":")[0] for line in lines} == {
        f"{tmp_path}/state/{FILE}"
    }
    assert "  - name: managed-1 " in lines[3]


def test_a_plan_tells_what_the_control_plane_changes(tmp_path: Path) -> None:
    before = loaded(tmp_path).config
    after = loaded(tmp_path, Managed({"ag_1": channel(tmp_path)}, (ROUTE,))).config
    assert after is not None
    plan = difference(before, after)
    assert "+ channels.ag_1     starts (by the control plane)" in to_text(plan)
    assert "+ channels.ag_1 (by the control plane)" in map(brief, plan.changes)
    assert from_json(to_json(plan)) == plan
    assert difference(after, after).changes == ()
