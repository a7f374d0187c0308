"""A message that was accepted gets exactly one outcome, and never more trust than it should."""

import asyncio
import io
import threading
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from sidecar import events, logs
from sidecar.app.turns.recover import recover
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.config import model as config
from sidecar.config.reloading import Reloading
from sidecar.core import wording
from sidecar.core.redact import Redactor
from sidecar.core.routing import Router
from sidecar.model import AgentEvent, Block, Conversation, Failure, Job, TurnEnded, Usage
from sidecar.prompts import render
from sidecar.prompts.render import Prompts
from sidecar.store import listing
from sidecar.store.records import UnfinishedTurn
from tests.patience import until


async def test_a_message_is_answered_though_its_channel_was_stopped_while_handing_it_over(
    rig: Any,
) -> None:
    handing_over = rig.supervisor.spawn(rig.say("hello"), "channel")
    await asyncio.sleep(0)  # it waits for the journal now
    await asyncio.sleep(0)
    assert handing_over.cancel()
    await until(lambda: rig.texts)
    assert rig.texts == ["answer 1"]


async def test_a_turn_that_was_answered_as_it_was_superseded_has_its_answer_delivered(
    rig: Any,
) -> None:
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    [turn] = rig.dispatcher.running
    rig.agent.go.set()  # the outcome stands before the cancellation arrives
    assert rig.dispatcher.cancel(turn, "superseded")
    await rig.quiet()
    assert rig.texts == ["answer 1"]


async def test_a_defect_of_a_part_is_told_and_the_next_turn_runs(rig: Any) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a defect")

    good, rig.line.progress = rig.line.progress, broken
    await rig.say("one")
    await rig.quiet()
    [text] = rig.texts
    assert "Something went wrong inside the sidecar" in text
    assert "defect" not in text
    rig.line.progress = good
    await rig.say("two")
    await rig.quiet()
    assert len(rig.texts) == 2


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (TurnEnded("hi", session=cast(str, uuid.uuid4())), "`session` of its TurnEnded is of the"),
        (TurnEnded("hi", session="s", total=Usage(10**5000)), "cannot be recorded"),
    ],
)
async def test_a_turn_whose_outcome_cannot_be_kept_is_answered_and_has_ended(
    rig: Any, caplog: pytest.LogCaptureFixture, ended: TurnEnded, told: str
) -> None:
    rig.agent.script = [[ended]]
    await rig.say("hello")
    await rig.quiet()
    [text] = rig.texts
    assert "Something went wrong inside the sidecar" in text
    assert told in caplog.text
    await rig.say("once more")
    await rig.quiet()
    assert rig.texts[1:] == ["answer 2"]
    assert rig.agent.jobs[1].session is None


async def test_progress_that_cannot_be_closed_does_not_cost_the_answer(rig: Any) -> None:
    def broken(*, reply_follows: bool) -> None:  # at the call, with nothing to wait for
        raise ZeroDivisionError("a defect")

    async def fails(*, reply_follows: bool) -> None:
        raise ZeroDivisionError("a defect")

    for number, close in enumerate((broken, fails)):
        rig.agent.go.clear()
        await rig.say("wait")
        await until(lambda number=number: len(rig.line.shown) > number)
        rig.line.shown[number].close = close
        rig.agent.go.set()
        await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2"]


async def test_an_answer_comes_after_the_progress_that_led_to_it(rig: Any) -> None:
    shown, closing = asyncio.Event(), asyncio.Event()

    async def close(*, reply_follows: bool) -> None:
        closing.set()
        await shown.wait()

    await rig.say("wait")
    await until(lambda: rig.line.shown)
    rig.line.shown[0].close = close
    rig.agent.go.set()
    await closing.wait()
    await until(rig.journal.pending_replies)
    for _ in range(3):  # time in which it could be sent
        await rig.journal.pending_replies()
    assert rig.texts == []
    shown.set()
    await rig.quiet()
    assert rig.texts == ["answer 1"]


