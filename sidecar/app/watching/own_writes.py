"""What the sidecar itself wrote into files that it watches: no reason for a reload."""

import hashlib

KEPT = 256
"""Writes that are remembered; each is forgotten after the watch has seen it, so few are needed."""


class OwnWrites:
    """Contents that the sidecar made, each with the content that it replaced, as hashes.

    A write may be noted in any thread.
    """

    def __init__(self) -> None:
        self._before: dict[bytes, bytes | None] = {}

    def note(self, before: bytes | None, after: bytes) -> None:
        """The sidecar is about to replace a file's content `before`, None where there is no file,
        by `after`."""
        if len(self._before) >= KEPT:
            self._before.pop(next(iter(self._before)), None)
        self._before[digest(after)] = None if before is None else digest(before)

    def lead(self, known: bytes | None, now: bytes | None) -> bool:
        """Whether nothing but own writes lies between two states of a file's content.

        What somebody else wrote in between is not missed: the content that was replaced tells.
        """
        found = now
        for _ in range(len(self._before) + 1):
            if found == known:
                return True
            if found not in self._before:
                return False
            found = self._before[found]
        return False


def digest(content: bytes) -> bytes:
    """The hash of a file's content."""
    return hashlib.sha256(content).digest()
