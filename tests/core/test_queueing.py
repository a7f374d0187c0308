from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.queueing import Cancel, Drop, Lane, Ticket, finished, offer, take, withdraw


def test_serial_turns_run_one_after_the_other_in_order() -> None:
    lane, _ = offer(Lane(), Ticket("a", "serial"), 10)
    lane, _ = offer(lane, Ticket("b", "serial"), 10)
    lane, first = take(lane)
    assert [ticket.turn for ticket in first] == ["a"]
    assert not lane.ready
    lane, second = take(finished(lane))
    assert [ticket.turn for ticket in second] == ["b"]
    assert finished(lane).idle


def test_a_new_message_cancels_the_running_turn_and_joins_the_waiting_ones() -> None:
    lane, _ = offer(Lane(), Ticket("a", "cancel-previous"), 10)
    lane, _ = take(lane)
    lane, commands = offer(lane, Ticket("b", "cancel-previous"), 10)
    assert commands == [Cancel("a")]
    lane, commands = offer(lane, Ticket("c", "cancel-previous"), 10)
    assert commands == [Cancel("a")]
    _, tickets = take(finished(lane))
    assert [ticket.turn for ticket in tickets] == ["b", "c"]


def test_a_new_message_supersedes_waiting_ones_that_one_turn_cannot_answer_with_it() -> None:
    lane, _ = offer(Lane(), Ticket("a", "cancel-previous", "public"), 10)
    lane, commands = offer(lane, Ticket("b", "cancel-previous", "owner"), 10)
    assert commands == [Drop("a", "superseded")]
    assert [ticket.turn for ticket in lane.waiting] == ["b"]


def test_where_no_more_may_wait_the_newest_takes_the_place_of_the_oldest() -> None:
    lane = Lane()
    for turn in "abc":
        lane, commands = offer(lane, Ticket(turn, "cancel-previous"), 2)
    assert commands == [Drop("a", "full")]
    assert [ticket.turn for ticket in lane.waiting] == ["b", "c"]


def test_what_arrives_during_a_turn_becomes_one_next_turn() -> None:
    lane, _ = offer(Lane(), Ticket("a", "coalesce"), 10)
    lane, _ = take(lane)
    for turn in "bcd":
        lane, _ = offer(lane, Ticket(turn, "coalesce"), 10)
    _, tickets = take(finished(lane))
    assert [ticket.turn for ticket in tickets] == ["b", "c", "d"]


def test_turns_of_different_trust_are_never_merged() -> None:
    lane = Lane()
    for turn, group in (("a", "owner"), ("b", "public"), ("c", "owner")):
        lane, _ = offer(lane, Ticket(turn, "coalesce", group), 10)
    lane, tickets = take(lane)
    assert [ticket.turn for ticket in tickets] == ["a"]
    lane, tickets = take(finished(lane))
    assert [ticket.turn for ticket in tickets] == ["b"]


def test_a_full_lane_refuses_the_new_turn_and_keeps_the_old_ones() -> None:
    lane, _ = offer(Lane(), Ticket("a", "serial"), 1)
    lane, commands = offer(lane, Ticket("b", "serial"), 1)
    assert commands == [Drop("b", "full")]
    assert [ticket.turn for ticket in lane.waiting] == ["a"]


def test_a_withdrawn_turn_does_not_run() -> None:
    lane, _ = offer(Lane(), Ticket("a", "serial"), 10)
    assert withdraw(lane, "a").idle


MODES = st.sampled_from(["serial", "cancel-previous", "coalesce"])


@settings(max_examples=100)
@given(st.lists(st.one_of(st.just("take"), st.just("end"), MODES), max_size=40), st.integers(0, 4))
def test_every_turn_is_run_or_dropped_exactly_once_and_in_order(
    events: list[str], depth: int
) -> None:
    lane, offered, ran, dropped = Lane(), [], [], []
    for event in [*events, *["end", "take"] * (len(events) + 1), "end"]:
        if event == "take":
            if lane.ready:
                lane, tickets = take(lane)
                ran += [ticket.turn for ticket in tickets]
        elif event == "end":
            lane = finished(lane)
        else:
            turn = str(len(offered))
            offered.append(turn)
            lane, commands = offer(lane, Ticket(turn, event), depth)  # type: ignore[arg-type]
            dropped += [one.turn for one in commands if isinstance(one, Drop)]
    assert lane.idle
    assert sorted(ran + dropped, key=int) == offered
    assert ran == sorted(ran, key=int)
