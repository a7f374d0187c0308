"""A folder for each account whose turns no route sends elsewhere: its agent's own.

What is in it belongs to the agent: what is there under a name is left as it is. Blocks.
"""

import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sidecar import metrics

log = logging.getLogger(__name__)

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)

_NOT_SET = "_(not set)_"
_AGENTS = """\
# Agent Workspace

This folder is yours. It stays from turn to turn, in all your rooms.

- `identity.md` tells who you are: bring it up to date when you learn more.
- `notes/` is for what you want to keep: one file for each subject.

Nothing here but this file is read for you: open what you need. Work inside this folder unless you
are asked to work elsewhere.
"""
_IDENTITY = """\
# Identity

- Agent ID: {account}
- Channel: {channel}
- Display name: {name}
- Runtime: {runtime}
- Created: {created}

## Bio

{bio}

## Role

_(not set)_

## Boundaries

_(not set)_
"""


def workspace_of(state: Path, account: str) -> Path:
    """The workspace of an account in a state folder.

    Raises:
        ValueError: the account's id cannot be a part of a path.
    """
    if not _SAFE_ID.fullmatch(account):
        raise ValueError(f"the id of account {account[:128]!r} cannot name a folder: give a `cwd`")
    return state / "agents" / account / "workspace"


def prepare(
    workspace: Path,
    *,
    channel: str,
    account: str,
    runtime: str,
    now: float,
    name: str = "",
    bio: str = "",
) -> None:
    """Make a workspace, mode 0700, and what is missing in it: a folder and files, mode 0600, one of
    them with what is known of the agent. What cannot be made in it is logged and counted.

    Raises:
        OSError: the workspace itself cannot be made.
    """
    created = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    facts = {"account": account, "channel": channel, "runtime": runtime, "created": created}
    facts |= {"name": name or _NOT_SET, "bio": bio or _NOT_SET}
    for folder in (workspace.parents[1], workspace.parent, workspace):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    _seed(workspace / "notes", lambda path: path.mkdir(0o700))
    for file, text in (
        ("AGENTS.md", _AGENTS),
        ("CLAUDE.md", _AGENTS),  # the name under which Claude Code looks for it
        ("identity.md", _IDENTITY.format_map(facts)),
    ):
        _seed(workspace / file, partial(_write, text=text))


def _seed(path: Path, make: Callable[[Path], None]) -> None:
    """Make something unless anything is there, which may be a file of another kind."""
    try:
        make(path)
    except FileExistsError:
        pass
    except OSError as error:
        metrics.count("workspace_failures_total")
        log.warning("%s cannot be made: %s", path, error.strerror)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
