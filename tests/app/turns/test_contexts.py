"""Context providers as a snapshot holds them and a turn asks them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar import metrics
from sidecar.api import Asked, ContextType, Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.app.turns.contexts import ContextUse, ask, build_contexts, hold, release, retire
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.app.turns.tools import tool_servers
from sidecar.app.turns.work import Running, Work
from sidecar.config.model import Config, Context, Route, Runtime, State
from sidecar.contexts.memory import tool_server
from sidecar.core.routing import Router
from sidecar.model import Conversation, Message, Sender
from sidecar.prompts.render import Prompts
from tests.patience import PATIENCE, until

PLACE = Conversation("rm_1", "group")
ASKED = Asked(Message("c", "a", "m", PLACE, Sender("s", "human"), "hi", 0.0), Path("/"), 0.0)


class Provider:
    """Tells its number, or fails; or does neither, until it is told twice to end."""

    def __init__(self, value: object, *, hangs: bool = False) -> None:
        self.told = value
        self.hangs = hangs
        self.asked = 0
        self.closed = False

    async def value(self, asked: Asked) -> object:
        self.asked += 1
        if self.hangs:
            never = asyncio.Event()
            try:
                await never.wait()
            except asyncio.CancelledError:
                await never.wait()  # a stubborn one
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    async def close(self) -> None:
        self.closed = True


def use(provider: Provider) -> ContextUse:
    return ContextUse(ContextType("x", {}, lambda *_: provider, empty="empty"), {}, provider)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    found = Supervisor()
    yield found
    await found.close()


async def test_only_what_is_needed_is_asked_and_what_fails_or_hangs_is_empty(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    parts = {
        "good": Provider(1),
        "bad": Provider(ValueError("no luck")),
        "slow": Provider(2, hangs=True),
        "idle": Provider(3),
    }
    contexts = {name: use(provider) for name, provider in parts.items()}
    before = metrics.value("context_failures_total", context="slow")
    async with asyncio.timeout(PATIENCE):  # it returns, though the slow one never does
        found = await ask(
            contexts, ["good", "bad", "slow"], ASKED, timeout=0.05, spawn=supervisor.spawn
        )
    assert found == {"good": 1, "bad": "empty", "slow": "empty"}
    assert parts["idle"].asked == 0
    assert metrics.value("context_failures_total", context="slow") == before + 1
    assert "context bad: ValueError: no luck" in caplog.text
    assert "context slow: no answer within 0.05 s" in caplog.text


async def test_a_retired_provider_is_closed_after_its_last_turn(supervisor: Supervisor) -> None:
    kept, gone = Provider(1), Provider(2)
    old = {"kept": use(kept), "gone": use(gone)}
    hold(old)
    retire(old, {"kept": old["kept"]}, supervisor.spawn)
    await asyncio.sleep(0)
    assert not gone.closed
    release(old, supervisor.spawn)
    await until(lambda: gone.closed)
    assert not kept.closed


async def test_an_unchanged_provider_is_taken_over(supervisor: Supervisor, tmp_path: Path) -> None:
    def host(name: str) -> Host:
        log = logging.getLogger("test")
        return Host(name, log, tmp_path, supervisor.spawn, lambda: None)  # type: ignore[arg-type, return-value]

    first = build_contexts(Context(), host, {})
    again = build_contexts(Context(room_ttl=1.0, working_memory=False), host, first)
    assert set(first) == {"memory", "activity", "room", "repo", "quoted"}
    assert set(again) == {"activity", "room", "repo", "quoted"}
    assert again["activity"] is first["activity"]
    assert again["room"] is not first["room"]


def test_an_agent_changes_the_memory_that_prompts_tell_also_when_another_folder_is_saved(
    tmp_path: Path,
) -> None:
    route, runtime = Route("all", "a", None), Runtime("a", "claude-code")
    saved = Config(State(tmp_path / "other"), route, runtimes={"a": runtime})
    snapshot = Snapshot(2, saved, Router((), route), Prompts(), {})
    running = Running(snapshot, RuntimeUse(runtime, cast(Any, None)), 0.0)
    work = Work("t", (ASKED.message,), route, "owner", tmp_path)
    assert tool_servers(work, running) == (tool_server(tmp_path, "a"),)
