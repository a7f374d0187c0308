"""Text from outside, messages and replies as JSON columns, and back.

All of it is plain ASCII: a NUL or a lone surrogate, which SQLite's text cannot hold, survives.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from sidecar.errors import JournalError
from sidecar.model import Conversation, Message, Reply, Said, Sender

T = TypeVar("T")


@cache  # of which mypy believes that it cannot be asked for a class of data, hence the casts
def _names(kind: Any) -> tuple[str, ...]:
    # Each call of `fields` leaves a tuple in CPython's free list, which holds 2,000 of a length.
    return tuple(field.name for field in fields(kind))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {name: getattr(value, name) for name in _names(cast(Any, type(value)))}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


encode: Callable[[object], str] = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
"""The JSON of a text, a tuple, or a value of the model. Raises TypeError or ValueError."""


def decode_message(text: str) -> Message:
    """The message of a column. Keys that this version does not know are left out.

    Raises:
        JournalError: it is not a message.
    """
    return _decode(text, Message, {"conversation": Conversation, "sender": Sender})


def decode_reply(text: str) -> Reply:
    """The reply of a column. Keys that this version does not know are left out.

    Raises:
        JournalError: it is not a reply.
    """
    return _decode(text, Reply, {"conversation": Conversation})


def decode_said(text: str, at: float) -> Said:
    """What was said last in a conversation, of a column and its time.

    Raises:
        JournalError: it is not that.
    """
    return _decode(text, Said, {"conversation": Conversation, "sender": Sender}, at=at)


def _decode(text: str, kind: type[T], parts: Mapping[str, type[object]], **more: object) -> T:
    # Damaged, it may be JSON all the same, of any other form and depth.
    try:
        plain = json.loads(text) | more
        for name, part in parts.items():
            plain[name] = _build(part, plain[name])
        return _build(kind, plain)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise JournalError(f"a {kind.__name__} in the journal cannot be read: {error}") from error


def _build(kind: type[T], plain: Mapping[str, Any]) -> T:
    known = _names(cast(Any, kind))
    return kind(**{name: value for name, value in plain.items() if name in known})
