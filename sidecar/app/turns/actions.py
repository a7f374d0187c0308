"""What a person can have the running sidecar do about single turns, sessions and replies."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outbox import Outbox
from sidecar.core import wording
from sidecar.errors import ActionRefused, JournalError
from sidecar.store.journal import Journal

log = logging.getLogger(__name__)

BY_OPERATOR = "operator"
"""The recorded reason of a turn that a person stopped."""

Done = Mapping[str, object]
"""What was done, as JSON values."""


async def _no_agents(agent: str) -> Done:
    raise ActionRefused(f"{agent} is not an agent of the control plane")


class Actions:
    """Does what is asked, at once. Each method raises ActionRefused when it cannot be done.

    `forget_agent` removes an agent that the control plane added.
    """

    def __init__(self, journal: Journal, dispatcher: Dispatcher, outbox: Outbox) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._outbox = outbox
        self.forget_agent: Callable[[str], Awaitable[Done]] = _no_agents

    async def act(self, kind: str, verb: str, target: str) -> Done:
        """Do one thing, such as `cancel` one of `turns`, to the one that `target` names."""
        match kind, verb:
            case "turns", "cancel":
                done = self._cancel(target)
            case "turns", "retry":
                done = await self._retry(target)
            case "sessions", "forget":
                done = await self._forget(target)
            case "outbox", "retry":
                done = await self._retry_reply(number_of_reply(target))
            case "outbox", "drop":
                done = await self._drop_reply(number_of_reply(target))
            case "agents", "forget":
                done = await self.forget_agent(target)
            case _:
                raise ActionRefused(f"{kind} cannot be told to {verb}")
        log.info("%s: %s %s", kind, verb, target)
        return done

    def _cancel(self, turn: str) -> Done:
        if not self._dispatcher.cancel(turn, BY_OPERATOR, tell=wording.STOPPED):
            raise ActionRefused(f"turn {turn} neither runs nor waits, or is just ending")
        return {"turn": turn}

    async def _retry(self, turn: str) -> Done:
        try:
            again = await self._journal.retry(turn, now=time.time())
        except JournalError as error:
            raise ActionRefused(str(error)) from error
        self._dispatcher.offer(again.turn, *again.messages, patient=True)
        self._dispatcher.fill()
        return {"turn": again.turn}

    async def _forget(self, name: str) -> Done:
        try:
            found = set(await self._journal.forget_named(name))
            for key in self._dispatcher.forget(name, found):
                found.add(key)  # its turn may have kept the session meanwhile
                await self._journal.forget_session(key)
        except JournalError as error:
            raise ActionRefused(str(error)) from error
        if not found:
            raise ActionRefused(f"no session, and no conversation with one, is called {name}")
        return {"sessions": len(found)}

    async def _retry_reply(self, reply: int) -> Done:
        if self._outbox.holds(reply):
            self._outbox.retry()
            return {"reply": reply}
        try:
            again = await self._journal.requeued(reply, now=time.time())
        except JournalError as error:
            raise ActionRefused(str(error)) from error
        if again is None:
            raise ActionRefused(f"reply {reply} does not wait and was not refused")
        self._outbox.add([again])
        return {"reply": reply}

    async def _drop_reply(self, reply: int) -> Done:
        if not await self._outbox.drop(reply):
            raise ActionRefused(f"reply {reply} does not wait, or is being sent now")
        return {"reply": reply}


def number_of_reply(target: str) -> int:
    """The number that a person gave. Raises ActionRefused."""
    if not target.isascii() or not target.isdigit() or len(target) > 18:
        raise ActionRefused(f"{target} is no number of a reply")
    return int(target)
