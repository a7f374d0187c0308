"""The channel `lines`: each line that is appended to a file is a message."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidecar.api import Accept, Channel, ChannelStatus, ChannelType, Host
from sidecar.config.values import duration
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.model import Conversation, Message, Reply, Sender

OPTIONS = {
    "description": "Lines of a file.",
    "type": "object",
    "required": ["inbox", "outbox"],
    "properties": {
        "inbox": {
            "description": "The file to which messages are appended, a line each; it only grows.",
            "type": "string",
            "minLength": 1,
            "x-path": True,
            "x-account": True,
        },
        "outbox": {
            "description": "The file to which replies are appended, a JSON object a line.",
            "type": "string",
            "minLength": 1,
            "x-path": True,
        },
        "every": {
            "description": "How often the inbox is looked at.",
            "$ref": "config.schema.json#/definitions/duration",
            "default": "200ms",
        },
    },
}
MOST = 1 << 16
"""Bytes that are read at a time."""


class Lines:
    """One inbox with its outbox."""

    max_text = None

    def __init__(self, options: Mapping[str, Any], host: Host) -> None:
        self.account = options["inbox"]
        self.status = ChannelStatus("starting", time.time())
        self._host = host
        self._inbox = Path(options["inbox"])
        self._outbox = Path(options["outbox"])
        self._every = duration(options["every"])
        self._place = host.state / f"lines-{host.name}"

    async def run(self, accept: Accept) -> None:
        """Follow the inbox until cancelled."""
        done = await asyncio.to_thread(self._done)
        self.status = ChannelStatus("connected", time.time(), connection=str(done))
        while True:
            data = await asyncio.to_thread(self._read, done)
            messages = self._messages(data, done)
            if not messages:
                await asyncio.sleep(self._every)
                continue
            await accept(messages)
            # Only now: a sidecar that dies before this reads them again, and knows their ids.
            done += len(data)
            await asyncio.to_thread(self._place.write_text, str(done))

    async def send(self, reply: Reply) -> str:
        """Append a reply. It may come twice, with the same id."""
        line = json.dumps({"id": reply.key, "kind": reply.kind, "text": reply.text})
        try:
            await asyncio.to_thread(self._append, f"{line}\n")
        except OSError as error:
            raise ChannelUnavailable(f"{self._outbox}: {error.strerror}") from error
        return reply.key

    async def close(self) -> None:
        """Nothing is held."""

    def _done(self) -> int:
        """How many bytes of the inbox were accepted before."""
        return int(self._place.read_text()) if self._place.exists() else 0

    def _read(self, done: int) -> bytes:
        """The whole lines after so many bytes."""
        if not self._inbox.exists():
            return b""
        if self._inbox.stat().st_size < done:
            raise ChannelStopped(f"{self._inbox} has become shorter")
        with self._inbox.open("rb") as file:
            file.seek(done)
            data = file.read(MOST)
        return data[: data.rfind(b"\n") + 1]

    def _messages(self, data: bytes, start: int) -> list[Message]:
        found = []
        for line in data.splitlines(keepends=True):
            text = line.decode("utf-8", "replace").strip()
            message = Message(
                channel=self._host.name,
                account=self.account,
                id=str(start),
                conversation=Conversation("lines", "direct"),
                sender=Sender("writer", "owner"),
                text=text,
                received_at=time.time(),
                unusable=None if text else "an empty line",
            )
            found.append(message)
            start += len(line)
        return found

    def _append(self, line: str) -> None:
        with self._outbox.open("a", encoding="utf-8") as file:
            file.write(line)


def build(options: Mapping[str, Any], host: Host) -> Channel:
    """A channel of this type."""
    return Lines(options, host)


LINES = ChannelType(
    "lines", OPTIONS, build, account=lambda _id, options: str(options["inbox"]), exclusive=True
)
