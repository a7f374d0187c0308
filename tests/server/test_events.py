"""What a listener is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from sidecar import events, metrics
from sidecar.server import event_stream
from sidecar.server.http import HttpServer
from tests.patience import PATIENCE


class Inside:
    def __init__(self) -> None:
        self.states = {"demo": "connected"}

    def channel_states(self) -> dict[str, str]:
        return dict(self.states)

    def __getattr__(self, name: str) -> Any:
        return None


async def told(answer: Any) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in answer.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            yield name, json.loads(text.removeprefix("data: "))


async def test_what_happens_and_the_states_of_channels_are_streamed() -> None:
    inside = Inside()
    server = HttpServer("127.0.0.1:0", lambda: "secret", inside)  # type: ignore[arg-type]
    await server.start()
    url, headers = f"http://{server.address}/events", {"Authorization": "Bearer secret"}
    try:
        async with asyncio.timeout(PATIENCE), ClientSession() as http:
            async with http.get(url) as refused:
                assert refused.status == 401
            async with http.get(url, headers=headers) as answer:
                assert answer.content_type == "text/event-stream"
                stream = told(answer)
                assert await anext(stream) == ("channel", {"channel": "demo", "state": "connected"})
                events.publish("turn.started", turn="t1", note="two\nlines")
                assert await anext(stream) == (
                    "turn.started",
                    {"turn": "t1", "note": "two\nlines"},
                )
                inside.states = {}
                assert await anext(stream) == ("channel", {"channel": "demo", "state": "removed"})
    finally:
        await server.close()


async def test_a_stream_in_which_nothing_happens_is_kept_alive_by_comments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream, "LOOK", 0.01)
    monkeypatch.setattr(event_stream, "ALIVE", 0.02)
    server = HttpServer("127.0.0.1:0", str, Inside())  # type: ignore[arg-type]
    await server.start()
    try:
        async with (
            asyncio.timeout(PATIENCE),
            ClientSession() as http,
            http.get(f"http://{server.address}/events") as answer,
        ):
            lines = [await answer.content.readline() for _ in range(7)]
    finally:
        await server.close()
    assert lines[:2] == [b"event: channel\n", b'data: {"channel": "demo", "state": "connected"}\n']
    assert lines[2:] == [b"\n", b": alive\n", b"\n", b": alive\n", b"\n"]


async def test_a_slow_listener_misses_the_oldest_events_and_holds_up_nobody() -> None:
    before = metrics.value("events_dropped_total")
    with events.listen() as queue:
        for number in range(events.MOST_WAITING + 3):
            events.publish("x", number=number)
        assert queue.get_nowait() == ("x", {"number": 3})
    assert metrics.value("events_dropped_total") == before + 3
    events.publish("nobody listens")
