"""Journals in a folder of their own, and the values that go into them."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store.journal import Journal
from sidecar.store.records import SessionKey


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def journal(folder: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(folder, session_ttl=1000.0, now=0.0)
    yield opened
    await opened.close()


@pytest.fixture
def message() -> Callable[..., Message]:
    def make(name: str, text: str = "hello", at: float = 1.0, **more: Any) -> Message:
        facts: dict[str, Any] = {
            "channel": "ag_demo",
            "account": "ag_demo",
            "conversation": Conversation("rm_1", "group", "Room"),
            "sender": Sender("u1", "human", "Ann"),
        }
        return Message(id=name, text=text, received_at=at, **(facts | more))

    return make


@pytest.fixture
def reply() -> Callable[..., Reply]:
    def make(text: str = "hi", answers: str | None = None, **more: Any) -> Reply:
        room = Conversation("rm_1", "group", "Room")
        return Reply(
            "0d6ce6a2-9a4a-4a39-a6ab-7f5f0c8b5b58",
            "ag_demo",
            "ag_demo",
            room,
            text,
            "answer",
            2.0,
            answers,
            **more,
        )

    return make


@pytest.fixture
def key() -> SessionKey:
    return SessionKey("ag_demo", "ag_demo", "rm_1", None, "claude", "/workspace", "owner")


@pytest.fixture
def rows(folder: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Reads the file as another program would."""

    def read(sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(folder / "journal.db")) as connection:
            return connection.execute(sql, values).fetchall()

    return read
