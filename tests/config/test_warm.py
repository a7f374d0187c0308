"""Runtimes whose processes stay."""

from collections.abc import Callable

import pytest

from sidecar.config.comparing.diff import difference
from sidecar.config.load import Loaded
from sidecar.config.model import Config, Warm

Check = Callable[[str], Loaded]
CONFIG = "version: 1\nruntimes: {a: {type: codex%s}}\ndefault_route: {runtime: a, cwd: .}\n"


@pytest.fixture
def config(check: Check, machine: object) -> Callable[[str], Config]:
    machine.programs = ("codex",)  # type: ignore[attr-defined]

    def written(warm: str) -> Config:
        found = check(CONFIG % warm)
        assert found.problems == ()
        assert found.config is not None
        return found.config

    return written


@pytest.mark.parametrize(
    ("text", "warm"),
    [
        ("", None),
        (", warm: null", None),
        (", warm: {max: 3}", Warm(3, 600.0)),
        (", warm: {max: 1, idle: 90s}", Warm(1, 90.0)),
    ],
)
def test_processes_stay_when_that_is_asked_for(
    config: Callable[[str], Config], text: str, warm: Warm | None
) -> None:
    assert config(text).runtimes["a"].warm == warm


def test_a_change_starts_the_runtime_anew(config: Callable[[str], Config]) -> None:
    old, new = config(", warm: {max: 3}"), config(", warm: {max: 4}")
    [change] = difference(old, new).changes
    assert (change.path, change.reload) == ("runtimes.a.warm.max", "component")
    [change] = difference(old, config("")).changes
    assert change.path == "runtimes.a.warm"
