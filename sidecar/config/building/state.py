"""Where a config puts the state folder, and for how long what is in it is kept."""

from pathlib import Path

from sidecar.config.building.part import Part
from sidecar.config.model import State
from sidecar.config.system import usual_state_dir

SHORTEST_JOURNAL_TTL = 86400.0
"""Seconds: a message is known as long as the journal has it, and a Hub gives one again until it is
acknowledged."""


def state(part: Part) -> State:
    """The state of a part `state`."""
    default = State(state_dir(part))
    found = State(
        dir=default.dir,
        session_ttl=part.duration("session_ttl", default.session_ttl),
        journal_ttl=part.duration("journal_ttl", default.journal_ttl),
    )
    if found.journal_ttl < SHORTEST_JOURNAL_TTL:
        message = "with less than 1d, a message that the Hub gives again could be answered twice"
        part.problem("wrong-value", message, "journal_ttl")
    return found


def state_dir(part: Part) -> Path:
    """The state folder, also of a part that has not been checked yet."""
    given = part.get("dir")
    if isinstance(given, str) and given:
        return part.absolute(given, "dir")
    return usual_state_dir(part.system)
