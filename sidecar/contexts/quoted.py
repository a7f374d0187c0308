"""The context `quoted`: what a message replies to, as the journal knows it."""

from collections.abc import Mapping

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.core.sanitise import cut, label
from sidecar.prompts.context import called

LONGEST = 2000
"""Characters of a text; a longer one ends with `…`."""


class QuotedProvider:
    """Asks the journal."""

    def __init__(self, host: Host) -> None:
        self._replied_to = host.replied_to

    def value(self, asked: Asked) -> object:
        """What was said, by whom and when; None where the message replies to nothing known."""
        return self._look(asked) if asked.message.reply_to else None

    async def _look(self, asked: Asked) -> object:
        found = await self._replied_to(asked.message)
        if found is None:
            return None
        text = found.text.strip()
        return {
            "id": label(found.id),
            "text": text if len(text) <= LONGEST else f"{cut(text, LONGEST - 1)}…",
            "kind": found.sender.kind,
            "sender": called(found.sender),
            "own": found.sender.kind == "agent" and found.sender.id == asked.message.account,
            "time": found.sent_at,
        }

    async def close(self) -> None:
        """Nothing is held."""


def build(options: Mapping[str, object], host: Host) -> ContextProvider:
    """A provider of this type."""
    return QuotedProvider(host)


QUOTED = ContextType("quoted", {"type": "object", "additionalProperties": False}, build)
