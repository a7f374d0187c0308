"""Marks in the limits: of what is started, and of nothing else."""

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.runtimes.processes import limits
from sidecar.runtimes.processes.environment import STATE, TURN

ENV = {STATE: "a", TURN: "b", "PATH": "/bin"}


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    limits._can_mark.cache_clear()
    yield
    limits._can_mark.cache_clear()


def started(env: dict[str, str]) -> bytes:
    """The limits of a process that is started with an environment, and has wiped it."""
    with limits.marked(env):
        process = subprocess.Popen(["/usr/bin/env", "-i", "/bin/sleep", "600"], env=env)
    try:
        return Path(f"/proc/{process.pid}/limits").read_bytes()
    finally:
        process.kill()
        process.wait()


def test_a_child_carries_the_marks_and_this_process_does_not() -> None:
    before = resource.getrlimit(resource.RLIMIT_RSS)
    found = started(ENV)
    assert limits.carried(found, {STATE: "a", TURN: "b"})
    assert limits.carried(found, {STATE: "a"})
    assert not limits.carried(found, {STATE: "a", TURN: "c"})
    assert not limits.carried(found, {})
    assert not limits.carried(Path("/proc/self/limits").read_bytes(), {STATE: "a"})
    assert resource.getrlimit(resource.RLIMIT_RSS) == before


def test_one_without_marks_carries_none() -> None:
    assert not limits.carried(started({"PATH": "/bin"}), {STATE: "a"})


def test_where_limits_may_not_be_changed_it_is_started_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert not limits.carried(started(ENV), {STATE: "a"})
    assert not limits.carried(started(ENV), {STATE: "a"})
    assert caplog.text.count("may outlive its turn") == 1
