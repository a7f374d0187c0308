"""What tells others that a sidecar uses a state folder, and where it answers."""

import logging
import threading
from pathlib import Path

from sidecar import metrics
from sidecar.errors import JournalError
from sidecar.server import address
from sidecar.store.lock import StateLock

log = logging.getLogger(__name__)


class Presence:
    """The lock of a state folder and the address in it. All methods block for file I/O."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = StateLock(state)
        self._address = ""
        self._one_at_a_time = threading.Lock()

    def begin(self) -> None:
        """Take the lock, and the address back that one left which was killed. Raises what
        `StateLock.acquire` does."""
        self._lock.acquire()
        address.remove(self._state)

    def end(self) -> None:
        """Let another sidecar have the folder."""
        self._lock.release()

    def tell(self, place: str) -> None:
        """Tell the address, as `address.write`."""
        with self._one_at_a_time:
            self._address = place
            address.write(self._state, place)

    def take_back(self) -> None:
        """Tell it no more."""
        with self._one_at_a_time:
            self._address = ""
            address.remove(self._state)

    def renew(self) -> None:
        """Bring back what was deleted. A failure is logged: who calls has more to do."""
        with self._one_at_a_time:
            try:
                self._lock.renew()
                if self._address and not (self._state / address.FILE).exists():
                    address.write(self._state, self._address)
            except (JournalError, OSError) as error:
                metrics.count("state_folder_failures_total")
                text = "commands do not find this sidecar any more, until it is restarted: %s"
                log.error(text, error)  # noqa: TRY400 -- told, not a defect
