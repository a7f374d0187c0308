"""Whatever a tool prints, however it is cut or changed: its codec makes the events that are written
down of it, or survives, and ends once."""

import json
import random
from collections.abc import Callable

import pytest

from sidecar.codecs.ndjson import Lines
from sidecar.model import TurnEnded
from tests.codecs.expected import TOOLS, expected, told
from tests.codecs.recordings import Recordings

SESSION = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
ALL = [
    pytest.param(tool, scenario, id=f"{tool.name}-{scenario}")
    for tool in TOOLS
    for scenario in tool.scenarios
]
CHANGES: list[Callable[[object], object]] = [
    lambda value: None,
    lambda value: [value],
    lambda value: {"x": value},
    lambda value: 17,
    lambda value: "text",
    lambda value: True,
]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_each_recording_makes_the_events_that_are_written_down(tool: Recordings) -> None:
    written = expected(tool)
    assert list(written) == tool.scenarios
    for scenario, lines in written.items():
        assert told(tool, scenario) == lines, scenario


@pytest.mark.parametrize(("tool", "scenario"), ALL)
def test_a_recording_that_is_cut_or_changed(tool: Recordings, scenario: str) -> None:
    chance = random.Random(scenario)
    _pieces_change_nothing(tool, scenario, chance.choice([1, 7, 1000]))
    _an_early_end_is_an_end(tool, scenario, chance)
    _values_of_another_shape_never_raise(tool, scenario, chance)


def _pieces_change_nothing(tool: Recordings, scenario: str, size: int) -> None:
    assert tool.replay(scenario, size=size) == tool.replay(scenario)


def _an_early_end_is_an_end(tool: Recordings, scenario: str, chance: random.Random) -> None:
    data = tool.printed(scenario)
    for end in [chance.randrange(len(data) + 1) for _ in range(10)]:
        codec, lines = tool.make(SESSION), Lines()
        for piece in lines.feed(data[:end]) + lines.finish():
            codec.feed(piece)
        assert isinstance(codec.end(chance.choice([0, 1, 144, -9, None]), ""), TurnEnded)


def _values_of_another_shape_never_raise(
    tool: Recordings, scenario: str, chance: random.Random
) -> None:
    def changed(value: object) -> object:
        if chance.random() < 0.1:
            return chance.choice(CHANGES)(value)
        if isinstance(value, dict):
            return {key: changed(item) for key, item in value.items()}
        return [changed(item) for item in value] if isinstance(value, list) else value

    for _ in range(5):
        codec = tool.make(None)
        for text in tool.printed(scenario).decode().split("\n"):
            if text.startswith('{"'):
                codec.feed(json.dumps(changed(json.loads(text))).encode())
        assert isinstance(codec.end(0, ""), TurnEnded)
