"""What a snapshot does at the end of the sidecar."""

from pathlib import Path
from typing import cast

import pytest

from sidecar import metrics
from sidecar.api import ContextProvider, ContextType, Runtime
from sidecar.app.turns.contexts import ContextUse
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot, close
from sidecar.config import model as config
from sidecar.core.routing import Router
from sidecar.prompts.render import Prompts


class Part:
    """A runtime, or a context, of which only the end matters."""

    def __init__(self, name: str, closed: list[str]) -> None:
        self.name = name
        self.closed = closed

    async def close(self) -> None:
        self.closed.append(self.name)
        if "bad" in self.name:
            raise ValueError(f"{self.name} is broken")


async def test_all_parts_are_closed_though_some_of_them_fail_at_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    def runtime(name: str) -> RuntimeUse:
        return RuntimeUse(config.Runtime(name, "command"), cast(Runtime, Part(name, closed)))

    def context(name: str) -> ContextUse:
        provider = cast(ContextProvider, Part(name, closed))
        return ContextUse(ContextType(name, {}, lambda *_: provider), {}, provider)

    snapshot = Snapshot(
        1,
        config.Config(config.State(tmp_path), None),
        Router((), None),
        Prompts(),
        {name: runtime(name) for name in ("bad_agent", "agent")},
        {name: context(name) for name in ("bad_notes", "notes")},
    )
    before = metrics.value("task_failures_total", task="close")
    await close(snapshot)
    assert closed == ["bad_agent", "agent", "bad_notes", "notes"]
    assert metrics.value("task_failures_total", task="close") == before + 2
    assert "runtime bad_agent: cannot be closed" in caplog.text
    assert "context bad_notes: cannot be closed" in caplog.text
