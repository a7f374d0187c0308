import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.codecs.ndjson import Lines, parse
from tests.codecs.recordings import DATA
from tests.growth import seconds


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [*pieces, data[start:]]


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(0, 9)), st.integers(0, 25))
def test_lines_are_the_same_however_the_stream_is_cut(
    lines: list[bytes], sizes: list[int], limit: int
) -> None:
    data = b"\n".join(lines)
    reader = Lines(limit)
    got = [line for piece in cut(data, sizes) for line in reader.feed(piece)] + reader.finish()
    wanted = data.split(b"\n")
    if not wanted[-1]:
        wanted.pop()
    kept = [line.removesuffix(b"\r") for line in wanted if len(line) <= limit]
    assert (got, reader.dropped) == (kept, len(wanted) - len(kept))


def test_a_line_ends_at_a_line_feed_only() -> None:
    line = json.dumps({"text": "a\u2028b\u2029c\x85d"}, ensure_ascii=False).encode()
    assert Lines().feed(line + b"\r\n") == [line]


def test_a_carriage_return_in_one_piece_and_its_line_feed_in_the_next_end_a_line() -> None:
    reader = Lines()
    assert reader.feed(b"one\r") == []
    assert reader.feed(b"\ntwo") == [b"one"]
    assert reader.finish() == [b"two"]
    assert reader.finish() == []


def test_a_line_that_is_too_long_is_left_out_and_the_next_ones_are_read() -> None:
    reader = Lines(limit=10)
    assert reader.feed(b"short\n" + b"x" * 8) == [b"short"]
    assert reader.feed(b"x" * 8) == []
    assert reader.feed(b"x\nafter\n" + b"y" * 30 + b"\nlast\n") == [b"after", b"last"]
    assert reader.dropped == 2


def test_a_line_of_64_mib_costs_little_time_and_no_more_memory_than_the_limit() -> None:
    pieces = [b"x" * 65536] * 1024
    reader = Lines()

    def read() -> None:
        assert not any(reader.feed(piece) for piece in pieces)
        assert reader.feed(b"\n{}\n") == [b"{}"]

    assert seconds(read) < 0.2
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_long_line_in_many_small_pieces_takes_linear_time() -> None:
    def read(pieces: int) -> None:
        reader = Lines(limit=1 << 24)
        for _ in range(pieces):
            reader.feed(b"abcdefgh")
        assert len(reader.feed(b"\n")[0]) == 8 * pieces

    assert seconds(lambda: read(80_000)) < 24 * seconds(lambda: read(10_000)) + 0.002


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"  ",
        b"plain words",
        b'{"half": ',
        b"[1, 2]",
        b"null",
        b"7",
        b'{"a": 1} {"b": 2}',
        b"\x00\x01\x02",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_object_is_none(line: bytes) -> None:
    assert parse(line) is None


def test_an_object_is_read_with_spaces_around_it_and_bytes_that_are_no_text() -> None:
    assert parse(b' {"a": "caf\xc3\xa9 \xff"}\r') == {"a": "café \ufffd"}


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
RECORDED = [
    line for path in sorted(DATA.rglob("stdout.ndjson")) for line in path.read_bytes().split(b"\n")
]


def reference(line: bytes) -> object:
    text = line.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@given(st.dictionaries(st.text(), VALUES), st.booleans(), st.sampled_from(["", " ", "\r", "\x00"]))
def test_any_object_is_read_as_the_standard_library_reads_it(
    value: dict[str, object], plain: bool, end: str
) -> None:
    line = (json.dumps(value, ensure_ascii=plain) + end).encode("utf-8", "surrogatepass")
    assert repr(parse(line)) == repr(reference(line))  # NaN is not equal to itself


@given(
    st.sampled_from(RECORDED),
    st.integers(min_value=0),
    st.binary(max_size=3) | st.sampled_from([b"NaN", b"-0", b"1e400", b"\\ud800", b"9" * 5000]),
    st.integers(0, 3),
)
def test_a_damaged_line_is_read_as_the_standard_library_reads_it(
    line: bytes, place: int, added: bytes, removed: int
) -> None:
    at = place % (len(line) + 1)
    damaged = line[:at] + added + line[at + removed :]
    assert repr(parse(damaged)) == repr(reference(damaged))
