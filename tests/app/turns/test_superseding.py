"""What becomes of messages that a newer one of their conversation overtakes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar import events
from sidecar.app.turns.recover import recover
from sidecar.config import model as config
from sidecar.core import wording
from sidecar.model import Sender
from sidecar.store import listing
from tests.patience import until


def turns(folder: Path) -> Sequence[dict[str, Any]]:
    """The turns in the journal, the newest first."""
    with listing.reader(folder) as db:
        return listing.turns(db, state=None, conversation=None, most=10)


async def test_what_a_newer_message_stops_or_finds_waiting_is_answered_with_it(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait for the tests")
    await until(lambda: rig.agent.jobs)
    await rig.intake.accept([rig.message("fix them"), rig.message("wait, all of them")])
    await until(lambda: len(rig.agent.jobs) == 2)
    await rig.say("then push")
    await until(lambda: len(rig.agent.jobs) == 3)
    said = [job.prompt.user.split("\n") for job in rig.agent.jobs]
    texts = ["wait for the tests", "fix them", "wait, all of them", "then push"]
    assert [[line for line in lines if line in texts] for lines in said] == [
        texts[:1],
        texts[:3],
        texts,
    ]
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts == ["answer 3"]
    [last, joined, second, first] = await asyncio.to_thread(turns, rig.folder)
    assert (first["state"], first["went_on_as"]) == ("cancelled", second["turn"])
    assert (joined["state"], joined["went_on_as"]) == ("merged", second["turn"])
    assert (second["state"], second["went_on_as"]) == ("cancelled", last["turn"])
    assert last["state"] == "answered"


async def test_what_a_superseded_turn_was_asked_is_asked_again_after_a_restart(
    make_rig: Callable[[], Any],
) -> None:
    first, second = make_rig(), make_rig()
    first.reroute(queue="cancel-previous")
    await first.say("wait for me")
    await until(lambda: first.agent.jobs)
    first.dispatcher.fill = lambda: None  # the end comes before the next turn starts
    await first.say("and me")
    await until(lambda: not first.dispatcher.running)
    [left] = await first.journal.unfinished()
    assert [message.text for message in left.messages] == ["wait for me", "and me"]
    second.agent.go.set()
    recover([left], second.dispatcher, second.speakers.find)
    await second.quiet()
    assert second.texts == ["answer 1"]


async def test_who_is_superseded_by_somebody_trusted_more_is_told(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait", "human")
    await until(lambda: rig.agent.jobs)
    await rig.intake.accept([rig.message("and wait", "human"), rig.message("hello")])
    await rig.quiet()
    assert sorted(rig.texts) == sorted([wording.SUPERSEDED, wording.SUPERSEDED, "answer 2"])
    assert "and wait" not in rig.agent.jobs[1].prompt.user


async def test_what_was_planned_is_stopped_by_nobody_and_stops_nobody(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait", "agent", planned=True)
    await until(lambda: rig.agent.jobs)
    await rig.say("another plan", "agent", planned=True)
    await rig.say("hello")
    rig.agent.go.set()
    await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2", "answer 3"]


async def test_a_turn_that_has_its_answer_keeps_its_message(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    newer = rig.message("hello")
    [accepted] = await rig.journal.accept([newer], now=newer.received_at)
    rig.agent.go.set()  # the outcome stands before the cancellation arrives
    rig.dispatcher.offer(accepted.turn, newer)
    await rig.quiet()
    assert rig.texts == ["answer 1", "answer 2"]
    assert "wait" not in rig.agent.jobs[1].prompt.user
    assert [row["went_on_as"] for row in await asyncio.to_thread(turns, rig.folder)] == [None, None]


async def test_a_turn_has_no_more_trust_than_those_whose_messages_it_takes_over(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    await rig.say("wait", sender=Sender("somebody", "owner"))
    await until(lambda: rig.agent.jobs)
    rig.dispatcher.fill = lambda: None  # the next turn goes on waiting
    await rig.say("hello")
    grant = config.Grant(senders={"somebody": "public"})
    rig.channels["demo"] = replace(rig.channels["demo"], grant=grant)
    [work] = rig.dispatcher.waiting.values()
    assert work.trust == "owner"
    await until(lambda: not rig.dispatcher.running)
    assert work.trust == "public"


async def test_a_message_is_told_to_be_settled_once_when_its_turn_was_superseded(rig: Any) -> None:
    rig.reroute(queue="cancel-previous")
    with events.listen() as heard:
        await rig.say("wait")
        await until(lambda: rig.agent.jobs)
        await rig.say("hello")
        rig.agent.go.set()
        await rig.quiet()
    told = [heard.get_nowait() for _ in range(heard.qsize())]
    settled = [facts["messages"] for name, facts in told if name == "turn.ended"]
    assert settled == [[], ["m1", "m2"]]
