"""Flags of command line tools, and how the operator's arguments take the place of ours."""

from collections.abc import Iterable, Mapping, Sequence

Flag = tuple[str, ...]
"""A flag and its values."""


def overridden(theirs: Iterable[str], same: Mapping[str, str]) -> set[str]:
    """Our flags whose place is taken by the operator's arguments: `--x y` or `--x=y`.

    `same` are flags that take the place of one of ours under another name.
    """
    given = {argument.partition("=")[0] for argument in theirs if argument.startswith("-")}
    return given | {same[name] for name in given if name in same}


def joined(ours: Iterable[Flag], theirs: Sequence[str], left_out: Iterable[str]) -> list[str]:
    """Our flags but those that are left out, then the operator's arguments."""
    out = frozenset(left_out)
    return [part for flag in ours if flag[0] not in out for part in flag] + list(theirs)
