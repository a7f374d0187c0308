"""How much work a prompt and a route are, counted in calls of functions: no clock is asked."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from sidecar.config.model import Match, Route
from sidecar.core.routing import Router
from sidecar.model import Conversation, Message, Sender
from sidecar.prompts.render import Prompts
from sidecar.prompts.samples import SAMPLES

SAMPLE = "a message of a person in a group"
"""With all that context providers can tell."""


def calls(work: Callable[[], object]) -> int:
    """The calls that the second run takes: of functions in Python and in C."""
    count = 0

    def seen(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    work()
    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_the_built_in_prompt_takes_no_more_steps_than_it_did() -> None:
    prompts, turn = Prompts(), SAMPLES[SAMPLE]
    assert calls(lambda: prompts.render(turn)) <= 1900


def test_a_route_among_10_000_is_found_in_as_many_steps_as_among_10() -> None:
    for match in (
        lambda room: Match(conversation=(room,)),
        lambda room: Match(conversation_prefix=(room,)),
    ):
        steps = []
        for count in (10, 10_000):
            matches = [match(f"rm_{number:06}") for number in range(count)]
            routes = [Route(f"r{n}", "runtime", Path("/"), one) for n, one in enumerate(matches)]
            router = Router(routes, None)
            place = Conversation(f"rm_{count - 1:06}", "group")
            said = Message("demo", "demo", "m", place, Sender("s", "human"), "hello", 0.0)
            assert router.match(said) == routes[-1]
            steps.append(calls(lambda router=router, said=said: router.match(said)))
        assert steps[0] == steps[1]
