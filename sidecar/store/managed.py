"""What the control plane set, in files of the state folder. Everything here blocks.

- `managed/managed.yaml`: the agents and routes; an agent is there as soon as this file names it.
- `credentials/ID.json`: the credentials of an agent that was handed over.
- `profiles.json`: the names and descriptions of agents, as their owners wrote them.
- `unfinished.json`: the changes that are under way, one of an agent at most. The next start finds
  them, and undoes or completes each, by what `managed.yaml` says.

Each file is replaced as a whole, so that half of one is never there.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sidecar.atomic_file import replace_file
from sidecar.config.reading.managed import FILE, UNFINISHED
from sidecar.core.managed import Managed, read, write

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
    """The files in one state folder. `wrote` is told the content of `managed.yaml` before a change,
    None where there is none, and after it."""

    def __init__(self, state: Path, wrote: Callable[[bytes | None, bytes], None]) -> None:
        self.state = state
        self._wrote = wrote
        self._profiles = threading.Lock()

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
        before = path.read_bytes() if path.exists() else None
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
        found = found if isinstance(found, dict) else {}
        return {agent: one for agent, one in found.items() if isinstance(one, dict)}

    def change_profiles(self, edit: Callable[[dict[str, Profile]], dict[str, Profile]]) -> bool:
        """Replace them by what `edit` makes of them; False where that is the same. Raises
        OSError."""
        with self._profiles:
            known = self.profiles()
            new = edit(known)
            if new == known:
                return False
            replace_file(self.state / PROFILES, json.dumps(new, indent=2).encode("utf-8"))
        return True

    def forget_profile(self, agent: str) -> bool:
        """Forget the name and description of an agent; False where there are none. Raises
        OSError."""
        return self.change_profiles(
            lambda known: {name: one for name, one in known.items() if name != agent}
        )

    def begin(self, change: Unfinished) -> None:
        """Note a change before its first step, instead of an earlier one of the same agent. Raises
        OSError."""
        self._note([*self._others(change.agent), change])

    def end(self, agent: str) -> None:
        """The change of an agent is done or undone. Raises OSError."""
        self._note(self._others(agent))

    def unfinished(self) -> list[Unfinished]:
        """The changes that a sidecar was killed in, or that a command left to its next start.
        Raises ManagedUnusable or OSError."""
        for folder in (self.state, self.state / CREDENTIALS, (self.state / FILE).parent):
            for left in folder.glob(".*.tmp"):  # half-written, never in its place
                left.unlink(missing_ok=True)
        return self._noted()

    def _noted(self) -> list[Unfinished]:
        path = self.state / UNFINISHED
        try:
            return [Unfinished(**one) for one in json.loads(path.read_bytes())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, RecursionError) as error:
            raise ManagedUnusable(f"{path}: it is not as the sidecar wrote it") from error

    def _others(self, agent: str) -> list[Unfinished]:
        try:
            return [one for one in self._noted() if one.agent != agent]
        except ManagedUnusable:  # told at the start; no later change has to wait for a person
            return []

    def _note(self, changes: Sequence[Unfinished]) -> None:
        path = self.state / UNFINISHED
        if changes:
            replace_file(path, json.dumps([asdict(one) for one in changes]).encode("utf-8"))
        else:
            path.unlink(missing_ok=True)
