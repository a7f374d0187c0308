"""SIGHUP, which asks a sidecar for a reload, while that still starts."""

import signal


class Hangup:
    """Notes a SIGHUP, which would end the process otherwise. Agents do not inherit this, as they
    would if the signal were ignored."""

    def __init__(self) -> None:
        self.came = False

    def listen(self) -> None:
        """From now on, until another handler takes its place. For the main thread."""
        signal.signal(signal.SIGHUP, self._note)

    def _note(self, *_: object) -> None:
        self.came = True
