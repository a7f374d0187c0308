"""Which routes no message reaches, because earlier ones take all that they would take.

A match is taken apart into alternatives with one value for each key. A route is never reached when
some earlier alternative, with fewer keys or as many, holds wherever one of its own does, for each
of its own. Alternatives are filed by their keys and values, so that one look finds such a one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from math import prod
from operator import attrgetter

from sidecar.config.model import Match

Conditions = str
"""What has to hold for a route: the keys of its match in a fixed order, each with the values of
which one has to hold. It is one text because with each save thousands go to another process."""
EVERY_MESSAGE: Conditions = ""
"""Nothing has to hold."""

_Keys = tuple[str, ...]
_Values = tuple[str, ...]

MOST_LOOKS = 400_000
"""Alternatives that are filed or looked for in all, in some tenths of a second. A route that has
more than are left is taken to be reached, and to take nothing from others."""

_KEYS = tuple(key.name for key in fields(Match))
_told = attrgetter(*_KEYS)
_NEXT = "\0"
_NEXT_KEY = "\0\0"
_PREFIX = "conversation_prefix"
_BEGIN_SO = ("conversation", _PREFIX)
"""What tells how the id of a conversation begins."""


def conditions(match: Match) -> Conditions:
    """What has to hold for a route, whose values are not empty and have no NUL in them."""
    found = []
    for key, told in zip(_KEYS, _told(match), strict=True):
        if told is not None:
            values = _NEXT.join(told) if isinstance(told, tuple) else str(told)
            found.append(f"{key}{_NEXT}{values}")
    return _NEXT_KEY.join(found)


def _apart(told: Conditions) -> tuple[_Keys, list[_Values]]:
    """The keys, and for each its values."""
    parts = [tuple(part.split(_NEXT)) for part in told.split(_NEXT_KEY)] if told else []
    return tuple([part[0] for part in parts]), [part[1:] for part in parts]


def unreached(routes: Sequence[Conditions | None]) -> dict[int, tuple[int, ...]]:
    """The routes that are never reached, by number, each with those that take its messages."""
    earlier = _Earlier()
    found: dict[int, tuple[int, ...]] = {}
    for number, told in enumerate(routes):
        if told is None:
            continue
        keys, values = _apart(told)
        if not earlier.has_time_for(values):
            continue
        if takers := earlier.takers(keys, values):
            found[number] = takers
        else:
            earlier.add(number, keys, values)
    return found


@dataclass(slots=True)
class _Shelf:
    """The alternatives of some keys: by their values, the first route that has them."""

    routes: dict[_Values, int] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    """Of the prefixes, where these are one of the keys."""


@dataclass(slots=True)
class _Look:
    """How to find an alternative on a shelf: from where in other values its own are taken."""

    shelf: _Shelf
    before: tuple[int, ...]
    begin: tuple[int, ...] | None = None
    """What the prefix may be the begin of; None where the shelf has no prefixes."""
    after: tuple[int, ...] = ()

    def values(self, of: _Values) -> Iterator[_Values]:
        """The values with which an alternative of the shelf holds wherever these do."""
        before = tuple([of[index] for index in self.before])
        if self.begin is None:
            yield before
            return
        after = tuple([of[index] for index in self.after])
        lengths = sorted(self.shelf.lengths)
        for index, length in product(self.begin, lengths):
            yield (*before, of[index][:length], *after)


class _Earlier:
    """The alternatives of routes."""

    def __init__(self) -> None:
        self._looks_left = MOST_LOOKS
        self._shelves: dict[_Keys, _Shelf] = {}
        self._known: dict[_Keys, list[_Look]] = {}

    def has_time_for(self, values: Sequence[_Values]) -> bool:
        """Whether a route has so few alternatives that there is time to file or to find them."""
        count = prod(map(len, values))
        if count > self._looks_left:
            return False
        self._looks_left -= count
        return True

    def add(self, number: int, keys: _Keys, values: Sequence[_Values]) -> None:
        """File a route."""
        shelf = self._shelves.get(keys)
        if shelf is None:
            shelf = self._shelves[keys] = _Shelf()
            self._known.clear()
        if _PREFIX in keys:
            shelf.lengths.update(map(len, values[keys.index(_PREFIX)]))
        for alternative in product(*values):
            shelf.routes.setdefault(alternative, number)

    def takers(self, keys: _Keys, values: Sequence[_Values]) -> tuple[int, ...]:
        """The routes that take all messages of one; none where it may be reached."""
        looks = self._known.get(keys)
        if looks is None:
            looks = self._known[keys] = list(self._looks(keys))
        found: set[int] = set()
        for alternative in product(*values) if looks else ():
            taker = self._taker(alternative, looks)
            if taker is None:
                return ()
            found.add(taker)
        return tuple(sorted(found))

    def _looks(self, keys: _Keys) -> Iterator[_Look]:
        """Where to look for what takes the messages of a route with these keys."""
        at = {key: index for index, key in enumerate(keys)}
        begin = tuple(at[key] for key in _BEGIN_SO if key in at)
        for held, shelf in self._shelves.items():
            others = [key for key in held if key != _PREFIX]
            if not at.keys() >= set(others):
                continue
            if _PREFIX not in held:
                yield _Look(shelf, tuple(at[key] for key in held))
            elif begin:
                middle = held.index(_PREFIX)
                before, after = others[:middle], others[middle:]
                yield _Look(
                    shelf, tuple(at[key] for key in before), begin, tuple(at[key] for key in after)
                )

    def _taker(self, alternative: _Values, looks: Iterable[_Look]) -> int | None:
        for look in looks:
            for values in look.values(alternative):
                self._looks_left -= 1
                number = look.shelf.routes.get(values)
                if number is not None:
                    return number
        return None
