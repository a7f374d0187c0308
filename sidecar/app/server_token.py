"""The token that requests to the HTTP server have to bring."""

from collections.abc import Callable

from sidecar.config.model import Config, Server


class ServerToken:
    """That of the config in force, while it is for the address where the server listens. One for
    another address may be none, where only that one is out of the reach of others."""

    def __init__(self, begun_with: Server, config: Callable[[], Config]) -> None:
        self._used = begun_with
        self._config = config

    def present(self) -> str:
        """The token; empty for none."""
        server = self._config().server
        if server is not None and server.listen == self._used.listen:
            self._used = server
        return self._used.token
