"""What tells others that a sidecar uses a state folder, where it answers and by which token."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from sidecar import metrics
from sidecar.errors import JournalError
from sidecar.server import address
from sidecar.store.lock import StateLock

log = logging.getLogger(__name__)


class Presence:
    """The lock of a state folder, and the address and the token in it. All methods block for file
    I/O."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = StateLock(state)
        self._address = self._token = ""
        self._one_at_a_time = threading.Lock()

    def begin(self) -> None:
        """Take the lock, and the address back that one left which was killed. Raises what
        `StateLock.acquire` does."""
        self._lock.acquire()
        address.remove(self._state)

    def end(self) -> None:
        """Let another sidecar have the folder."""
        self._lock.release()

    def tell(self, place: str, token: str) -> None:
        """Tell the address, as `address.write`, and the token, as `tell_token`."""
        with self._one_at_a_time:
            self._address, self._token = place, token
            self._write_token()
            address.write(self._state, place)

    def tell_token(self, token: str) -> None:
        """Tell another token, if the address is told. A failure is logged: whoever can read the
        config knows the token, too."""
        with self._one_at_a_time:
            if self._address:
                self._token = token
                self._write_token()

    def take_back(self) -> None:
        """Tell them no more."""
        with self._one_at_a_time:
            self._address = self._token = ""
            address.remove(self._state)

    def renew(self, beside: Callable[[], None] = lambda: None) -> None:
        """Bring back what was deleted, and have `beside` do the same with what else there was. A
        failure is logged: who calls has more to do."""
        with self._one_at_a_time:
            try:
                self._lock.renew()
                if self._token and not (self._state / address.TOKEN_FILE).exists():
                    self._write_token()
                if self._address and not (self._state / address.FILE).exists():
                    address.write(self._state, self._address)
            except (JournalError, OSError) as error:
                metrics.count("state_folder_failures_total")
                text = "commands do not find this sidecar any more, until it is restarted: %s"
                log.error(text, error)  # noqa: TRY400 -- told, not a defect
        beside()

    def _write_token(self) -> None:
        try:
            address.write_token(self._state, self._token)
        except OSError as error:
            metrics.count("state_folder_failures_total")
            text = "commands take `server.token` from the config: the one in use cannot be told: %s"
            log.error(text, error)  # noqa: TRY400 -- told, not a defect
