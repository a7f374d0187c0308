"""What agents of the control plane leave behind when they are removed."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from sidecar import metrics
from sidecar.contexts.memory_file import memory_file
from sidecar.errors import MemoryUnavailable
from sidecar.store.journal import Journal
from sidecar.store.managed import ManagedFiles, Unfinished
from sidecar.store.workspace import workspace_of

log = logging.getLogger(__name__)

REMOVED = "its agent was removed"
"""Why a reply was not delivered."""


async def delete_traces(
    change: Unfinished, files: ManagedFiles, journal: Journal
) -> dict[str, object]:
    """Delete of an agent what a change says; what was deleted. It can be done again."""
    agent, state = change.agent, files.state
    if change.kind == "remove":
        await _refuse_replies(agent, journal)
    credentials = change.credentials and await _best(lambda: files.delete_credentials(agent))
    memory = change.state and await _best(lambda: memory_file(state, agent).delete())
    profile = change.state and await _best(lambda: files.forget_profile(agent))
    said = await journal.forget_account(agent, agent) if change.state else 0
    folder = workspace_of(state, agent).parent
    workspace = change.workspace and await _best(lambda: _delete_tree(folder))
    return {
        "credentialsDeleted": credentials,
        "stateDeleted": memory or profile or said > 0,
        "workspaceDeleted": workspace,
    }


async def settle(
    files: ManagedFiles, journal: Journal, is_users: Callable[[str], bool]
) -> list[str]:
    """Undo or complete the changes that a killed sidecar had begun, or that a command left; the
    agents of them. Of an agent that the user has by now, nothing is deleted.

    Raises ManagedUnusable, OSError or JournalError.
    """
    changes = await asyncio.to_thread(files.unfinished)
    known = (await asyncio.to_thread(files.read)).channels if changes else {}
    for change in changes:
        if change.agent not in known and not is_users(change.agent):
            await delete_traces(change, files, journal)
        await asyncio.to_thread(files.end, change.agent)
    return [change.agent for change in changes]


async def _refuse_replies(agent: str, journal: Journal) -> None:
    """Give what waits for a removed agent an outcome: nobody can deliver it."""
    for pending in await journal.pending_replies():
        reply = pending.reply
        if (reply.channel, reply.account) == (agent, agent):
            metrics.count("replies_refused_total", channel=agent)
            log.error("reply %d is not delivered: %s", pending.id, REMOVED)
            await journal.refused(pending.id, REMOVED, now=time.time())


async def _best(delete: Callable[[], bool]) -> bool:
    try:
        return await asyncio.to_thread(delete)
    except (OSError, MemoryUnavailable) as error:
        metrics.count("control_failures_total", what="delete")
        log.warning("a part of a removed agent stays: %s", error)
        return False


def _delete_tree(folder: Path) -> bool:
    if not folder.exists():
        return False
    shutil.rmtree(folder)  # does not follow links
    return True
