"""What is known of a sidecar that does not run, by what it left in its state folder."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sidecar.app.reloading.last_good import last_kept
from sidecar.config.model import Config
from sidecar.errors import JournalError, NoLastGood
from sidecar.server import address
from sidecar.store.listing import last_generation, reader, turns
from sidecar.store.records import JournalCounts
from sidecar.store.retention import count

MOST = 100
"""Waiting turns that are told."""
_SIGNS = ("lock", "journal.db", "journal.db-wal", address.FILE)
"""Files in the state folder that a sidecar writes while it runs."""


def picture(path: Path, config: Config) -> dict[str, Any]:
    """The state that the sidecar of the config file `path` left, as JSON values. Blocks.

    `seen_at` is its last sign of life in seconds since the epoch, None where it never ran; `cut`
    tells that it did not end by itself, as far as it had a server. `generation` is that of the last
    turn. `journal_problem` tells why what is in the journal is not known.
    """
    folder = config.state.dir
    counts, waiting, generation, problem = JournalCounts({}, 0, 0, 0), [], None, ""
    try:
        with reader(folder) as connection:
            counts, generation = count(connection), last_generation(connection)
            for state in ("running", "queued"):
                waiting += turns(connection, state=state, conversation=None, most=MOST)
    except JournalError as error:
        problem = str(error)
    return {
        "pid": None,
        "config": str(path.absolute()),
        "state": str(folder),
        "seen_at": _seen_at(folder),
        "cut": (folder / address.FILE).exists(),
        "generation": generation,
        "last_good": _last_good(folder),
        "waiting": sorted(waiting, key=lambda turn: turn["accepted_at"]),
        "outbox": {"pending": counts.replies_pending, "refused": counts.replies_refused},
        "journal": {"turns": dict(counts.turns), "sessions": counts.sessions},
        "journal_problem": problem,
        "not_ready": ["no sidecar runs with this state folder"],
    }


def _seen_at(folder: Path) -> float | None:
    found = []
    for name in _SIGNS:
        with suppress(OSError):
            found.append((folder / name).stat().st_mtime)
    return min(max(found), time.time()) if found else None


def _last_good(folder: Path) -> Mapping[str, Any] | None:
    """Of which file the config is that was in force last, and since when it is kept."""
    try:
        (path, version), kept_at = last_kept(folder)
    except NoLastGood:
        return None
    return {"config": path, "version": version, "kept_at": kept_at}
