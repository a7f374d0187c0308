"""What of the sidecar's environment an agent is given."""

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from sidecar.config.model import FileText
from sidecar.core.redact import SHORTEST_ENCODED

TURN = "SIDECAR_TURN"
"""Names the turn, or a process that stays for several, in the environment of an agent, and so of
all that it starts."""
STATE = "SIDECAR_STATE"
"""Names the sidecar to which the turn belongs, by `state_mark`."""

TRACE = frozenset({"TRACEPARENT", "TRACESTATE"})
"""Name the span of a turn. A process that stays for several turns is not given them."""

ALLOWED = (
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLORTERM",
    "TMPDIR",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
"""What every agent inherits; a final `*` stands for any rest. No secret has such a name."""

_SECRET = re.compile("KEY|TOKEN(?!S)|SECRET|PASS|CREDENTIAL", re.IGNORECASE)
"""In the names of variables that hold a secret; `TOKENS` are a number of them."""


def inherited(base: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The variables of `base` that are allowed for every agent or match one of `names`."""
    wanted = (*ALLOWED, *names)
    exact = {name for name in wanted if not name.endswith("*")}
    starts = tuple(name[:-1] for name in wanted if name.endswith("*"))
    return {name: value for name, value in base.items() if name in exact or name.startswith(starts)}


def secrets(env: Mapping[str, str], configured: Iterable[str]) -> frozenset[str]:
    """The secrets in an environment: what a name says is one, and all that is `configured` but
    paths and short words, which occur in ordinary texts."""
    long = {name for name in configured if len(env.get(name, "")) >= SHORTEST_ENCODED}
    return frozenset(
        value
        for name, value in env.items()
        if _SECRET.search(name) or (name in long and not value.startswith(os.sep))
    )


def read(values: Mapping[str, str | FileText]) -> dict[str, str]:
    """The values with the present text of the files that they name. Blocks.

    Raises:
        OSError: a file cannot be read.
        UnicodeDecodeError: a file is no text.
    """
    return {
        name: value if isinstance(value, str) else "".join(map(_part, value.parts))
        for name, value in values.items()
    }


def _part(part: str | Path) -> str:
    """A text as it is; of a file, its text without the line end that editors put last."""
    if isinstance(part, str):
        return part
    text = part.read_text("utf-8")
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


@lru_cache
def state_mark(state: Path) -> str:
    """A name of the sidecar with this state folder, the same in every run, without its path."""
    return sha256(os.fsencode(state)).hexdigest()[:16]


def marks(state: Path, turn: str) -> dict[str, str]:
    """The variables by which everything that a turn has started is found."""
    return {STATE: state_mark(state), TURN: turn}
