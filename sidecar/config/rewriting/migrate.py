"""Deprecated keys of a config, written as what replaces them; all else stays to the letter."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.config.problems import Place, Position
from sidecar.config.schemas.keys import UnknownKey, find
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.document import Document


@dataclass(frozen=True, slots=True)
class Rename:
    """A key to be written anew, at its position."""

    old: str
    new: str
    position: Position


def renames(document: Document, schema: Schema) -> tuple[list[Rename], list[Place]]:
    """The deprecated keys that one beside them replaces, and the places of the other ones: they
    have no such replacement, or it is given too, so that somebody has to decide."""
    found: list[Rename] = []
    others: list[Place] = []
    for place, position in document.keys.items():
        told = _told(schema, place)
        if not told.get("deprecated"):
            continue
        old, new = str(place[-1]), str(told.get("x-replacement", ""))
        if new.isidentifier() and (*place[:-1], new) not in document.keys:
            found.append(Rename(old, new, position))
        else:
            others.append(place)
    return found, others


def rewritten(text: str, edits: list[Rename]) -> str:
    """A text with the keys of one file written anew."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda one: (one.position.line, -one.position.column)):
        at, start = edit.position.line - 1, edit.position.column - 1
        line = lines[at]
        lines[at] = line[:start] + edit.new + line[start + edit.position.width :]
    return "".join(lines)


def by_file(edits: list[Rename]) -> Mapping[str, list[Rename]]:
    """The edits of each file, by the name that positions bear."""
    found: dict[str, list[Rename]] = defaultdict(list)
    for edit in edits:
        found[edit.position.file].append(edit)
    return found


def _told(schema: Schema, place: Place) -> Mapping[str, object]:
    try:
        return find(schema, place)[0].told
    except UnknownKey:
        return {}
