"""What a person has done while no sidecar runs, and what the next start makes of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.commands.offline import act
from sidecar.app.turns.recover import recover
from sidecar.config.model import State
from sidecar.core import wording
from sidecar.errors import ActionRefused, ChannelUnavailable, ReplyRefused, StateLocked
from sidecar.model import Failure, Reply, TurnEnded
from sidecar.store.lock import StateLock
from sidecar.store.records import PendingReply
from tests.patience import until


async def start_again(make_rig: Callable[[], Any]) -> Any:
    """The rig of a next start, when all is done."""
    rig = make_rig()
    rig.agent.go.set()
    rig.outbox.add(await rig.journal.pending_replies())
    recover(await rig.journal.unfinished(), rig.dispatcher, rig.speakers.find)
    await rig.quiet()
    return rig


async def test_turns_are_retried_and_cancelled(make_rig: Callable[[], Any], tmp_path: Path) -> None:
    rig = make_rig()
    rig.agent.script = [[TurnEnded("", failure=Failure("api", "no"))]]
    await rig.say("fails")
    await rig.quiet()
    await rig.say("wait")
    await until(lambda: len(rig.agent.jobs) == 2)
    await rig.say("waits")
    [running], [waiting] = list(rig.dispatcher.running), list(rig.dispatcher.waiting)
    failed = rig.line.taken[0].text.rpartition("reference ")[2].rstrip(")")
    await rig.close()

    state = State(tmp_path)
    again = (await act(state, "turns", "retry", failed))["turn"]
    assert again not in (failed, running, waiting)
    assert await act(state, "turns", "cancel", waiting) == {"turn": waiting}
    for verb, target in (("retry", failed), ("retry", "none"), ("cancel", waiting)):
        with pytest.raises(ActionRefused):
            await act(state, "turns", verb, target)
    rig = await start_again(make_rig)
    asked = [job.prompt.user.splitlines()[-1] for job in rig.agent.jobs]
    assert sorted(asked) == ["fails", "wait"]
    assert wording.STOPPED in rig.texts


async def test_sessions_are_forgotten(make_rig: Callable[[], Any], tmp_path: Path) -> None:
    rig = make_rig()
    rig.agent.script = [[TurnEnded("hello", session="s-1")]]
    await rig.say("hello")
    await rig.quiet()
    await rig.close()
    state = State(tmp_path)
    with pytest.raises(ActionRefused, match="called s-2"):
        await act(state, "sessions", "forget", "s-2")
    assert await act(state, "sessions", "forget", "s-1") == {"sessions": 1}
    rig = make_rig()
    await rig.say("again", id="m9")
    await rig.quiet()
    assert rig.agent.jobs[0].session is None


async def test_replies_are_dropped_and_tried_again(
    make_rig: Callable[[], Any], tmp_path: Path
) -> None:
    rig = make_rig()
    answers: list[Exception] = [ReplyRefused("no"), ChannelUnavailable("not now", 3600.0)]

    async def send(reply: Reply) -> str | None:
        raise answers[0] if len(answers) == 1 else answers.pop(0)

    rig.line.send = send
    await rig.say("first")
    await until(lambda: len(answers) == 1)
    await rig.say("second")
    await asyncio.sleep(0)

    async def tried() -> list[PendingReply]:
        return [one for one in await rig.journal.pending_replies() if one.attempts]

    await until(tried)
    await rig.close()

    state = State(tmp_path)
    assert await act(state, "outbox", "drop", "2") == {"reply": 2}
    assert await act(state, "outbox", "retry", "1") == {"reply": 1}
    for verb, target in (("drop", "2"), ("drop", "x"), ("retry", "3")):
        with pytest.raises(ActionRefused):
            await act(state, "outbox", verb, target)
    assert (await start_again(make_rig)).texts == ["answer 1"]


async def test_nothing_is_done_beside_a_sidecar_or_without_a_journal(
    make_rig: Callable[[], Any], tmp_path: Path
) -> None:
    with pytest.raises(ActionRefused, match="no journal in"):
        await act(State(tmp_path / "none"), "turns", "retry", "t")
    assert not (tmp_path / "none").exists()
    make_rig()
    lock = StateLock(tmp_path)
    await asyncio.to_thread(lock.acquire)
    with pytest.raises(StateLocked):
        await act(State(tmp_path), "turns", "retry", "t")
    await asyncio.to_thread(lock.release)
    with pytest.raises(ActionRefused, match="could forget one of the agents"):
        await act(State(tmp_path), "agents", "forget", "ag_1")
