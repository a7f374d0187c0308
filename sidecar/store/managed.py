"""What the control plane set, in files of the state folder. Everything here blocks.

- `managed/managed.yaml`: the agents and routes; an agent is there as soon as this file names it.
- `credentials/ID.json`: the credentials of an agent that was handed over.
- `profiles.json`: the names and descriptions of agents, as their owners wrote them.
- `unfinished.json`: a change that is under way. The next start finds it, and undoes or completes
  the change, by what `managed.yaml` says.

Each file is replaced as a whole, so that half of one is never there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sidecar.config.managed import FILE, UNFINISHED
from sidecar.core.managed import Managed, read, write
from sidecar.hubclient.private_file import replace_file

CREDENTIALS = "credentials"
"""The folder of the credentials, mode 0700, in the state folder."""
PROFILES = "profiles.json"


Profile = Mapping[str, str]
"""`name` and `bio`, each only where it is known."""


class ManagedUnusable(ValueError):
    """What a file holds is not what the sidecar wrote; the text tells which file."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A change of an agent that is under way: what of it is deleted when it is undone (`add`) or
    completed (`remove`)."""

    kind: Literal["add", "remove"]
    agent: str
    credentials: bool = False
    state: bool = False
    workspace: bool = False


class ManagedFiles:
    """The files in one state folder. `wrote` is told the content of `managed.yaml` before and
    after a change."""

    def __init__(self, state: Path, wrote: Callable[[bytes, bytes], None]) -> None:
        self.state = state
        self._wrote = wrote

    def read(self) -> Managed:
        """The agents and routes. Raises ManagedUnusable or OSError."""
        path = self.state / FILE
        try:
            return read(path.read_text("utf-8"))
        except FileNotFoundError:
            return Managed()
        except (ValueError, RecursionError) as error:
            raise ManagedUnusable(f"{path}: it is not as the sidecar wrote it") from error

    def write(self, managed: Managed) -> None:
        """Replace them. Raises OSError."""
        path, content = self.state / FILE, write(managed).encode("utf-8")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        self._wrote(before, content)
        replace_file(path, content)

    def credentials(self, agent: str) -> Path:
        """Where the credentials of an agent are, whose id is safe."""
        return self.state / CREDENTIALS / f"{agent}.json"

    def kept_credentials(self, agent: str) -> Mapping[str, object] | None:
        """The credentials that are there; None without any. Raises ManagedUnusable or OSError."""
        path = self.credentials(agent)
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise ManagedUnusable(f"{path}: it is not as the sidecar wrote it") from error
        return found if isinstance(found, dict) else {}

    def write_credentials(self, agent: str, record: Mapping[str, object]) -> None:
        """Write the credentials of an agent, for nobody else to read. Raises OSError."""
        path = self.credentials(agent)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        replace_file(path, text.encode("utf-8"))

    def delete_credentials(self, agent: str) -> bool:
        """Delete them; False where there are none. Raises OSError."""
        try:
            self.credentials(agent).unlink()
        except FileNotFoundError:
            return False
        return True

    def profiles(self) -> dict[str, Profile]:
        """Names and descriptions, by agent; none where they cannot be read."""
        try:
            found = json.loads((self.state / PROFILES).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return {agent: one for agent, one in found.items() if isinstance(one, dict)}

    def write_profiles(self, profiles: Mapping[str, Profile]) -> None:
        """Replace them. Raises OSError."""
        replace_file(self.state / PROFILES, json.dumps(profiles, indent=2).encode("utf-8"))

    def begin(self, change: Unfinished) -> None:
        """Note a change before its first step. Raises OSError."""
        replace_file(self.state / UNFINISHED, json.dumps(asdict(change)).encode("utf-8"))

    def end(self) -> None:
        """The change is done or undone. Raises OSError."""
        (self.state / UNFINISHED).unlink(missing_ok=True)

    def unfinished(self) -> Unfinished | None:
        """The change that a sidecar was killed in. Raises ManagedUnusable or OSError."""
        for folder in (self.state, self.state / CREDENTIALS, (self.state / FILE).parent):
            for left in folder.glob(".*.tmp"):  # half-written, never in its place
                left.unlink(missing_ok=True)
        path = self.state / UNFINISHED
        try:
            return Unfinished(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ManagedUnusable(f"{path}: it is not as the sidecar wrote it") from error
