"""A start by a fork is a start: what the process finds, and what is known of it, is the same."""

import asyncio
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import starting
from tests.patience import PATIENCE, until

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="it forks on Linux alone")
PICTURE = ("-m", "tests.picture")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{starting.ROOT}:/somewhere", "ODD": "\udcff\n", **more}


@pytest.mark.parametrize("more", [{}, {"PYTHONWARNINGS": "error"}], ids=["", "warnings"])
async def test_a_fork_finds_what_a_fresh_interpreter_finds(
    tmp_path: Path, more: dict[str, str]
) -> None:
    env = environment(**more)
    code, told = await starting.run(*PICTURE, "a", "b c", cwd=tmp_path, env=env)
    assert code == 0, told.decode()
    real = await asyncio.create_subprocess_exec(
        sys.executable, *PICTURE, "a", "b c", cwd=tmp_path, env=env,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    expected, _ = await real.communicate()
    found: dict[str, Any] = json.loads(told)
    assert found == json.loads(expected)
    assert found["folder"] == str(tmp_path)
    assert found["environment"]["ODD"] == env["ODD"]


async def test_it_ends_as_a_fresh_interpreter_ends(tmp_path: Path) -> None:
    env = environment(PYTHONWARNINGS="error")
    code, told = await starting.run(*PICTURE, "leave", cwd=tmp_path, env=env)
    assert code == 0
    *said, warned = told.decode().partition("called at the end\n")
    assert "".join(said) == "waited for\ncalled at the end\n"
    assert "ResourceWarning: unclosed file" in warned


def test_it_is_a_process_as_of_subprocess(tmp_path: Path) -> None:
    program = "import os, sys; print(os.getcwd(), sys.stdin.read(), sys.argv[1]); sys.exit(3)"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": tmp_path, "text": True}
    with starting.popen("-I", "-c", program, "there", **options) as process:
        assert process.__class__ is not subprocess.Popen
        assert process.communicate("who", timeout=PATIENCE) == (f"{tmp_path} who there\n", None)
    assert process.returncode == 3


def test_an_isolated_one_writes_all_of_it_whatever_the_environment_says() -> None:
    program = "import sys; print(type(sys.stdout.buffer).__name__, sys.stdout.write_through)"
    code, told, _ = starting.said("-I", "-c", program)
    assert (code, told) == (0, b"BufferedWriter False\n")


def test_its_outcome_is_taken_by_one_thread_at_a_time() -> None:
    with starting.popen("-I", "-c", "") as process:
        select.select([process._descriptor], (), ())  # type: ignore[attr-defined]
        with process._waitpid_lock:  # type: ignore[attr-defined] # as another thread that waits
            assert process.poll() is None
        assert process.poll() == 0


async def test_its_code_is_told_and_the_signal_that_ended_it(tmp_path: Path) -> None:
    assert await starting.run(*PICTURE, "exit", cwd=tmp_path, env=environment()) == (7, b"")
    with (tmp_path / "log").open("ab") as log:
        process = await starting.start(*PICTURE, "wait", output=log, env=environment())
    assert isinstance(process, starting.Forked)
    await until(lambda: "waits" in (tmp_path / "log").read_text())
    assert process.returncode is None
    os.kill(process.pid, 0)
    process.kill()
    assert await process.wait() == -9
    process.kill()  # which is nothing any more
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "LC_ALL"])
async def test_what_a_fork_would_not_heed_is_a_fresh_start(tmp_path: Path, name: str) -> None:
    env = environment(**{name: "C" if name == "LC_ALL" else "1"})
    with (tmp_path / "log").open("ab") as log:
        process = await starting.start(*PICTURE, output=log, env=env)
    assert not isinstance(process, starting.Forked)
    assert await process.wait() == 0
