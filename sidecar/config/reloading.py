"""How a saved config takes effect: the typed section `reload`."""

from dataclasses import dataclass
from typing import Literal

LONGEST_DEBOUNCE = 5.0
"""Seconds: after as many, a file that is written all the time counts as changed all the same."""


@dataclass(frozen=True, slots=True)
class Reloading:
    """How a saved config takes effect. `debounce` are the seconds that files have to be at rest,
    `poll` those between looks at their content without an event.

    `on_partial`: with a part that does not start, nothing of the config is taken, or all else is.
    `pin_queued`: turns that wait run as their route, templates and runtime were.
    """

    debounce: float = 0.2
    poll: float = 5.0
    on_partial: Literal["rollback", "keep"] = "rollback"
    pin_queued: bool = False
