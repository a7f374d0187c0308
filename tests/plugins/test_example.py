"""The example package, installed beside a real sidecar: it does what docs/extending.md tells."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.runtimes.processes.orphans import sweep
from tests import starting
from tests.patience import PATIENCE, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"
CONFIG = f"""\
version: 1
state: {{dir: state}}
server: {{listen: "unix:SOCKET"}}
channels:
  desk: {{type: lines, inbox: in.txt, outbox: out.txt, every: 20ms, rate_limit: null}}
runtimes:
  bird: {{type: parrot, command: {EXAMPLE / "parrot"}}}
default_route: {{runtime: bird, cwd: .}}
"""
SECOND = "  wall: {type: lines, inbox: in2.txt, outbox: out2.txt, every: 20ms}\n"


class Desk:
    """A folder with a config, and a sidecar that sees the example package."""

    def __init__(self, folder: Path, example: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONPATH": f"{ROOT}:{example}", "PYTHONWARNINGS": "error"}
        self.text = CONFIG.replace("SOCKET", str(folder / "s.sock"))
        self.log = folder / "log"
        self.process: starting.Process | None = None

    def save(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text)

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await starting.start(
                "-m", "sidecar", "run", output=log, cwd=self.folder, env=self.env
            )

    def say(self, text: str, inbox: str = "in.txt") -> None:
        with (self.folder / inbox).open("a") as file:
            file.write(f"{text}\n")

    def replies(self, outbox: str = "out.txt") -> list[str]:
        file = self.folder / outbox
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line)["text"] for line in lines]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; show the sidecar's log when it does not hold."""
        try:
            await until(condition, poll=0.01)
        except AssertionError as error:
            pytest.fail(f"{error}; the log:\n{self.log.read_text()[-8000:]}")

    async def status(self) -> dict[str, Any]:
        status = ("-m", "sidecar", "status", "--json")
        running = starting.run(*status, cwd=self.folder, env=self.env)
        _, output = await asyncio.wait_for(running, PATIENCE)
        found: dict[str, Any] = json.loads(output)
        return found

    def logged(self, text: str) -> int:
        return self.log.read_text().count(text)


@pytest.fixture
async def desk(tmp_path: Path, example: Path) -> AsyncIterator[Desk]:
    found = Desk(tmp_path, example)
    found.save(found.text)
    await found.start()
    yield found
    assert found.process is not None
    if found.process.returncode is None:
        found.process.kill()
        await found.process.wait()
    await asyncio.to_thread(sweep, tmp_path / "state")


async def test_a_line_is_answered_once_also_when_the_sidecar_is_killed(desk: Desk) -> None:
    desk.say("good morning")
    await desk.until(lambda: len(desk.replies()) == 1)
    assert desk.replies()[0].endswith("good morning")

    async def is_noted() -> bool:  # killed before, it would say it again
        return not (await desk.status())["outbox"]["pending"]

    await until(is_noted)
    assert desk.process is not None
    desk.process.kill()
    await desk.process.wait()
    (desk.folder / "state" / "lines-desk").write_text("0")  # as if it died before it noted them
    desk.say("good night")
    await desk.start()
    await desk.until(lambda: len(desk.replies()) == 2)
    assert desk.replies()[1].endswith("good night")


async def test_its_channel_comes_and_goes_with_the_config_and_the_other_stays(desk: Desk) -> None:
    desk.say("one")
    await desk.until(lambda: desk.replies())
    before = (await desk.status())["channels"]["desk"]
    desk.save(desk.text.replace("runtimes:", f"{SECOND}runtimes:"))
    desk.say("two", "in2.txt")
    await desk.until(lambda: desk.replies("out2.txt"))
    assert desk.replies("out2.txt")[0].endswith("two")
    desk.save(desk.text)
    await desk.until(lambda: desk.logged("channel wall: removed"))
    assert (await desk.status())["channels"] == {"desk": before}


async def test_a_mistake_in_its_options_is_told_and_changes_nothing(desk: Desk) -> None:
    desk.say("one")
    await desk.until(lambda: desk.replies())
    desk.save(desk.text.replace("every: 20ms", "evry: 20ms"))
    await desk.until(lambda: desk.logged("unknown key 'evry' (did you mean 'every'?)"))
    desk.say("two")
    await desk.until(lambda: len(desk.replies()) == 2)


async def test_notes_are_what_templates_see_under_their_name(desk: Desk) -> None:
    (desk.folder / "NOTES.md").write_text("first\nsecond\nthird\n")
    template = "  system_context: '{{ notes | join(\"+\") }}'\n"
    route = desk.text.replace(
        "default_route: {runtime: bird, cwd: .}\n",
        f"default_route:\n  runtime: bird\n  cwd: .\n{template}context: {{notes: {{lines: 2}}}}\n",
    )
    desk.say("hello")
    await desk.until(lambda: desk.replies())
    desk.save(route)
    await desk.until(lambda: desk.logged("config applied"))
    desk.say("what do we know?")
    await desk.until(lambda: len(desk.replies()) == 2)
    assert desk.replies()[1] == "second+third\n\nwhat do we know?"


def test_the_config_of_the_example_is_valid(sidecar: Callable[..., Any], example: Path) -> None:
    assert sidecar("validate", path=example, cwd=EXAMPLE).out == "config.yaml is valid\n"
