"""A start while somebody looks whether a sidecar runs."""

import fcntl
import os
from pathlib import Path

import pytest

from sidecar.store import lock
from sidecar.store.lock import StateLock


def test_who_looks_at_the_lock_keeps_nobody_from_starting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StateLock(folder):
        pass
    look = os.open(folder / "lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)  # as `holder` has it
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: os.close(look))
    with StateLock(folder):
        assert lock.holder(folder) == os.getpid()
