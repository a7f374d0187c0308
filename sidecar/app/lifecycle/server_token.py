"""The token that requests to the HTTP server have to bring."""

import asyncio

from sidecar.app.lifecycle.presence import Presence
from sidecar.config.comparing.diff import server_in_use
from sidecar.config.model import Server


class ServerToken:
    """That of the server that a sidecar began with, or what a later config makes of it. Commands on
    this machine are told it, whatever has been saved since."""

    def __init__(self, begun_with: Server | None, presence: Presence) -> None:
        self._used = begun_with
        self._presence = presence

    def present(self) -> str:
        """The token; empty for none."""
        return "" if self._used is None else self._used.token

    async def follow(self, server: Server | None) -> None:
        """Take that of a config that is in force."""
        new = server_in_use(self._used, server)
        if new != self._used and new is not None:
            # Who is refused looks once more for what is told by then.
            await asyncio.to_thread(self._presence.tell_token, new.token)
            self._used = new
