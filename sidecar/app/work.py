"""A turn as the app sees it while it waits and runs, and the replies that it leads to."""

import asyncio
import time
from dataclasses import dataclass
from uuid import uuid4

from sidecar.app.snapshot import RuntimeUse, Snapshot
from sidecar.config import model as config
from sidecar.model import Message, Reply, ReplyKind, Trust
from sidecar.store.records import SessionKey


@dataclass(slots=True, eq=False)
class Running:
    """What a turn holds while it runs. `committing`: it is too late to cancel it."""

    snapshot: Snapshot
    use: RuntimeUse
    since: float
    task: "asyncio.Task[None] | None" = None
    cancelled_by: str | None = None
    committing: bool = False


@dataclass(slots=True, eq=False)
class Work:
    """A turn. `messages` are oldest first; `merged` are the turns that were merged into it."""

    turn: str
    messages: tuple[Message, ...]
    route: config.Route
    trust: Trust
    merged: tuple[str, ...] = ()

    @property
    def newest(self) -> Message:
        """The message that the turn answers."""
        return self.messages[-1]

    def session_key(self, runtime: config.Runtime) -> SessionKey:
        """Which session the turn resumes: never one of another account, trust or folder."""
        return SessionKey(
            *self.newest.key,
            runtime=f"{runtime.type}:{runtime.name}",
            cwd=str(self.route.cwd),
            trust=self.trust,
        )


def reply_to(message: Message, text: str, kind: ReplyKind, *, last: bool = True) -> Reply:
    """A reply into the conversation of a message."""
    return Reply(
        key=str(uuid4()),
        channel=message.channel,
        account=message.account,
        conversation=message.conversation,
        text=text,
        kind=kind,
        created_at=time.time(),
        answers=message.id,
        last=last,
        extra=message.extra,
    )
