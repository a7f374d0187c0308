"""Ids that the Hub gives."""

import hashlib
import secrets


def random_id(prefix: str, digits: int) -> str:
    """A new id: the prefix and random lower-case hex digits."""
    return prefix + secrets.token_hex(digits // 2)


def stable_id(prefix: str, digits: int, text: str) -> str:
    """An id that is the same for the same text, also after a restart of the Hub."""
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:digits]
