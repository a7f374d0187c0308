"""Real coding-agent CLIs, a played model API, and what one needs to run turns of them.

These tests run in `make e2e-runtimes` alone.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.config.model import Warm
from sidecar.model import AgentEvent, Job, JobLimits, Prompt, TurnEnded
from sidecar.runtimes.acp import ACP
from sidecar.runtimes.claude_code import CLAUDE_CODE
from sidecar.runtimes.codex import CODEX
from sidecar.runtimes.gemini import GEMINI
from sidecar.runtimes.processes.environment import STATE, state_mark
from sidecar.runtimes.processes.tree import Member, marked
from tests.e2e.played_api import Call, PlayedApi
from tests.patience import PATIENCE

CLIS = os.environ.get("E2E_CLIS")
collect_ignore_glob = [] if CLIS else ["test_*.py"]

GEMINI_MODEL = "gemini-3.8-flash"
CODEX_MODEL = "gpt-5.5"
PROVIDER = (
    'model_providers.played={{name="played",base_url="{url}/v1",env_key="OPENAI_API_KEY",'
    'wire_api="responses",request_max_retries=0,stream_max_retries=0,supports_websockets=false}}'
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run turns of a CLI, with the tools of that CLI."""

    name: str
    type: RuntimeType
    options: Mapping[str, object]
    model: str
    shell: Callable[[str], Call]
    write: Callable[[str], Call]
    read: Callable[[str], Call]

    @property
    def cli(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def warm(self) -> bool:
        return "warm" in self.options


def _claude(url: str) -> dict[str, Any]:
    env = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "played",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        # Whoever is in the namespace is root there.
        "IS_SANDBOX": "1",
    }
    return {"command": program("claude"), "env": env}


def _codex(url: str) -> dict[str, Any]:
    args = ["-c", 'model_provider="played"', "-c", PROVIDER.format(url=url)]
    return {"command": program("codex"), "args": args, "env": {"OPENAI_API_KEY": "played"}}


def _gemini(url: str) -> dict[str, Any]:
    env = {"GEMINI_API_KEY": "played", "GOOGLE_GEMINI_BASE_URL": url}
    return {"command": program("gemini"), "env": env}


