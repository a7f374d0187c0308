"""Lines that are decoded many at a time come to the same as each for itself."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.codecs.agent import AgentCodec
from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.gemini import GeminiCodec
from sidecar.codecs.ndjson import Lines, cut
from sidecar.model import AgentEvent, Block, TurnEnded

Streamed = ClaudeCodec | GeminiCodec | AgentCodec


def claude(delta: object, **more: object) -> bytes:
    return json.dumps({"type": "stream_event", "event": {"delta": delta}, **more}).encode()


def others(piece: bytes, text: bytes) -> list[bytes]:
    """What a piece may look like that is none, or not to the letter."""
    head, _, rest = piece.partition(text)
    return [
        piece + b"\r",
        b" " + piece + b" ",
        piece + b" " + piece,
        piece + b"," + piece,
        piece[:-9],
        piece[-9:],
        piece.replace(b", ", b"\n"),
        piece.replace(b": ", b":\n"),
        head + b"\xff\xfe" + rest,
        head + b"\\ud800 \\u0000 \\n \xe2\x80\xa8" + rest,
        head + b"\x01" + rest,
        piece.replace(b'"' + text + b'"', b"17"),
        piece.replace(b'"' + text + b'"', b'"a", "a": NaN'),
        piece.replace(b'"' + text + b'"', b'"a", "a": 1e999, "b": ' + b"9" * 400),
        piece.replace(b'"' + text + b'"', b'"a", "a": ' + b"[" * 9000 + b"]" * 9000),
        piece.replace(b"{", b'{"type": "result", ', 1),
        piece[:-1] + b', "type": "unknown"}',
        b"",
        b"   ",
        b"Some words.",
        b"[1]",
        b"null",
        b'{"type": "result", "text": "done", "status": "success", "result": "done"}',
        b'{"type": ["text"]}',
        b"{}",
    ]


CLAUDE = [
    claude({"type": "text_delta", "text": "words "}),
    claude({"text": "words", "type": "text_delta", "x": {}}, parent_tool_use_id=None, uuid="u"),
    claude({"type": "thinking_delta", "thinking": "thought"}),
    claude({"type": "text_delta", "text": "nested"}, parent_tool_use_id="t"),
    claude({"type": "text_delta", "thinking": "words"}),
    claude({"type": "input_json_delta", "partial_json": "{"}),
    claude({"stop_reason": "end_turn"}),
    claude(None),
    claude("words"),
    b'{"type": "stream_event", "event": {"type": "message_start"}}',
    b'{"type": "stream_event", "event": {"type": "message_stop"}}',
    b'{"type": "stream_event"}',
]
GEMINI = [
    b'{"type": "message", "role": "assistant", "content": "words", "delta": true}',
    b'{"type": "message", "role": "assistant", "content": "words", "delta": false}',
    b'{"type": "message", "role": "assistant", "content": "words", "delta": "true"}',
    b'{"type": "message", "role": "assistant", "content": "", "delta": true}',
    b'{"type": "message", "role": "user", "content": "words"}',
    b'{"type": "message", "content": "words"}',
    b'{"type": "message", "role": ["assistant"], "content": "words"}',
    b'{"type": "tool_use", "tool_name": "x", "tool_id": "t"}',
]
AGENT = [
    b'{"type": "text", "text": "words"}',
    b'{"text": "", "type": "text", "id": 7}',
    b'{"type": "text"}',
    b'{"type": "thinking", "text": "words"}',
]
CODECS = [
    pytest.param(lambda: ClaudeCodec(None, 40), CLAUDE, id="claude"),
    pytest.param(lambda: GeminiCodec(None, 40), GEMINI, id="gemini"),
    pytest.param(lambda: AgentCodec(None, 40), AGENT, id="agent"),
]


def ended(codec: Streamed, events: list[AgentEvent]) -> tuple[list[AgentEvent], TurnEnded, bool]:
    return events, codec.end(0, ""), codec.cut


def one_by_one(codec: Streamed, data: bytes) -> tuple[list[AgentEvent], TurnEnded, bool]:
    return ended(codec, [event for line in Lines().feed(data) for event in codec.feed(line)])


def many(codec: Streamed, data: bytes, size: int) -> tuple[list[AgentEvent], TurnEnded, bool]:
    """As a turn does it."""
    events: list[AgentEvent] = []
    reader = Lines()
    for start in range(0, len(data), size):
        lines = reader.whole(data[start : start + size])
        pieces = codec.pieces(lines)
        if pieces is None:
            pieces = [event for line in cut(lines) for event in codec.feed(line)]
        events += pieces
    return ended(codec, events)


@pytest.mark.parametrize(("make", "samples"), CODECS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_many_lines_at_once_come_to_the_same_as_each_for_itself(
    make: Callable[[], Streamed], samples: list[bytes], data: st.DataObject
) -> None:
    piece = st.just(samples[0])
    strange = st.sampled_from([*samples, *others(samples[0], b"words")])
    lines = data.draw(st.lists(piece | strange, max_size=12))
    printed = b"".join(line + b"\n" for line in lines)
    size = data.draw(st.integers(1, 400))
    assert many(make(), printed, size) == one_by_one(make(), printed)


@pytest.mark.parametrize(("make", "samples"), CODECS)
def test_each_strange_line_between_pieces_comes_to_the_same(
    make: Callable[[], Streamed], samples: list[bytes]
) -> None:
    for line in (*samples, *others(samples[0], b"words")):
        printed = b"\n".join([samples[0], line, samples[0], b""])
        assert many(make(), printed, 1 << 16) == one_by_one(make(), printed), line[:100]


@pytest.mark.parametrize(("make", "samples"), CODECS)
def test_pieces_are_taken_in_one_go(make: Callable[[], Streamed], samples: list[bytes]) -> None:
    codec = make()
    taken = codec.pieces(samples[0] + b"\n" + samples[0] + b"\r\n")
    assert taken is not None
    assert [event.partial for event in taken if isinstance(event, Block)] == [True, True]
    assert codec.pieces(samples[0] + b"\n" + samples[-1][:-1] + b"\n") is None
    assert codec.pieces(b"") == []


@pytest.mark.parametrize(("make", "samples"), CODECS)
def test_two_objects_on_a_line_and_one_on_two_are_none(
    make: Callable[[], Streamed], samples: list[bytes]
) -> None:
    one = samples[0]
    two = one.replace(b": ", b":\n", 1)
    for lines in (one + one + b"\n\n", one + b" " + one + b"\n" + two + b"\n", two + b"\n"):
        assert make().pieces(lines) is None
