"""Nothing that parses bytes from outside is broken by them: it reads them, or says that it cannot.

The bytes are recordings and samples in which things were changed: values, keys, single bytes,
whole pieces. The long run goes on for `FUZZ_SECONDS` with each reader: by default for an hour in
all, or for what is left of the time.
"""

import json
import logging
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.proofs.conftest import LONG, SEED, seconds_left, tell
from tests.proofs.readers import READERS

SECONDS = float(os.environ.get("FUZZ_SECONDS", "180"))
EVIL: list[Any] = [
    None, True, 0, -1, 1 << 63, 10**400, 1e308, float("nan"), float("-inf"), "", " ", "\0",
    "\ud800", "\u2028", "../../etc/passwd", "--help", "-c", "/status", "@/etc/passwd", "$(id)",
    "{{ 7*7 }}",
    "</system>", "rm_\n", "x" * 5000, [], {}, [[]], [None], {"": None}, [[[[[[[[[[]]]]]]]]]],
    {"text": {"text": []}}, "2026-13-45T99:99:99Z", "9" * 5000, "\r\nX-Evil: 1", "\x1b[2J",
]  # fmt: skip
PIECES = [
    b"\0", b"\xff\xfe", b"\n", b"\r", b"\t", b'"', b"}", b"\\ud800",
    b"1e999", b"9" * 5000, b"\xef\xbb\xbf", b"&a [*a]", b"<<: ", b"!!python/object:os.system",
    b"${HOME}",
]  # fmt: skip


def places(value: Any, depth: int = 20) -> Iterator[tuple[Any, Any]]:
    """Each container in a value, with a key of it."""
    if not depth:
        return
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from places(value[key], depth - 1)


def changed_value(line: bytes, chance: random.Random) -> bytes:
    """A JSON text with another value, or another key, somewhere."""
    value = json.loads(line)
    for _ in range(chance.randint(1, 3)):
        if found := list(places(value)):
            holder, key = chance.choice(found)
            holder[key] = chance.choice(EVIL)
            if isinstance(holder, dict) and chance.random() < 0.1:
                holder[chance.choice(["", "\0", "type", "id", "x" * 300])] = holder.pop(key)
    return json.dumps(value).encode()


def changed(data: bytes, chance: random.Random, depth: int) -> bytes:
    """Bytes in which something was changed; what nests nests so deep."""
    if chance.random() < 0.6:
        lines = data.split(b"\n")
        which = chance.randrange(len(lines))
        try:
            lines[which] = changed_value(lines[which], chance)
            return b"\n".join(lines)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            pass
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([0, 0, 1, 1, 5, 100]))
        deep = [b"[" * depth, b'{"a":' * depth]
        piece = chance.choice([*PIECES, *deep, bytes([chance.randrange(256)])])
        data = data[:start] + piece + data[end:]
    return data


@pytest.fixture
def unlogged() -> Iterator[None]:
    """pytest keeps the log lines of a test: of a million inputs, gigabytes."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unlogged")
@pytest.mark.timeout(SECONDS + 120 if LONG else 180)
@pytest.mark.parametrize("name", READERS)
def test_no_bytes_break_a_reader(name: str) -> None:
    reader, chance = READERS[name], random.Random(f"{SEED} {name}")
    assert reader.seeds
    names = list(READERS)
    share = seconds_left() / (len(names) - names.index(name))
    until, count = time.monotonic() + min(SECONDS, share), 0
    while count < reader.rounds or (LONG and time.monotonic() < until):
        data = changed(chance.choice(reader.seeds), chance, reader.depth)
        count += 1
        try:
            reader.read(data)
        except reader.refuses:
            continue
        except Exception as error:
            error.add_note(f"input {count} of {name!r}: {data[:2000]!r}")
            raise
    tell("fuzz", reader=name.replace(" ", "_"), inputs=count)
