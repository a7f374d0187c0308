"""How other commands reach a running sidecar: a file in the state folder tells where it is, and one
beside it, for this user alone, the token that it wants."""

import contextlib
from pathlib import Path

from sidecar.atomic_file import replace_by

FILE = "server.address"
TOKEN_FILE = "server.token"  # noqa: S105 -- the name of a file
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


def write_token(state: Path, token: str) -> None:
    """Tell the token, or that there is none."""
    if token:
        content = token.encode("utf-8", "surrogateescape")
        replace_by(state / TOKEN_FILE, lambda file: file.write(content))
    else:
        (state / TOKEN_FILE).unlink(missing_ok=True)


def remove(state: Path) -> None:
    """Take both back."""
    for name in (FILE, TOKEN_FILE):
        with contextlib.suppress(OSError):
            (state / name).unlink()


def find(state: Path) -> str:
    """The address that is told; empty where none is. One that was killed tells it still."""
    try:
        return (state / FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


def find_token(state: Path) -> str:
    """The token that is told; empty where none is, or where this user may not read it."""
    try:
        return (state / TOKEN_FILE).read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
