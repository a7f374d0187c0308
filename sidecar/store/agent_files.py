"""The files in an agent's workspace, for its owner to look at. Everything here blocks."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

MOST = 200
"""Files that are told."""
LARGEST = 64 * 1024
"""Bytes of a file whose content is told."""
MOST_SENT = 1 << 20
"""Characters of JSON that all contents of one answer have together: a Hub reads no frame of any
size."""
_SHOWN = frozenset({".md", ".txt"})


def agent_files(workspace: Path, wanted: str | None = None) -> list[dict[str, object]]:
    """The files as `list_agent_files` tells them, or only the one with the id `wanted`. Where the
    contents are more than MOST_SENT, the later ones have to be asked for one by one.

    An id is the way to a file below the workspace; it is looked up, never followed.
    """
    found, left = [], MOST_SENT
    for path in _files(workspace):
        id_ = str(path.relative_to(workspace))
        if wanted in (None, id_):
            told = _told(path, id_)
            size = len(json.dumps(told["content"])) if "content" in told else 0
            if size > left:
                del told["content"]
                told["truncated"] = True
            else:
                left -= size
            found.append(told)
        if len(found) == MOST:
            break
    return found


def _files(folder: Path) -> Iterator[Path]:
    """All plain files below a folder, in order. Links are not followed, hidden ones left out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))


def _told(path: Path, id_: str) -> dict[str, object]:
    told: dict[str, object] = {"id": id_, "name": f"workspace/{id_}", "scope": "workspace"}
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            told |= {"size": status.st_size, "mtimeMs": int(status.st_mtime * 1000)}
            if path.suffix not in _SHOWN or status.st_size > LARGEST:
                return {**told, "truncated": True}
            return {**told, "content": file.read(LARGEST).decode("utf-8", "replace")}
    except OSError as error:
        return {**told, "error": error.strerror or "it cannot be read"}
