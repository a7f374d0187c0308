"""How other commands reach a running sidecar: a file in the state folder tells where it is."""

import contextlib
from pathlib import Path

FILE = "server.address"
DEVELOPMENT = "dev"
"""The state folder of `sidecar dev`, inside the one of the config."""
DEVELOPMENT_LOG = "sidecar.log"
"""The log in it."""
OWN_HEADER = "X-Sidecar"
"""Has to be there, with any value, where work is asked for: a page in a browser cannot send it to
another site without asking, and nobody here agrees.
https://fetch.spec.whatwg.org/#http-cors-protocol
"""


def write(state: Path, address: str) -> None:
    """Tell the address, `host:port` or `unix:/path`."""
    (state / FILE).write_text(address, encoding="utf-8")


def remove(state: Path) -> None:
    """Take it back."""
    with contextlib.suppress(OSError):
        (state / FILE).unlink()


def find(state: Path) -> str:
    """The address that is told; empty where none is. One that was killed tells it still."""
    try:
        return (state / FILE).read_text(encoding="utf-8")
    except OSError:
        return ""
