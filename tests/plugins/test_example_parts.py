"""The parts of the example package by themselves, as its author would test them."""

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.api import Asked, Host
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.model import (
    Conversation,
    Failure,
    Job,
    Message,
    Prompt,
    Reply,
    Sender,
    SessionStarted,
    TurnEnded,
)
from tests.plugins.conftest import EXAMPLE


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE / "src")


def unused(*_: object) -> Any:
    raise AssertionError


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("desk", logging.getLogger("desk"), tmp_path, unused, unused)


@pytest.fixture
def channel(tmp_path: Path, host: Host) -> Any:
    from sidecar_example.lines import LINES

    options = {"inbox": f"{tmp_path}/in", "outbox": f"{tmp_path}/out", "every": "10ms"}
    return LINES.build(options, host)


class Refused(Exception):
    """The journal takes nothing."""


async def test_a_line_that_was_not_accepted_comes_again_with_the_same_id(
    channel: Any, tmp_path: Path
) -> None:
    await asyncio.to_thread((tmp_path / "in").write_text, "one\ntwo\ncut off")
    seen: list[list[tuple[str, str]]] = []

    async def accept(messages: Sequence[Message]) -> None:
        seen.append([(one.id, one.text) for one in messages])
        if len(seen) == 1:
            raise Refused
        raise asyncio.CancelledError

    with pytest.raises(Refused):
        await channel.run(accept)
    with pytest.raises(asyncio.CancelledError):
        await channel.run(accept)
    assert seen == [[("0", "one"), ("4", "two")]] * 2


async def test_an_inbox_that_shrinks_stops_the_channel(channel: Any, tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "in").write_text, "short\n")
    await asyncio.to_thread((tmp_path / "lines-desk").write_text, "500")
    with pytest.raises(ChannelStopped):
        await channel.run(unused)


async def test_a_reply_that_cannot_be_written_is_tried_again(channel: Any, tmp_path: Path) -> None:
    reply = Reply("k1", "desk", "a", Conversation("lines", "direct"), "hi\nho", "answer", 0.0)
    assert await channel.send(reply) == "k1"
    written = await asyncio.to_thread((tmp_path / "out").read_text)
    assert json.loads(written) == {"id": "k1", "kind": "answer", "text": "hi\nho"}
    await asyncio.to_thread((tmp_path / "out").unlink)
    await asyncio.to_thread((tmp_path / "out").mkdir)
    with pytest.raises(ChannelUnavailable):
        await channel.send(reply)


def events(*lines: bytes, code: int | None = 0) -> tuple[list[object], TurnEnded]:
    from sidecar_example.parrot_codec import ParrotCodec

    codec = ParrotCodec()
    found: list[object] = [event for line in lines for event in codec.feed(line)]
    return found, codec.end(code, "")


HELLO, SAID = b'{"kind": "hello", "session": "s1"}', b'{"kind": "line", "text": "hi"}'


def test_a_turn_ends_with_bye_and_what_is_unknown_is_passed_over() -> None:
    lines = (HELLO, b'{"kind": "new"}', b'{"ki', b"[]", SAID, b'{"kind": "line", "text": 5}')
    found, end = events(*lines, b'{"kind": "bye", "ok": true}')
    assert found[0] == SessionStarted("s1")
    assert end == TurnEnded("hi", "s1")


def test_without_bye_a_turn_has_failed_whatever_the_exit_code_says() -> None:
    assert events(HELLO, SAID)[1].failure == Failure("exited", "no result, exit code 0")
    failed = events(b'{"kind": "bye", "ok": false, "why": "it choked"}', code=1)[1].failure
    assert failed == Failure("exited", "it choked")


async def test_a_session_is_resumed_and_texts_are_no_arguments(tmp_path: Path) -> None:
    from sidecar_example.parrot import Parrot

    session = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
    prompt = Prompt("be kind", "--help")
    job = Job("t", "a", prompt, tmp_path, "public", session=session, args=("--y",))
    launch = await Parrot({"command": "parrot", "args": ["--x"]}).launch("/bin/p", job, {}, {})
    assert launch.argv == ("/bin/p", "--again", session, "--x", "--y")
    assert launch.stdin == b"be kind\n\n--help"


async def test_notes_are_the_last_lines_and_none_without_a_file(tmp_path: Path, host: Host) -> None:
    from sidecar_example.notes import NOTES

    notes = NOTES.build({"file": "N.md", "lines": 2}, host)
    sender = Sender("u", "owner")
    message = Message("desk", "a", "1", Conversation("c", "direct"), sender, "", 0.0)
    asked = Asked(message, tmp_path, 0.0)
    assert await notes.value(asked) == []
    await asyncio.to_thread((tmp_path / "N.md").write_text, "one\ntwo\nthree\n")
    assert await notes.value(asked) == ["two", "three"]
