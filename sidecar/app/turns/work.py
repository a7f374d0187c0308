"""A turn as the app sees it while it waits and runs, and the replies that it leads to."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.config import model as config
from sidecar.core.trust import lower
from sidecar.model import Message, Reply, ReplyKind, Trust
from sidecar.store.records import SessionKey
from sidecar.store.workspace import workspace_of


@dataclass(slots=True, eq=False)
class Running:
    """What a turn holds while it runs.

    `key` names its session once it has started; `resumed`: the runtime was given one to go on with;
    `forgotten`: the next turn is to begin a new one. `committing`: it is too late to cancel the
    turn; `tell` is what the room is told when it is cancelled, and `heir` the turn that answers its
    messages then.
    """

    snapshot: Snapshot
    use: RuntimeUse
    since: float
    task: "asyncio.Task[None] | None" = None
    cancelled_by: str | None = None
    key: SessionKey | None = None
    resumed: bool = False
    committing: bool = False
    tell: str | None = None
    heir: "Work | None" = None
    forgotten: bool = False

    def commit(self, *, cancelled: bool = False) -> None:
        """Its outcome stands. Only a cancelled turn leaves its messages to another one."""
        self.committing = True
        if not cancelled:
            self.heir = None

    def cancel_soon(self) -> None:
        """End its task, unless the outcome is about to be recorded."""

        # A task that is cancelled before its first step never enters its `try`, so its outcome
        # would go unrecorded: after this turn of the loop it has entered.
        def cancel() -> None:
            if self.task is not None and not self.committing:
                self.task.cancel()

        asyncio.get_running_loop().call_soon(cancel)


@dataclass(slots=True, eq=False)
class Work:
    """A turn. `messages` are oldest first; `merged` are the turns that were merged into it; `state`
    is the state folder of the process.

    `pinned` is what one that waits is to run with, whatever the configuration is by then.
    """

    turn: str
    messages: tuple[Message, ...]
    route: config.Route
    trust: Trust
    state: Path
    merged: tuple[str, ...] = ()
    pinned: Running | None = None

    @property
    def cwd(self) -> Path:
        """The folder in which the turn's agent works.

        Raises:
            ValueError: it is the account's workspace, and the id of the account is not safe.
        """
        return self.route.cwd or workspace_of(self.state, self.newest.account)

    @property
    def newest(self) -> Message:
        """The message that the turn answers."""
        return self.messages[-1]

    def inherit(self, messages: tuple[Message, ...], trust: Trust) -> None:
        """Answer earlier messages, too, which have this trust."""
        self.messages = messages + self.messages
        self.trust = lower(self.trust, trust)

    def session_key(self, runtime: config.Runtime) -> SessionKey:
        """Which session the turn resumes: never one of another account, trust or folder."""
        return SessionKey(
            *self.newest.key,
            runtime=f"{runtime.type}:{runtime.name}",
            cwd=str(self.cwd),
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