def _gemini_acp(url: str) -> dict[str, Any]:
    found = _gemini(url)
    settings = {"GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    command = [found["command"], "--acp", "-m", GEMINI_MODEL]
    return {"command": command, "env": {**found["env"], **settings}}


def program(name: str) -> str:
    return str(Path(CLIS or "/nowhere") / "node_modules" / ".bin" / name)


def _codex_shell(command: str) -> Call:
    return Call("exec_command", {"cmd": command})


def _gemini_tools() -> tuple[Callable[[str], Call], ...]:
    return (
        lambda line: Call("run_shell_command", {"command": line, "description": "a command"}),
        lambda path: Call("write_file", {"file_path": path, "content": "written\n"}),
        lambda path: Call("read_file", {"file_path": path}),
    )


def ways(url: str) -> dict[str, Way]:
    """All ways by their names, for the API at `url`."""
    warm = {"warm": Warm(2)}
    claude = partial(
        Way,
        type=CLAUDE_CODE,
        model="claude-opus-5-5",
        shell=lambda line: Call("Bash", {"command": line, "description": "a command"}),
        write=lambda path: Call("Write", {"file_path": path, "content": "written\n"}),
        read=lambda path: Call("Read", {"file_path": path}),
    )
    codex = partial(
        Way,
        type=CODEX,
        model=CODEX_MODEL,
        shell=_codex_shell,
        write=lambda path: Call(
            "apply_patch",
            f"*** Begin Patch\n*** Add File: {path}\n+written\n*** End Patch\n",
            freeform=True,
        ),
        read=lambda path: _codex_shell(f"cat {path}"),
    )
    shell, write, read = _gemini_tools()
    gemini = partial(Way, model=GEMINI_MODEL, shell=shell, write=write, read=read)
    found = [
        claude("claude-code", options=_claude(url)),
        claude("claude-code warm", options={**_claude(url), **warm}),
        codex("codex", options=_codex(url)),
        codex("codex warm", options={**_codex(url), **warm}),
        gemini("gemini", type=GEMINI, options=_gemini(url)),
        gemini("gemini-acp", type=ACP, options=_gemini_acp(url)),
        gemini("gemini-acp warm", type=ACP, options={**_gemini_acp(url), **warm}),
    ]
    return {way.name: way for way in found}


NAMES = tuple(ways(""))


class Bench:
    """One way to run turns, with a checkout, a home and a model of its own."""

    def __init__(self, way: Way, api: PlayedApi, host: Host, folder: Path) -> None:
        self.way = way
        self.api = api
        self.host = host
        self.folder = folder
        self.checkout = folder / "checkout"
        self.home = folder / "home"
        self.runtime = way.type.build(way.options, host)
        self._count = 0

    def job(self, text: str, **changes: Any) -> Job:
        self._count += 1
        limits = JobLimits(idle_timeout=PATIENCE, stop_grace=2.0, linger=2.0)
        system = changes.pop("system", "Answer in a word.")
        model = None if self.way.cli == "gemini-acp" else self.way.model
        job = Job(
            f"turn-{self._count}", "ag_1", Prompt(system, text), self.checkout, "owner",
            limits=limits, model=model,
        )  # fmt: skip
        return replace(job, **changes)

    async def events(self, text: str = "hello", **changes: Any) -> list[AgentEvent]:
        """All events of a turn."""
        return await self.run(self.runtime, text, **changes)

    async def run(self, runtime: Runtime, text: str, **changes: Any) -> list[AgentEvent]:
        async with aclosing(runtime.run(self.job(text, **changes))) as events:
            return [event async for event in events]

    async def ended(self, text: str = "hello", **changes: Any) -> TurnEnded:
        """How a turn ended."""
        last = (await self.events(text, **changes))[-1]
        assert isinstance(last, TurnEnded)
        return last

    async def answered(self, text: str = "hello", **changes: Any) -> TurnEnded:
        """How a turn ended that must be good."""
        ended = await self.ended(text, **changes)
        assert ended.failure is None, ended.failure
        return ended

    async def left(self) -> set[Member]:
        """The processes that turns have started and that still run."""
        return await asyncio.to_thread(marked, {STATE: state_mark(self.host.state)})

    def rebuilt(self, **options: object) -> Runtime:
        """A runtime of the same way with other options."""
        return self.way.type.build({**self.way.options, **options}, self.host)


@pytest.fixture
async def api() -> AsyncIterator[PlayedApi]:
    played = PlayedApi()
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder in which nothing is set but what Gemini CLI cannot do without."""
    found = tmp_path / "home"
    (found / ".gemini").mkdir(parents=True)
    settings = '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'
    (found / ".gemini" / "settings.json").write_text(settings)
    monkeypatch.setenv("HOME", str(found))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("XDG_", "OPENAI_", "GOOGLE_")):
            monkeypatch.delenv(name)
    return found


@pytest.fixture
async def make_bench(
    tmp_path: Path, home: Path, api: PlayedApi
) -> AsyncIterator[Callable[[str], Bench]]:
    supervisor = Supervisor()
    benches: list[Bench] = []
    for name in ("state", "checkout"):
        (tmp_path / name).mkdir()

    def no_http() -> NoReturn:
        raise AssertionError("a runtime needs no HTTP")

    host = Host(
        "it", logging.getLogger("sidecar.it"), tmp_path / "state", supervisor.spawn, no_http
    )

    def make(name: str) -> Bench:
        benches.append(Bench(ways(api.url)[name], api, host, tmp_path))
        return benches[-1]

    yield make
    for bench in benches:
        await bench.runtime.close()
    await supervisor.close()


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, make_bench: Callable[[str], Bench]) -> Bench:
    """Each way in turn."""
    return make_bench(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "speed":
                    terminalreporter.write_line(f"speed: {value}")
