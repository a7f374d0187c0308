"""Which agents have credentials in a folder. It blocks: it is called in a thread."""

from pathlib import Path

from sidecar.channels.credentials import Credentials, read
from sidecar.errors import ChannelStopped


def scan(folder: Path) -> tuple[dict[str, Credentials], list[str]]:
    """The agents with a usable `*.json` in the folder, sorted by id, and warnings.

    What counts is the id in the file, not the file's name. Of two files of one agent the one that
    was written later is taken, of two written at the same time the first by name.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(".json"))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"{folder}: cannot be read: {error.strerror}"]
    found: dict[str, Credentials] = {}
    warnings = []
    for path in paths:
        try:
            credentials = read(path)
        except ChannelStopped as error:
            warnings.append(f"{error}")
            continue
        agent = credentials.agent
        if (other := found.get(agent)) is not None:
            warnings.append(f"two files for agent {agent}: {other.path} and {path}")
        if other is None or credentials.written_at > other.written_at:
            found[agent] = credentials
    return {agent: found[agent] for agent in sorted(found)}, warnings