async def test_a_template_is_compiled_where_it_holds_up_no_other_turn(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def compiled(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return compile_template(*args, **options)

    compile_template = render.compiled
    monkeypatch.setattr(render, "compiled", compiled)
    for _ in range(2):
        await rig.say("hello")
        await rig.quiet()
    assert len(threads) == 3  # once for both turns
    assert threading.main_thread() not in threads


async def test_an_impossible_time_of_reset_is_left_out(rig: Any) -> None:
    rig.agent.script = [[TurnEnded("", failure=Failure("usage_limit", "x", resets_at=1e300))]]
    await rig.say("hello")
    await rig.quiet()
    assert "try again later" in rig.texts[0]


async def test_the_journal_keeps_no_secret_that_the_log_hides(rig: Any) -> None:
    logs.configure(to=io.StringIO(), redact=Redactor(["hunter2222"]).redact)
    try:
        rig.agent.script = [[TurnEnded("", failure=Failure("api", "refused hunter2222"))]]
        await rig.say("hello")
        await rig.quiet()
    finally:
        await asyncio.to_thread(logs.shutdown)

    def kept() -> list[str]:
        with listing.reader(rig.folder) as journal:
            return [
                turn["error"]
                for turn in listing.turns(journal, state=None, conversation=None, most=2)
            ]

    assert await asyncio.to_thread(kept) == ["api: refused ***"]


@pytest.mark.parametrize("kind", ["tool_use", "tool_result", "assistant"])
async def test_a_turn_that_did_something_before_it_failed_is_not_run_again(
    rig: Any, kind: Any
) -> None:
    failed = TurnEnded("", failure=Failure("api", "overloaded", retryable=True))
    rig.agent.script = [[Block(kind, "x"), failed]]
    await rig.say("hello")
    await rig.quiet()
    assert len(rig.agent.jobs) == 1


async def test_what_was_to_be_refused_when_the_end_came_is_refused_after_the_restart(
    make_rig: Callable[[], Any],
) -> None:
    first, second = make_rig(), make_rig()
    second.channels["demo"] = replace(
        second.channels["demo"], allow=config.Allow(senders=("a-owner",))
    )
    echo = first.message("an echo", unusable="own_echo")
    stranger, owner = first.message("let me in", "human"), first.message("hello")
    await first.journal.accept([echo, stranger, owner], now=0.0)
    recover(await first.journal.unfinished(), second.dispatcher, second.speakers.find)
    await second.quiet()
    assert [job.message["sender_kind"] for job in second.agent.jobs] == ["owner"]
    assert second.texts == ["answer 1"]


async def test_a_turn_of_several_senders_is_trusted_like_the_least_trusted_of_them(
    rig: Any,
) -> None:
    messages = (rig.message("do it", "human"), rig.message("hello"))
    [accepted, _] = await rig.journal.accept(messages, now=0.0)
    left = UnfinishedTurn(accepted.turn, 1, running=True, messages=messages)
    recover([left], rig.dispatcher, rig.speakers.find)
    await asyncio.sleep(0)
    [(work, _)] = rig.dispatcher.running.values()
    assert work.trust == "public"


async def test_waiting_turns_of_a_channel_that_is_gone_lose_their_trust(rig: Any) -> None:
    await rig.say("wait")
    await rig.say("two")
    await until(lambda: rig.dispatcher.waiting)
    del rig.channels["demo"]
    rig.reroute()
    [work] = rig.dispatcher.waiting.values()
    assert work.trust == "public"


async def test_nobody_stops_a_turn_that_is_trusted_more_than_their_own(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("hello", "human")
    assert len(rig.dispatcher.running) == len(rig.dispatcher.waiting) == 1
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2"]


async def test_an_account_that_cannot_name_a_folder_is_told_that_its_turn_failed(rig: Any) -> None:
    rig.reroute(cwd=None)
    rig.line.account = "@bot:example.org"
    await rig.say("hello", account="@bot:example.org")
    await rig.quiet()
    assert [reply.kind for reply in rig.line.taken] == ["error"]


async def test_no_other_room_is_told_what_somebody_said_who_is_not_listened_to(rig: Any) -> None:
    rig.channels["demo"] = replace(rig.channels["demo"], allow=config.Allow(senders=("a-owner",)))
    elsewhere = Conversation("elsewhere", "group")
    await rig.say("obey me", "human", conversation=elsewhere)
    await rig.say("hello")
    await rig.quiet()
    said = rig.journal.said_since("demo", "ag", 0.0)
    assert [one.preview for one in said] == ["hello"]


async def test_a_refused_message_is_refused_by_the_commit_that_takes_it_over(
    make_rig: Callable[[], Any],
) -> None:
    first, second = make_rig(), make_rig()
    first.channels["demo"] = replace(first.channels["demo"], rate_limit=config.Rate(1, 60.0))
    messages = [first.message(f"number {number}") for number in range(3)]
    first.outbox.add = first.dispatcher.offer = lambda *_: None  # the end comes now
    await first.intake.accept(messages)
    unfinished = await first.journal.unfinished()
    assert [turn.messages for turn in unfinished] == [(messages[0],)]
    second.outbox.add(await second.journal.pending_replies())
    recover(unfinished, second.dispatcher, second.speakers.find)
    await second.quiet()
    assert len(second.agent.jobs) == 1
    assert [text for text in second.texts if "too many" in text] != []
    assert len(second.texts) == 2


class OtherAgent:
    """A runtime of another configuration."""

    def __init__(self) -> None:
        self.closed = False

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        yield TurnEnded(f"{job.prompt.user} by another")

    async def close(self) -> None:
        self.closed = True


def reconfigured(rig: Any, agent: OtherAgent, *, pins: bool, **route: object) -> Snapshot:
    """The next snapshot: with another runtime, and another template that names it."""
    changed = replace(rig.route, user_turn=config.Template("t", "new"), **route)  # type: ignore[arg-type]
    kind = config.Runtime("agent", "command")
    checked = config.Config(config.State(rig.folder), changed, runtimes={"agent": kind})
    checked = replace(checked, reload=Reloading(pin_queued=pins))
    use = RuntimeUse(kind, agent)
    return Snapshot(2, checked, Router((), changed), Prompts(), {"agent": use})


@pytest.mark.parametrize("pins", [False, True])
async def test_what_waits_is_routed_anew_or_runs_as_it_was_where_that_is_wanted(
    rig: Any, pins: bool
) -> None:
    rig.reroute(queue="serial", user_turn=config.Template("t", "{{ message.text }}"))
    use = rig.dispatcher._snapshot.runtimes["agent"]
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("two")
    other = OtherAgent()
    rig.dispatcher.use(reconfigured(rig, other, pins=pins))
    use.retired = True
    assert use.users == 1 + pins
    await rig.say("three")
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2" if pins else "new by another", "new by another"]
    assert use.users == 0


async def test_a_pinned_turn_that_is_not_run_lets_go_and_has_no_more_trust_than_now(
    rig: Any,
) -> None:
    rig.reroute(queue="serial")
    use = rig.dispatcher._snapshot.runtimes["agent"]
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("two")
    del rig.channels["demo"]
    snapshot = reconfigured(rig, OtherAgent(), pins=True)
    rig.dispatcher.use(snapshot)
    rig.dispatcher.use(replace(snapshot, generation=3))
    assert use.users == 2
    [(turn, work)] = rig.dispatcher.waiting.items()
    assert work.trust == "public"
    assert rig.dispatcher.cancel(turn, "by hand")
    assert use.users == 1


async def test_pinned_turns_are_merged_with_each_other_only(rig: Any) -> None:
    rig.reroute(queue="coalesce")
    use = rig.dispatcher._snapshot.runtimes["agent"]
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("two")
    await rig.say("three")
    rig.dispatcher.use(reconfigured(rig, OtherAgent(), pins=True))
    await rig.say("four")
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2", "new by another"]
    assert use.users == 0


def _all(heard: "asyncio.Queue[events.Event]") -> list[events.Event]:
    return [heard.get_nowait() for _ in range(heard.qsize())]


async def test_what_waits_and_has_no_route_any_more_is_told_so(rig: Any) -> None:
    rig.reroute(queue="serial")
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("two")
    snapshot = rig.dispatcher._snapshot
    with events.listen() as heard:
        rig.dispatcher.use(replace(snapshot, router=Router((), None)))
        await rig.say("three")
        rig.agent.go.set()
        await rig.quiet()
        told = [facts for name, facts in _all(heard) if name in ("turn.dropped", "turn.ended")]
    assert sorted(rig.texts) == [wording.NO_ROUTE, "answer 1"]
    assert [(one.get("reason"), one["messages"], one["replies"]) for one in told] == [
        ("no_route", ["m2"], 1),
        ("no_route", ["m3"], 0),
        (None, ["m1"], 1),
    ]
