"""What a prompt was the last time that it was shown, so that it can be told what changed."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

Texts = Mapping[str, str]
"""The texts of a prompt by their names."""

FOLDER = "renders"
"""In the state folder."""


class InMemory:
    """Of one process."""

    def __init__(self) -> None:
        self._last: Texts | None = None

    def take(self, texts: Texts) -> Texts | None:
        """What it was the last time, None at the first; from now on it is `texts`."""
        before, self._last = self._last, texts
        return before


class OnDisk:
    """Of one question, by whatever names it, in a state folder."""

    def __init__(self, state: Path, question: object) -> None:
        name = sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._file = state / FOLDER / f"{name}.json"

    def take(self, texts: Texts) -> Texts | None:
        """What it was the last time, None at the first; from now on it is `texts`. Blocks.

        Raises:
            OSError: it cannot be read or kept.
        """
        before = self._read()
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(texts), "utf-8")
        return before

    def _read(self) -> Texts | None:
        try:
            found: Texts = json.loads(self._file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # a file that was cut short counts as none
            return None
        return found
