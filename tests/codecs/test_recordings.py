"""Whatever a tool prints, however it is cut or changed: its codec survives and ends once."""

import json
import random
from collections.abc import Callable

import pytest

from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.codex import CodexCodec
from sidecar.codecs.gemini import GeminiCodec
from sidecar.codecs.ndjson import Lines
from sidecar.model import TurnEnded
from tests.codecs.recordings import Recordings

SESSION = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
TOOLS = (
    Recordings("claude", ClaudeCodec),
    Recordings("codex", CodexCodec),
    Recordings("gemini", GeminiCodec),
)
ALL = [
    pytest.param(tool, scenario, id=f"{tool.make.__name__}-{scenario}")
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


@pytest.mark.parametrize(("tool", "scenario"), ALL)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_how_the_bytes_are_cut_changes_nothing(tool: Recordings, scenario: str, size: int) -> None:
    assert tool.replay(scenario, size=size) == tool.replay(scenario)


@pytest.mark.parametrize(("tool", "scenario"), ALL)
def test_a_recording_cut_anywhere_never_raises_and_ends_once(
    tool: Recordings, scenario: str
) -> None:
    data = tool.printed(scenario)
    chance = random.Random(scenario)
    for end in [chance.randrange(len(data) + 1) for _ in range(10)]:
        codec, lines = tool.make(SESSION), Lines()
        for piece in lines.feed(data[:end]) + lines.finish():
            codec.feed(piece)
        assert isinstance(codec.end(chance.choice([0, 1, 144, -9, None]), ""), TurnEnded)


@pytest.mark.parametrize(("tool", "scenario"), ALL)
def test_values_of_another_shape_never_raise(tool: Recordings, scenario: str) -> None:
    chance = random.Random(scenario)

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
