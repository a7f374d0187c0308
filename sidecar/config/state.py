"""Where a config puts the state folder, and for how long what is in it is kept."""

from pathlib import Path

from sidecar.config.model import State
from sidecar.config.part import Part
from sidecar.config.system import usual_state_dir


def state(part: Part) -> State:
    """The state of a part `state`."""
    default = State(state_dir(part))
    return State(
        dir=default.dir,
        session_ttl=part.duration("session_ttl", default.session_ttl),
        journal_ttl=part.duration("journal_ttl", default.journal_ttl),
    )


def state_dir(part: Part) -> Path:
    """The state folder, also of a part that has not been checked yet."""
    given = part.get("dir")
    if isinstance(given, str) and given:
        return part.absolute(given, "dir")
    return usual_state_dir(part.system)
