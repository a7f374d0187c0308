"""The model and the effort that a job names reach each CLI; limits reach its processes."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.model import Job
from sidecar.runtimes import claude_code, codex, gemini
from sidecar.runtimes.launch import Cli
from sidecar.runtimes.processes.bounds import Bounds

SESSION = "01a20200-1cea-7121-8444-d89c6bc58138"


async def argv(cli: Cli, job: Job) -> list[str]:
    return list((await cli.launch("/no/such/program", job, {}, {})).argv)


def pair(words: list[str], flag: str) -> list[str]:
    """What follows each place of a flag."""
    return [words[at + 1] for at, word in enumerate(words) if word == flag]


@pytest.fixture
def job(workshop: Any) -> Any:
    def make(**changes: Any) -> Job:
        found: Job = workshop.change(**changes)
        return found

    return make


async def test_claude_code_is_given_both(workshop: Any, job: Any) -> None:
    words = await argv(claude_code.ClaudeCode({}, workshop.host), job(model="opus", effort="high"))
    assert pair(words, "--model") == ["opus"]
    assert pair(words, "--effort") == ["high"]


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
@pytest.mark.parametrize("session", [None, SESSION])
async def test_codex_is_given_both_in_front_of_resume(
    job: Any, trust: str, session: str | None
) -> None:
    chosen = job(model="gpt-x", effort="low", trust=trust, session=session)
    words = await argv(codex.Codex({}), chosen)
    assert pair(words, "--model") == ["gpt-x"]
    assert 'model_reasoning_effort="low"' in pair(words, "--config")
    if session:
        assert words.index("--model") < words.index("resume")


async def test_gemini_is_given_the_model(workshop: Any, job: Any) -> None:
    assert pair(await argv(gemini.Gemini({}, workshop.host), job(model="pro")), "-m") == ["pro"]


async def test_without_a_choice_the_agent_chooses(workshop: Any, job: Any) -> None:
    for cli in (
        claude_code.ClaudeCode({}, workshop.host),
        codex.Codex({}),
        gemini.Gemini({}, workshop.host),
    ):
        words = await argv(cli, job())
        assert not {"--model", "-m", "--effort"} & set(words)
        assert "model_reasoning_effort" not in " ".join(words)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
def test_a_process_is_bounded_right_after_its_start(sleeper: subprocess.Popen[bytes]) -> None:
    Bounds(memory=64 << 20, nice=4).apply(sleeper.pid)
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_DATA) == (64 << 20, 64 << 20)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == min(19, ours + 4)


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
def test_no_bounds_change_nothing_and_a_process_that_is_gone_is_fine(
    sleeper: subprocess.Popen[bytes],
) -> None:
    before = resource.prlimit(sleeper.pid, resource.RLIMIT_DATA)
    Bounds.of({"memory_max": None, "nice": 0}).apply(sleeper.pid)
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_DATA) == before
    gone = subprocess.Popen(["true"])
    gone.wait()
    Bounds(memory=64 << 20, nice=4).apply(gone.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSYS, "no such call"), ValueError("no")], ids=repr
)
async def test_an_agent_that_cannot_be_bounded_runs_all_the_same(
    workshop: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(resource, "prlimit", refuse)
    runtime = workshop.command("echo done", python=False, memory_max=1 << 30)
    assert (await workshop.ended(runtime)).text == "done"
    assert f"takes what it wants of the machine: {error}" in caplog.text


GREEDY = """\
import resource, sys, time
while "bounded" in sys.argv and resource.getrlimit(resource.RLIMIT_DATA)[0] < 0:
    time.sleep(0.005)  # it is set right after the start
try:
    bytearray(200 << 20)
    print("had it")
except MemoryError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
@pytest.mark.parametrize(("most", "told"), [(None, "had it"), (100 << 20, "refused")])
async def test_an_agent_that_wants_more_memory_is_refused_it(
    workshop: Any, most: int | None, told: str
) -> None:
    from sidecar.runtimes import command

    words = ["bounded"] if most else []
    program = [sys.executable, "-I", "-S", "-c", GREEDY, *words]
    options = {"command": program, "memory_max": most}
    *_, ended = await workshop.events(command.build(options, workshop.host))
    assert ended.text.strip() == told
