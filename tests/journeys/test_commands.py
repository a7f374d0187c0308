"""The commands at the terminal."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar import __version__
from tests import starting
from tests.patience import PATIENCE


async def sidecar(*arguments: str, cwd: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    env = {**os.environ, "PYTHONPATH": str(starting.ROOT), "HOME": str(cwd)}
    command = ("-m", "sidecar", *arguments)
    running = asyncio.to_thread(starting.said, *command, given=stdin, cwd=cwd, env=env)
    code, out, err = await running
    return code, out.decode(), err.decode()


async def said(*arguments: str, cwd: Path) -> tuple[int, str]:
    """The exit code, and what a command without input says on both its streams."""
    env = {**os.environ, "PYTHONPATH": str(starting.ROOT), "HOME": str(cwd)}
    running = starting.run("-m", "sidecar", *arguments, cwd=cwd, env=env)
    code, output = await asyncio.wait_for(running, PATIENCE)
    return code, output.decode()


async def test_help_names_every_command(tmp_path: Path) -> None:
    code, out, _ = await sidecar("--help", cwd=tmp_path)
    assert code == 0
    for command in ("dev", "run", "validate", "status", "example-agent", "version"):
        assert command in out


async def test_the_version_is_told(tmp_path: Path) -> None:
    assert await sidecar("version", cwd=tmp_path) == (0, f"{__version__}\n", "")


async def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    code, _, err = await sidecar("rum", cwd=tmp_path)
    assert code == 2
    assert err.endswith("sidecar: error: 'rum' is no command: did you mean 'run'?\n")


async def test_a_typo_in_the_config_is_shown_with_its_place_and_nothing_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text("version: 1\nrotues: []\n")
    for command in ("run", "validate"):
        code, text = await said(command, cwd=tmp_path)
        assert code == 2
        assert "config.yaml:2:1: error: unknown key 'rotues'" in text
        assert "did you mean 'routes'?" in text


async def test_problems_are_told_to_programs_as_json(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("version: 2\n")
    code, out = await said("validate", "--json", cwd=tmp_path)
    assert code == 2
    [problem] = [one for one in json.loads(out) if one["level"] == "error"]
    assert (problem["file"], problem["line"], problem["path"]) == ("config.yaml", 1, "version")


async def test_the_development_hub_answers_a_newcomer_with_no_account(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk\n")
    (tmp_path / "silent.txt").write_text("NO_REPLY")
    said = b"what is in here?\nread silent.txt\n/as agent\nread silent.txt\nread notes.txt\n"
    said += b"/as member\n/provision bob\n/agent bob\n/revoke bob\nread silent.txt\n/agent\n"
    code, out, err = await sidecar("dev", cwd=tmp_path, stdin=said)
    assert code == 0, err
    assert "\u2190 NO_REPLY\n" in out
    assert out.count("\n\u00b7 no reply: the agent chose not to\n") == 3
    # Who is there no longer is neither named nor waited for.
    assert out.count("Done: ag_") == 2
    assert "\nAgents: demo\n" in out
    assert "chat page: http://127.0.0.1:" in err
    assert "notes.txt" in out
    assert "buy milk" in out
    assert (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize("name", ["validate", "run", "status"])
async def test_a_config_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    code, text = await said(name, cwd=tmp_path)
    assert code == 2
    assert "config.yaml" in text


async def test_status_by_an_operator_whose_last_save_broke_the_config(world: Any) -> None:
    await world.start()
    world.write(**{"version: 1": "version: one"})
    await world.until(lambda: "config rejected" in world.log.read_text())
    code, text = await world.run("status", str(world.config))
    assert code == 0
    assert "last reload: rejected" in text
    assert "config.yaml:1:" in text


async def test_mistakes_in_the_config_and_in_a_template_are_shown_together(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "version: 1\n"
        "runtimes: {a: {type: command, command: [sh]}}\n"
        "default_route: {runtime: b, cwd: ., user_turn: '{{ mesage.text }}'}\n"
    )
    code, out = await said("validate", cwd=tmp_path)
    assert code == 2
    assert "config.yaml:3:26: error" in out
    assert "mesage" in out


async def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m sidecar --help | true", stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(starting.ROOT)},
    )  # fmt: skip
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert b"Traceback" not in err
