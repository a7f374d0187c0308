"""What a room and the journal see of budgets, rotated sessions and choices of a route."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import events
from sidecar.app.turns.budgets import Budgets
from sidecar.config.model import Budget, Runtime, SessionBounds
from sidecar.core.budgets import KEPT
from sidecar.model import Failure, TurnEnded, Usage


def cost(usd: float | None, text: str = "fine", session: str | None = None) -> list[TurnEnded]:
    return [TurnEnded(text, session, usage=Usage(100, 20, usd))]


def states(rig: Any) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(rig.folder / "journal.db")) as db:
        return [(state, error) for state, error in db.execute(
            "select state, error from turn order by seq"
        )]  # fmt: skip


async def test_a_budget_that_is_used_up_is_told_once_and_what_follows_is_refused(rig: Any) -> None:
    rig.reroute(budget=Budget(1.0, "month"))
    rig.agent.script = [cost(0.4), cost(0.7)]
    for text in ("one", "two", "three", "four"):
        await rig.say(text)
        await rig.quiet()
    assert len(rig.agent.jobs) == 2
    assert rig.texts[:2] == ["fine", "fine"]
    [told] = rig.texts[2:]
    assert "budget" in told
    assert "renews at" in told
    assert rig.line.taken[2].kind == "notice"
    assert [state for state, _ in states(rig)] == ["answered", "answered", "dropped", "dropped"]
    assert states(rig)[3][1] == '"budget"'


async def test_a_budget_that_is_raised_lets_the_next_turn_run_and_is_told_anew(rig: Any) -> None:
    rig.reroute(budget=Budget(1.0, "month"))
    rig.agent.script = [cost(1.0), cost(1.0)]
    await rig.say("one")
    await rig.quiet()
    await rig.say("refused")
    await rig.quiet()
    rig.reroute(budget=Budget(1.5, "month"))
    await rig.say("two")
    await rig.quiet()
    await rig.say("refused again")
    await rig.quiet()
    assert len(rig.agent.jobs) == 2
    assert ["budget" in text for text in rig.texts] == [False, True, False, True]


async def test_failed_turns_cost_as_well_and_every_run_of_a_turn_counts(rig: Any) -> None:
    passing = Failure("api", "busy", retryable=True)
    rig.agent.script = [
        [TurnEnded("", None, passing, Usage(1, 2, 0.25))],
        [TurnEnded("", None, Failure("api", "broken"), Usage(10, 20, 0.5))],
    ]
    await rig.say("one")
    await rig.quiet()
    [(route, _, usd)] = await rig.journal.spent(time.time() - KEPT)
    assert (route, usd) == ("all", 0.75)
    with closing(sqlite3.connect(rig.folder / "journal.db")) as db:
        [(usage,)] = db.execute("select usage from turn")
    assert usage == '{"input_tokens":11,"output_tokens":22,"cost_usd":0.75}'


async def test_a_restart_goes_on_counting_where_the_last_run_ended(rig: Any) -> None:
    rig.reroute(budget=Budget(1.0, "month"))
    rig.agent.script = [cost(1.0)]
    await rig.say("one")
    await rig.quiet()
    again = Budgets(await rig.journal.spent(time.time() - KEPT))
    shown = again.picture([rig.route])
    assert shown["all"]["spent"] == 1.0
    assert shown["all"]["usd"] == 1.0


async def test_a_runtime_that_tells_no_cost_spends_nothing(rig: Any) -> None:
    rig.reroute(budget=Budget(0.01))
    rig.agent.script = [cost(None), cost(None)]
    await rig.say("one")
    await rig.say("two")
    await rig.quiet()
    assert rig.texts == ["fine", "fine"]


async def test_coalesced_turns_are_refused_together(rig: Any) -> None:
    rig.reroute(queue="coalesce", budget=Budget(1.0, "month"))
    rig.agent.script = []
    await rig.say("wait")
    await rig.say("two")
    await rig.say("three")
    rig.budgets.spend(rig.dispatcher.running[next(iter(rig.dispatcher.running))][0],
                      Usage(cost_usd=2.0), time.time())  # fmt: skip
    rig.agent.go.set()
    await rig.quiet()
    assert [state for state, _ in states(rig)] == ["answered", "dropped", "dropped"]


async def test_a_route_chooses_its_model_and_takes_over_what_the_runtime_chooses(rig: Any) -> None:
    use = rig.snapshot.runtimes["agent"]
    use.config = replace(use.config, model="small", effort="low")
    rig.route = replace(rig.route, model="large")
    snapshot = replace(rig._snapshot(rig.route), runtimes={"agent": use})
    rig.dispatcher.use(snapshot)
    await rig.say("one")
    await rig.quiet()
    assert (rig.agent.jobs[0].model, rig.agent.jobs[0].effort) == ("large", "low")


async def test_a_session_at_its_bound_is_left_and_the_fresh_one_is_told_what_was_said(
    rig: Any,
) -> None:
    rig.reroute(session=SessionBounds(max_turns=2))
    rig.agent.script = [cost(0.1, f"answer {n}", session=f"s{(n + 1) // 2}") for n in range(1, 6)]
    for text in ("one", "two", "three", "four", "five"):
        await rig.say(text)
        await rig.quiet()
    assert [job.session for job in rig.agent.jobs[1:]] == ["s1", None, "s2", None]
    third = rig.agent.jobs[2].prompt.user
    assert third.startswith("[BotCord Notice]")
    assert '- owner "a-owner": one\n  → you answered: answer 1\n- owner "a-owner": two' in third
    assert third.endswith("three")
    assert "BotCord Notice" not in rig.agent.jobs[3].prompt.user


@pytest.mark.parametrize(
    "bounds", [SessionBounds(max_tokens=240), SessionBounds(idle=0.000001)], ids=str
)
async def test_tokens_and_idleness_end_a_session_too(rig: Any, bounds: SessionBounds) -> None:
    use = rig.snapshot.runtimes["agent"]
    use.config = Runtime("agent", use.config.type, session=bounds)
    rig.dispatcher.use(replace(rig._snapshot(rig.route), runtimes={"agent": use}))
    rig.agent.script = [cost(None, session="s1"), cost(None, session="s1"), cost(None)]
    for text in ("one", "two", "three"):
        await rig.say(text)
        await rig.quiet()
    expected = [None, "s1", None] if bounds.max_tokens else [None, None, None]
    assert [job.session for job in rig.agent.jobs] == expected


async def test_what_a_session_has_used_in_all_is_told_to_its_next_turn_and_to_no_fresh_one(
    rig: Any,
) -> None:
    rig.reroute(session=SessionBounds(max_turns=3))
    totals = (Usage(100, 20), None, Usage(300, 60), None)
    rig.agent.script = [[TurnEnded("fine", "s1", total=total)] for total in totals]
    for text in ("one", "two", "three", "four"):
        await rig.say(text)
        await rig.quiet()
    assert [job.total for job in rig.agent.jobs] == [None, totals[0], totals[0], None]


async def test_a_session_that_is_gone_is_replaced_by_one_that_is_told_what_was_said(
    rig: Any,
) -> None:
    gone = [TurnEnded("", None, Failure("session_missing", "gone"))]
    rig.agent.script = [cost(None, session="s1"), gone, cost(None, session="s2")]
    await rig.say("one")
    await rig.quiet()
    await rig.say("two")
    await rig.quiet()
    assert [job.session for job in rig.agent.jobs] == [None, "s1", None]
    assert "BotCord Notice" not in rig.agent.jobs[1].prompt.user
    assert 'owner "a-owner": one' in rig.agent.jobs[2].prompt.user


def test_nothing_is_shown_of_routes_that_have_neither_cost_nor_budget(tmp_path: Path) -> None:
    from sidecar.config.model import Route

    plain, bounded = Route("a", "r", tmp_path), Route("b", "r", tmp_path, budget=Budget(2.0))
    assert list(Budgets().picture([plain, bounded])) == ["b"]


async def test_a_turn_that_its_budget_refuses_is_an_event_as_each_dropped_turn_is(rig: Any) -> None:
    rig.reroute(budget=Budget(1.0, "month"))
    rig.agent.script = [cost(1.0)]
    await rig.say("one")
    await rig.quiet()
    with events.listen() as queue:
        await rig.say("refused")
        await rig.quiet()
        name, told = queue.get_nowait()
    assert (name, told["reason"]) == ("turn.dropped", "budget")
    assert (told["messages"], told["replies"]) == (["m2"], 1)


@pytest.mark.parametrize("wrong", [Usage(10**30, 1, 0.1), Usage(1, 1, float("nan"))])
async def test_a_figure_that_no_turn_can_have_holds_up_neither_the_turn_nor_its_budget(
    rig: Any, wrong: Usage
) -> None:
    rig.reroute(budget=Budget(1.0, "month"))
    rig.agent.script = [[TurnEnded("fine", "s1", usage=wrong)], cost(1.0)]
    for text in ("one", "two", "refused"):
        await rig.say(text)
        await rig.quiet()
    assert rig.texts[:2] == ["fine", "fine"]
    assert "budget" in rig.texts[2]


async def test_a_fresh_session_begins_at_its_first_turn_also_when_it_is_called_as_the_last_one(
    rig: Any,
) -> None:
    use = rig.snapshot.runtimes["agent"]
    use.config = Runtime("agent", use.config.type, session=SessionBounds(max_turns=2))
    rig.dispatcher.use(replace(rig._snapshot(rig.route), runtimes={"agent": use}))
    rig.agent.script = [cost(None, session="1") for _ in range(5)]
    for number in range(5):
        await rig.say(f"say {number}")
        await rig.quiet()
    assert [job.session for job in rig.agent.jobs] == [None, "1", None, "1", None]
