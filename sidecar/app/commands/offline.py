"""What a person can have done about turns, sessions and replies while no sidecar runs.

It is written into the journal; what it leads to is done by the next start.
"""

import asyncio
import time

from sidecar.app.turns.actions import BY_OPERATOR, Done, number_of_reply
from sidecar.app.turns.outbox import DROPPED
from sidecar.app.turns.work import reply_to
from sidecar.config.model import State
from sidecar.core import wording
from sidecar.errors import ActionRefused, JournalError, StateLocked
from sidecar.store.journal import Journal
from sidecar.store.listing import has_journal
from sidecar.store.lock import StateLock


async def act(state: State, kind: str, verb: str, target: str) -> Done:
    """Do one thing, as `sidecar.app.turns.actions.Actions.act` does it in a running sidecar.

    Raises:
        StateLocked: a sidecar runs: it has to be asked.
        ActionRefused: it cannot be done; the text tells why.
    """
    lock = StateLock(state.dir)
    try:
        if not await asyncio.to_thread(has_journal, state.dir):
            raise ActionRefused(f"there is no journal in {state.dir}")
        await asyncio.to_thread(lock.acquire)
        journal = await Journal.open(state.dir, session_ttl=state.session_ttl, now=time.time())
        try:
            return await _act(journal, kind, verb, target)
        finally:
            await journal.close()
    except StateLocked:
        raise
    except JournalError as error:
        raise ActionRefused(str(error)) from error
    finally:
        await asyncio.to_thread(lock.release)


async def _act(journal: Journal, kind: str, verb: str, target: str) -> Done:
    match kind, verb:
        case "turns", "cancel":
            return await _cancel(journal, target)
        case "turns", "retry":
            return {"turn": (await journal.retry(target, now=time.time())).turn}
        case "sessions", "forget":
            return await _forget(journal, target)
        case "outbox", "retry":
            return await _retry_reply(journal, number_of_reply(target))
        case "outbox", "drop":
            return await _drop_reply(journal, number_of_reply(target))
    raise ActionRefused(f"no sidecar runs that could {verb} one of the {kind}")


async def _cancel(journal: Journal, target: str) -> Done:
    for turn in await journal.unfinished():
        if turn.turn == target:
            told = [reply_to(turn.messages[-1], wording.STOPPED, "notice")]
            await journal.drop([target], BY_OPERATOR, now=time.time(), replies=told)
            return {"turn": target}
    raise ActionRefused(f"turn {target} does not wait")


async def _forget(journal: Journal, name: str) -> Done:
    found = await journal.forget_named(name)
    if not found:
        raise ActionRefused(f"no session, and no conversation with one, is called {name}")
    return {"sessions": len(found)}


async def _retry_reply(journal: Journal, reply: int) -> Done:
    if await journal.requeued(reply, now=time.time()) is None and not await _waits(journal, reply):
        raise ActionRefused(f"reply {reply} does not wait and was not refused")
    return {"reply": reply}


async def _drop_reply(journal: Journal, reply: int) -> Done:
    if not await _waits(journal, reply):
        raise ActionRefused(f"reply {reply} does not wait")
    await journal.refused(reply, DROPPED, now=time.time())
    return {"reply": reply}


async def _waits(journal: Journal, reply: int) -> bool:
    return any(pending.id == reply for pending in await journal.pending_replies())
