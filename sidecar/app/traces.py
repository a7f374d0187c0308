"""Where agents of the control plane may work, and what they leave behind when they are removed."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sidecar import metrics
from sidecar.contexts.memory_file import memory_file
from sidecar.errors import ControlRefused
from sidecar.store.journal import Journal
from sidecar.store.managed import ManagedFiles, Unfinished
from sidecar.store.workspace import workspace_of

log = logging.getLogger(__name__)


REMOVED = "its agent was removed"
"""Why a reply was not delivered."""


def folder_inside(text: str, roots: Sequence[Path]) -> str:
    """The folder that a text means, without links, inside one of some folders. Blocks.

    Raises:
        ControlRefused: it is none, or is elsewhere.
    """
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ControlRefused("bad_cwd", "cwd is not a folder of this machine") from error
    if not path.is_absolute() or not found.is_dir():
        raise ControlRefused("bad_cwd", "cwd is not a folder of this machine")
    if not any(found.is_relative_to(root.resolve()) for root in roots):
        raise ControlRefused("cwd_outside", "cwd is outside the folders of `control_plane.roots`")
    return str(found)


async def delete_traces(
    change: Unfinished, files: ManagedFiles, journal: Journal
) -> dict[str, object]:
    """Delete of an agent what a change says; what was deleted. It can be done again."""
    agent, state = change.agent, files.state
    if change.kind == "remove":
        await _refuse_replies(agent, journal)
    credentials = change.credentials and await _best(lambda: files.delete_credentials(agent))
    memory = change.state and await _best(lambda: _delete_memory(state, agent))
    sessions = await journal.forget_account(agent, agent) if change.state else 0
    folder = workspace_of(state, agent).parent
    workspace = change.workspace and await _best(lambda: _delete_tree(folder))
    return {
        "credentialsDeleted": credentials,
        "stateDeleted": memory or sessions > 0,
        "workspaceDeleted": workspace,
    }


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
    except OSError as error:
        metrics.count("control_failures_total", what="delete")
        log.warning("a part of a removed agent stays: %s", error)
        return False


def _delete_memory(state: Path, agent: str) -> bool:
    path = memory_file(state, agent).path
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _delete_tree(folder: Path) -> bool:
    if not folder.exists():
        return False
    shutil.rmtree(folder)  # does not follow links
    return True
