"""Whatever comes in which order, every message has one outcome, and every reply arrives once.

Hypothesis makes up the lives of a sidecar: messages, repeats, turns that end in all ways, saves,
cancellations, channels that fail, replies that are given up or tried again, journals that are
deleted, and deaths.
"""

import asyncio
import json
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sidecar.app.turns.recover import recover
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.app.turns.under_way import under_way
from sidecar.config import model as config
from sidecar.core.routing import Router
from sidecar.errors import ChannelUnavailable, ReplyRefused
from sidecar.model import AgentEvent, Block, Conversation, Failure, Job, Message, Reply, TurnEnded
from sidecar.prompts.render import Prompts
from sidecar.store.journal import Journal
from tests.app.conftest import Line, Rig
from tests.proofs.conftest import LONG, PATIENCE, SEED, seconds_left, tell

ROOMS = ("one", "two", "three")
FINAL = {"answered", "silent", "failed", "cancelled", "dropped", "merged"}
PROMPTS = Prompts()
MOMENT = 0.002
"""Seconds that pass after each thing that happens: for some of it enough, for some not."""
ENDS: dict[str, list[AgentEvent]] = {
    "answer": [TurnEnded("an answer")],
    "silence": [TurnEnded("NO_REPLY")],
    "failure": [Block("assistant", "half"), TurnEnded("half", failure=Failure("exited", "x"))],
    "defect": [],
}
ANSWERS: dict[str, Callable[[], Exception]] = {
    "away": lambda: ChannelUnavailable("away"),
    "refused": lambda: ReplyRefused("not a member"),
    "away for longer": lambda: ChannelUnavailable("away for longer", 0.02),
    "defect": lambda: OSError("a defect"),
}


class Puppet:
    """A runtime whose turns end when, and as, they are told to."""

    def __init__(self) -> None:
        self.turns: dict[str, asyncio.Future[str]] = {}
        self.rooms: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.overlaps = 0

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        self.runs[job.turn] += 1
        room = job.prompt.user.partition("room-")[2].partition(";")[0]
        self.rooms[room] += 1
        self.overlaps += self.rooms[room] > 1
        self.turns[job.turn] = asyncio.get_running_loop().create_future()
        try:
            for event in ENDS[await self.turns[job.turn]]:
                yield event
        finally:
            self.rooms[room] -= 1
            del self.turns[job.turn]

    async def close(self) -> None: ...

    def end(self, turn: str, how: str) -> None:
        if not self.turns[turn].done():
            self.turns[turn].set_result(how)


