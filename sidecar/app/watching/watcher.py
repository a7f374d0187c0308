"""How files are watched, for people."""

from dataclasses import dataclass
from typing import Literal

from sidecar.app.watching.folders import Folders


@dataclass(slots=True)
class Watcher:
    """How files are watched, for people. With `inotify`, or what the system has for it, the file
    system tells changes in `folders`; with `poll` it does not, for `reason`, and the content is
    looked at from time to time; `failed`: neither works.

    `files` is the number of inputs; they were last looked at `looked_at`, and the last change was
    seen `changed_at`, in seconds since the epoch.
    """

    mode: Literal["starting", "inotify", "poll", "failed"] = "starting"
    reason: str = ""
    folders: tuple[str, ...] = ()
    files: int = 0
    looked_at: float | None = None
    changed_at: float | None = None

    def told(self, folders: Folders) -> None:
        """The file system tells what happens in folders."""
        self.mode, self.reason = "inotify", ""
        self.folders = tuple(sorted({str(folder) for folder, _, _ in folders}))

    def untold(self, mode: Literal["poll", "failed"], error: Exception) -> None:
        """It does not."""
        self.mode, self.reason, self.folders = mode, str(error) or type(error).__name__, ()
