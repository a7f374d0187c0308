"""Working memory: what an agent notes for its later turns, and the rules of changing it.

Of one account there is one: a goal, and named sections of text. The limits count characters.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_other
from datetime import UTC, datetime

from sidecar.core.sanitise import clean
from sidecar.core.skeleton import GAP, LEFT, RIGHT, replace, word
from sidecar.errors import MemoryRefused, MemoryUnavailable

GOAL = "goal"
"""The name of the goal, among those of sections."""
NOTES = "notes"
"""The section of a memory of version 1, which had no names."""
LONGEST_GOAL = 500
LONGEST_SECTION = 10_000
LONGEST = 20_000
"""Of the goal and all sections together."""
LONGEST_NAME = 64
MOST_SECTIONS = 100

VERSION = 2
"""Of the format of the file: `{"version": 2, "goal": …, "sections": {…}, "updatedAt": …}`."""

_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_TAG = rf"""
    {LEFT} (?P<inside> {GAP} (?: / {GAP} )? (?:
        {word("currentmemory")} (?! [^\W_] )
      | {word("section")} (?: [\s\0]*+ _ | \0*+ - ) {GAP} [^\W_]
    ) [^<>&]*+ ) (?P<closed> {RIGHT} )?
    """
"""What only the prompt may write around a section, also with attributes, and never closed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A working memory. `updated_at` is in seconds since the epoch, None where it is not known."""

    goal: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)
    updated_at: float | None = None

    @property
    def size(self) -> int:
        """The characters of the goal and of all sections."""
        return len(self.goal) + sum(map(len, self.sections.values()))

    def part(self, name: str) -> str:
        """The text of the goal or of a section; empty where there is none."""
        return self.goal if name == GOAL else self.sections.get(name, "")


def changed(memory: Memory, name: str, text: str, now: float) -> Memory:
    """The memory with another text for the goal or a section; an empty one removes it.

    `now` is in seconds since the epoch.

    Raises:
        MemoryRefused: the name or the lengths are against the rules. The text is for whoever
            asked for the change.
    """
    name, text = name.strip(), clean(text)
    if not text.strip():
        return _without(memory, name, now)
    if name == GOAL:
        _check_length("the goal", len(text), LONGEST_GOAL)
        after = with_other(memory, goal=text, updated_at=now)
    else:
        _check_name(name)
        _check_length(f"section {name}", len(text), LONGEST_SECTION)
        after = with_other(memory, sections={**memory.sections, name: text}, updated_at=now)
    _check_length("the memory", after.size, LONGEST)
    if len(after.sections) > MOST_SECTIONS:
        raise MemoryRefused(f"there are {MOST_SECTIONS} sections already: delete one first")
    return after


def cleared(now: float) -> Memory:
    """An empty memory, which is known to be empty."""
    return Memory(updated_at=now)


def neutral(text: str) -> str:
    """A text that cannot pass for the tags that the prompt puts around sections."""
    return replace(_TAG, _neutral, text)


def _neutral(found: re.Match[str], text: str) -> str:
    inside = text[slice(*found.span("inside"))]
    return f"‹{inside}›" if found["closed"] else f"‹{inside}"  # noqa: RUF001 -- look-alikes are wanted


def encode(memory: Memory) -> bytes:
    """The content of a memory's file."""
    record: dict[str, object] = {"version": VERSION}
    if memory.goal:
        record[GOAL] = memory.goal
    record |= {"sections": dict(memory.sections), "updatedAt": iso(memory.updated_at)}
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def decode(content: bytes) -> Memory:
    """What a file of version 2 or 1 holds. Sections with impossible names are left out.

    Raises:
        MemoryUnavailable: it is of a later version, and nothing that this program may set aside.
        ValueError: it is damaged, or of no version.
    """
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    record = record if isinstance(record, dict) else {}
    version = record.get("version")
    if isinstance(version, int) and version > VERSION:
        raise MemoryUnavailable(f"a newer sidecar wrote it, as version {version}")
    goal, sections = _text(record.get(GOAL)), record.get("sections")
    if record.get("version") == VERSION and isinstance(sections, dict):
        kept = {name: _text(text) for name, text in sections.items() if _NAME.fullmatch(name)}
    elif isinstance(record.get("content"), str) and record.get("version", 1) == 1:
        kept = {NOTES: _text(record["content"])}
    else:
        raise ValueError(f"it is no working memory of version 1 or {VERSION}")
    sections = {name: text for name, text in kept.items() if text.strip()}
    return Memory(goal, sections, _seconds(_text(record.get("updatedAt"))))


def iso(seconds: float | None) -> str:
    """A time in ISO 8601, as it is in the file; empty where there is none."""
    if seconds is None:
        return ""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _without(memory: Memory, name: str, now: float) -> Memory:
    sections = {other: text for other, text in memory.sections.items() if other != name}
    return Memory("" if name == GOAL else memory.goal, sections, now)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise MemoryRefused(
            f"{name[:LONGEST_NAME]!r} cannot be the name of a section: it takes letters, digits "
            f"and underscores, at most {LONGEST_NAME} of them"
        )


def _check_length(what: str, length: int, most: int) -> None:
    if length > most:
        raise MemoryRefused(f"{what} would have {length} characters, of at most {most}")


def _text(found: object) -> str:
    return clean(found) if isinstance(found, str) else ""


def _seconds(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