class FaultyLine(Line):
    """A channel that fails as often as it is told to, and may take a reply all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[str, bool]] = []

    async def send(self, reply: Reply) -> str | None:
        how, taken = self.answers.pop(0) if self.answers else ("", True)
        if taken and how != "refused":
            await super().send(reply)
        if how:
            raise ANSWERS[how]()
        return None


class Life(Rig):
    """One life of the sidecar."""

    queue: Any = "serial"
    slots = 2
    depth = 3
    timeout: float | None = None

    def _snapshot(self, route: config.Route) -> Snapshot:
        limits = config.Limits(concurrent_turns=self.slots, queue_depth=self.depth)
        found = replace(route, queue=self.queue, turn_timeout=self.timeout, user_turn=None)
        agent = config.Runtime("agent", "command")
        checked = config.Config(
            config.State(route.cwd), found, limits=limits, runtimes={"agent": agent}
        )
        use = RuntimeUse(agent, self.agent)
        return Snapshot(1, checked, Router((), found), PROMPTS, {"agent": use})


class Lives(RuleBasedStateMachine):
    """The lives of a sidecar, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.loop = asyncio.Runner()
        self.said: list[Message] = []
        self.puppet = Puppet()
        self.line = FaultyLine()
        self.refusals = 0
        self.begin()

    def do(self, *, moments: int = 1) -> None:
        """Let what was begun go on for a while."""
        self.loop.run(asyncio.sleep(moments * MOMENT))

    def begin(self) -> None:
        self.most = Life.slots

        async def start() -> None:
            self.journal = await Journal.open(self.folder, session_ttl=60.0, now=time.time())
            self.life = Life(self.folder, self.journal, self.puppet, self.line)  # type: ignore[arg-type]
            self.journal.protect(partial(under_way, self.life.dispatcher, self.life.outbox))
            recover(await self.journal.unfinished(), self.life.dispatcher, self.life.speakers.find)
            self.life.outbox.add(await self.journal.pending_replies())

        self.loop.run(start())

    def die(self) -> None:
        async def end() -> None:
            await self.life.close()
            await self.journal.close()

        self.loop.run(end())
        assert not self.puppet.turns

    @rule(
        room=st.sampled_from(ROOMS),
        kind=st.sampled_from(["owner", "human"]),
        count=st.integers(1, 3),
        moments=st.integers(0, 3),
    )
    def say(self, room: str, kind: Any, count: int, moments: int) -> None:
        messages = [
            replace(
                self.life.message(f"room-{room};", kind, conversation=Conversation(room, "group")),
                id=f"m{len(self.said) + number}",
            )
            for number in range(count)
        ]
        self.said += messages
        self.loop.run(self.life.intake.accept(messages))
        self.do(moments=moments)

    @rule(picks=st.lists(st.integers(0, 30), min_size=1, max_size=3))
    def repeat(self, picks: list[int]) -> None:
        messages = [self.said[pick % len(self.said)] for pick in picks if self.said]
        self.loop.run(self.life.intake.accept(messages))
        self.do()

    @rule(pick=st.integers(0, 3), how=st.sampled_from(sorted(ENDS)), moments=st.integers(0, 3))
    def end(self, pick: int, how: str, moments: int) -> None:
        turns = list(self.puppet.turns)
        for turn in turns[pick : pick + 1]:
            self.puppet.end(turn, how)
        self.do(moments=moments)

    @rule(pick=st.integers(0, 5), tell=st.sampled_from([None, "it was cancelled"]))
    def cancel(self, pick: int, tell: str | None) -> None:
        async def cancel() -> None:
            dispatcher = self.life.dispatcher
            turns = [*dispatcher.running, *dispatcher.waiting]
            for turn in turns[pick : pick + 1]:
                dispatcher.cancel(turn, "cancelled by a person", tell=tell)
            await asyncio.sleep(MOMENT)

        self.loop.run(cancel())

    @rule(
        queue=st.sampled_from(["serial", "cancel-previous", "coalesce"]),
        slots=st.integers(1, 4),
        depth=st.integers(1, 4),
        timeout=st.sampled_from([None, None, 0.01]),
    )
    def save(self, queue: str, slots: int, depth: int, timeout: float | None) -> None:
        self.life.queue, self.life.slots, self.life.depth = queue, slots, depth
        self.life.timeout = timeout

        async def reload() -> None:
            self.life.reroute()
            await asyncio.sleep(MOMENT)

        self.loop.run(reload())
        self.most = max(self.most, slots)
        assert len(self.life.dispatcher.running) <= self.most

    @rule(answers=st.lists(st.tuples(st.sampled_from(sorted(ANSWERS)), st.booleans()), max_size=3))
    def fail(self, answers: list[tuple[str, bool]]) -> None:
        self.line.answers += answers
        self.refusals += sum(how == "refused" for how, _ in answers)

    @rule(pick=st.integers(0, 3))
    def give_up(self, pick: int) -> None:
        for pending in self.life.outbox.pending[pick : pick + 1]:
            self.refusals += self.loop.run(self.life.outbox.drop(pending.id))
        self.do()

    @rule()
    def try_again(self) -> None:
        with closing(sqlite3.connect(self.folder / "journal.db")) as db:
            refused = db.execute("select id from reply where state = 'refused'").fetchall()

        async def requeue() -> None:
            for (reply,) in refused:
                if (pending := await self.journal.requeued(reply, now=time.time())) is not None:
                    self.life.outbox.add([pending])

        self.loop.run(requeue())

    @rule(end=st.sampled_from(["", "-wal", "*"]))
    def delete_the_journal(self, end: str) -> None:
        for path in self.folder.glob(f"journal.db{end}"):
            path.unlink()
        self.loop.run(self.journal.forget_account("none", "none"))  # with which it is noticed

    @rule(moments=st.integers(0, 2))
    def crash(self, moments: int) -> None:
        self.do(moments=moments)
        self.die()
        self.begin()
        self.do()

    def teardown(self) -> None:
        try:
            self.loop.run(self.settle())
            self.die()
            self.judge()
        finally:
            self.loop.close()
            self.place.cleanup()

    async def settle(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.journal.unfinished() or await self.journal.pending_replies():
                for turn in list(self.puppet.turns):
                    self.puppet.end(turn, "answer")
                await asyncio.sleep(MOMENT)

    def judge(self) -> None:
        """What must hold at the end, whatever happened."""
        rows = self.rows()
        assert rows.keys() == {message.id for message in self.said}
        assert {row[1] for row in rows.values()} <= FINAL
        assert not self.puppet.overlaps, "two turns of a conversation at once"
        assert all(count <= 2 for count in self.puppet.runs.values())
        keys: dict[str, set[str]] = {}
        for reply in self.line.taken:
            keys.setdefault(str(reply.answers), set()).add(reply.key)
        assert [message for message, found in keys.items() if len(found) > 1] == []
        answered = {turn for turn, state, _ in rows.values() if state in ("answered", "failed")}
        told = {rows[message][0] for message in keys}
        assert len(answered - told) <= self.refusals, "not told"
        for room in ROOMS:
            newest = [one.id for one in self.said if one.conversation.id == room][-1:]
            assert all(rows[one][2] != "superseded" for one in newest), "the newest never ran"

    def rows(self) -> dict[str, tuple[str, str, str]]:
        """The turn, its state and its error of each message."""
        sql = "select body, turn.id, state, error from message join turn on turn.seq = message.turn"
        with closing(sqlite3.connect(self.folder / "journal.db")) as db:
            return {json.loads(body)["id"]: tuple(rest) for body, *rest in db.execute(sql)}  # type: ignore[misc]


@pytest.mark.timeout(3600 if LONG else 180)
def test_whatever_happens_each_message_has_one_outcome_and_each_reply_arrives() -> None:
    count = 0
    while count < (1000 if LONG else 8) and (seconds_left() or not count):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            seed(SEED + count)(Lives),
            settings=settings(
                max_examples=8,
                stateful_step_count=50 if LONG else 25,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # what lasts is not made shorter by many tries
                suppress_health_check=list(HealthCheck),
            ),
        )
        count += 8
    tell("lives", examples=count)
