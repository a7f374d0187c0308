"""Reading JSON that somebody else wrote: what has the wrong type counts as not there."""

import math
import re
from collections.abc import Mapping

Record = Mapping[str, object]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without NUL, and with U+FFFD for lone surrogates.

    JSON can carry both; UTF-8, or a program's arguments, can not.
    """
    text = text.replace("\0", "")
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def text_of(record: Record, name: str) -> str | None:
    """A text that says something, cleaned. A whole number counts as its digits."""
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    value = clean(value)
    return value if value.strip() else None


def record_of(record: Record, name: str) -> Record:
    """An object; an empty one where there is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def flag_of(record: Record, name: str) -> bool | None:
    """A boolean."""
    value = record.get(name)
    return value if isinstance(value, bool) else None


def number_of(record: Record, name: str) -> int | float | None:
    """A finite number."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer beyond every float
        return None


def count_of(record: Record, name: str) -> int | None:
    """A finite number, as a whole one."""
    value = number_of(record, name)
    return None if value is None else int(value)


def records_of(record: Record, name: str) -> list[Record]:
    """The objects of a list."""
    value = record.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts_of(record: Record, name: str, *, most: int) -> list[str]:
    """The texts of a list, cleaned, at most so many."""
    value = record.get(name)
    if not isinstance(value, list):
        return []
    return [clean(item) for item in value if isinstance(item, str)][:most]
