"""A message that comes in the moment in which its agent is removed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.steering.agents import Agents
from sidecar.app.steering.managed import ManagedLayer
from sidecar.model import Message
from tests.app.steering.control_rig import running


async def test_what_was_being_taken_over_when_the_channel_went_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as rig:
        await rig.done("provision_agent", rig.agent(runtime="second"))
        journal, kept, go = rig.sidecar.journal, asyncio.Event(), asyncio.Event()
        accept, change, end_turns = journal.accept, ManagedLayer.change, Agents.end_turns

        async def slow(messages: Sequence[Message], **how: Any) -> Any:
            accepted = await accept(messages, **how)
            kept.set()
            await go.wait()
            return accepted

        async def late(layer: ManagedLayer, *rest: Any) -> None:
            rig.hub.owner_says("ag_new", "sleep")
            await kept.wait()
            await change(layer, *rest)

        async def then_it_goes_on(agents: Agents, agent: str) -> None:
            if kept.is_set():
                go.set()
            await end_turns(agents, agent)

        monkeypatch.setattr(journal, "accept", slow)
        monkeypatch.setattr(ManagedLayer, "change", late)
        monkeypatch.setattr(Agents, "end_turns", then_it_goes_on)
        await rig.done("revoke_agent", {"agentId": "ag_new"})
        await rig.sidecar._intake.settled("ag_new")
        assert kept.is_set()
        assert not rig.sidecar.dispatcher.running
        assert not rig.sidecar.dispatcher.waiting
