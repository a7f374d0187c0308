"""What comes while a config is being checked does not count as read."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from sidecar.app.checking.check import check
from sidecar.app.checking.system import MachineSystem
from sidecar.app.watching.digests import OPEN, digests
from tests.patience import until

ECHO = "runtimes: {echo: {type: command, command: [cat]}}\n"
WITH_CREDENTIALS = """\
version: 1
state: {{dir: {folder}/state}}
channels: {{ag_1: {{type: botcord, credentials: ag.json}}}}
runtimes: {{echo: {{type: command, command: [cat]}}}}
default_route: {{runtime: echo, cwd: "{folder}"}}
"""
LATE = "routes:\n  - {name: late, match: {conversation: x}, runtime: echo}\n"


@pytest.mark.parametrize("before", [[], ["first.yaml"]])
def test_a_file_that_a_wildcard_names_after_it_was_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[str]
) -> None:
    (tmp_path / "conf.d").mkdir()
    for name in before:
        (tmp_path / "conf.d" / name).write_text("log: {level: debug}\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"version: 1\ninclude: [conf.d/*.yaml]\nstate: {{dir: {tmp_path}/state}}\n"
        f"{ECHO}default_route: {{runtime: echo, cwd: {tmp_path}}}\n"
    )
    glob = MachineSystem.glob

    def then_one_comes(system: MachineSystem, folder: Path, pattern: str) -> list[Path]:
        found = glob(system, folder, pattern)
        (tmp_path / "conf.d" / "late.yaml").write_text(LATE)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(MachineSystem, "glob", then_one_comes)
        found = check(config)
    assert found.config is not None, found.problems
    assert found.config.routes == ()
    assert digests(found.inputs) != found.inputs
    again = check(config)
    assert again.config is not None, again.problems
    assert [route.name for route in again.config.routes] == ["late"]
    assert digests(again.inputs) == again.inputs


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_of_credentials_that_becomes_usable_after_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    config, credentials = tmp_path / "config.yaml", tmp_path / "ag.json"
    config.write_text(WITH_CREDENTIALS.format(folder=tmp_path))
    if is_there:
        credentials.touch(mode=0o644)
    is_private = MachineSystem.is_private

    def then_it_is_usable(system: MachineSystem, path: Path) -> bool | None:
        found = is_private(system, path)
        if path == credentials:
            credentials.touch()
            credentials.chmod(0o600)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(MachineSystem, "is_private", then_it_is_usable)
        found = check(config)
    assert found.inputs[credentials] == (OPEN if is_there else None)
    counted = digests(found.inputs)
    assert counted != found.inputs
    credentials.chmod(0o400)  # as private as before: nothing new
    assert digests(found.inputs) == counted


def test_what_a_file_of_credentials_holds_counts_while_it_is_private(tmp_path: Path) -> None:
    config, credentials = tmp_path / "config.yaml", tmp_path / "ag.json"
    config.write_text(WITH_CREDENTIALS.format(folder=tmp_path))
    credentials.touch(mode=0o644)
    found = check(config)
    assert [problem.code for problem in found.problems] == ["credentials-open"]
    assert digests(found.inputs) == found.inputs
    credentials.write_text("{}")  # nobody may use it yet
    assert digests(found.inputs) == found.inputs
    credentials.chmod(0o600)
    assert digests(found.inputs) != found.inputs
    credentials.chmod(0o640)
    assert digests(found.inputs) == found.inputs


ENDLESS = """\
import pathlib, time

def main(path, inside, stands_for):
    pathlib.Path(path).with_name("begun").touch()
    time.sleep(120)
"""
ASKS = """\
import os, signal, sys
from pathlib import Path
from sidecar.app.checking.load import Loading
sys.path.insert(0, sys.argv[1])
loading = Loading(Path(sys.argv[1]) / "config.yaml")
print(loading._checker.pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of it")
async def test_a_check_ends_with_whoever_asked_for_it(tmp_path: Path) -> None:
    package = tmp_path / "sidecar" / "app" / "checking"
    package.mkdir(parents=True)
    for folder in (package.parents[1], package.parent, package):
        (folder / "__init__.py").touch()
    (package / "check.py").write_text(ENDLESS)
    asks = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASKS, str(tmp_path)), stdin=PIPE, stdout=PIPE
    )
    assert asks.stdin is not None
    assert asks.stdout is not None
    pid = int(await asks.stdout.readline())
    await until((tmp_path / "begun").exists)
    asks.stdin.close()
    await asks.wait()

    def is_gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return stat.rpartition(")")[2].split()[0] in "ZX"  # nobody may have waited for it yet

    await until(is_gone)
