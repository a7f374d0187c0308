"""A port that stays free until a test listens at it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port at which nobody listens, and which the system gives to nobody else meanwhile. Raises
    OSError when the machine has no such address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        port: int = held.getsockname()[1]
        if sys.platform != "linux":  # elsewhere, nobody could listen at a port that is bound
            held.close()
        yield port
