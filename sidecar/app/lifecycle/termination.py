"""Why the process could not start, where Kubernetes looks for it.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

import logging
import os
from pathlib import Path

VARIABLE = "SIDECAR_TERMINATION_LOG"
"""Names the file."""
USUAL = Path("/dev/termination-log")
"""Where it is without that, if it is there: `terminationMessagePath` of a container."""
LARGEST = 4096
"""Bytes that Kubernetes reads."""

log = logging.getLogger(__name__)


def leave(reason: str) -> None:
    """Write the reason for `kubectl describe pod`, where there is such a file. Blocks."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else USUAL
    if not named and not path.exists():
        return
    try:
        path.write_bytes(reason.encode("utf-8", "replace")[:LARGEST])
    except OSError as error:
        log.warning("the reason cannot be left in %s: %s", path, error.strerror)
