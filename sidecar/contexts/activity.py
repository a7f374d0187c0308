"""The context `activity`: what was said lately in the account's other conversations."""

from collections.abc import Mapping
from functools import lru_cache

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.codecs.loose import number_of
from sidecar.core.sanitise import cut, label, sanitise
from sidecar.model import Said
from sidecar.prompts.context import called
from sidecar.prompts.contract import PROVIDERS

PREVIEW = 120
"""Characters of a preview."""
REMEMBERED = 128
"""Entries; each is told in every turn until something newer is."""


class ActivityProvider:
    """Tells of conversations in which somebody spoke within `window` seconds, `most` of them; of
    other groups everybody, where it is to `share` them."""

    def __init__(self, host: Host, window: float, most: int, *, share: bool) -> None:
        self._said_since = host.said_since
        self._window = window
        self._most = most
        self._share = share

    def value(self, asked: Asked) -> object:
        """How many there are besides the present one, and the last ones, newest first.

        What is said elsewhere is told to the owner alone: others could ask the agent for it. They
        see the other topics of their room, which they can read anyhow.
        """
        said = self._said_since(asked.message, asked.now - self._window)
        here, owner, share = asked.message.conversation, asked.trust == "owner", self._share
        others = [
            one
            for one in said
            if (owner or one.conversation.id == here.id or (share and _is_group(one)))
            and (one.conversation.id != here.id or one.conversation.thread != here.thread)
        ]
        return {"total": len(others), "entries": [_entry(one) for one in others[: self._most]]}

    async def close(self) -> None:
        """Nothing is held."""


def _is_group(said: Said) -> bool:
    return said.conversation.kind == "group"


@lru_cache(REMEMBERED)
def _entry(said: Said) -> dict[str, object]:
    """One conversation. Its preview is one line, so that it cannot begin with a heading."""
    place = said.conversation
    return {
        "room": label(place.id),
        "title": label(place.title or ""),
        "thread": label(place.thread or ""),
        "kind": said.sender.kind,
        "sender": called(said.sender),
        "time": said.at,
        "preview": cut(sanitise(" ".join(said.preview.split())), PREVIEW),
    }


def build(options: Mapping[str, object], host: Host) -> ContextProvider:
    """A provider of this type."""
    most = number_of(options, "max_entries")
    window = number_of(options, "window")
    return ActivityProvider(
        host,
        7200.0 if window is None else window,
        5 if most is None else int(most),
        share=options.get("share_groups") is not False,
    )


ACTIVITY = ContextType(
    "activity",
    {
        "type": "object",
        "properties": {
            "window": {"type": "number"},
            "max_entries": {"type": "integer"},
            "share_groups": {"type": "boolean"},
        },
        "additionalProperties": False,
    },
    build,
    empty=PROVIDERS["activity"],
)
