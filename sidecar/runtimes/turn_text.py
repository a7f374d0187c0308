"""The texts that tools are given: nothing in them is a command or a reference of the tool's own."""

import re
import secrets
from difflib import unified_diff

from sidecar.model import Job

HEADER = "Message:\n"
"""Stands before every user turn: a text that begins with `/` would be run as a command."""
_JOINER = "\\g<0>\u2060"
"""U+2060 is invisible, and ends the meaning of the sign before it."""
MOST_CHANGED = 2048
"""Characters of a changed context that stand above one user turn, and so stay in the session."""
SHOWN = 80
"""Characters of a line beside one that changed."""
MOST_LINES = 1000
"""Lines of the longest context that is compared."""


def user_turn(job: Job, sign: re.Pattern[str]) -> str:
    """The user turn below a header. `sign` finds what the tool would replace by the text of a file
    or of a skill.

    No text names a file, for an owner's turn may quote others, too. Skills are the owner's own: the
    variables of a shell, which look alike, stay as the owner wrote them.
    """
    if job.trust == "owner":
        return HEADER + sign.sub(_unless_a_skill, job.prompt.user)
    return HEADER + sign.sub(_JOINER, job.prompt.user)


def _unless_a_skill(found: re.Match[str]) -> str:
    return found[0] if "$" in found[0] else found.expand(_JOINER)


def parts(job: Job, sign: re.Pattern[str]) -> tuple[str, ...]:
    """The context, if there is any, and the user turn, for tools that take the context of a single
    turn in no other way than as a part of the prompt.

    It is marked by a number that nobody who writes messages can know.
    """
    turn, context = user_turn(job, sign), job.prompt.system.strip()
    if not context:
        return (turn,)
    return _below("Your instructions for this turn", context, sign), turn


def whole(job: Job, sign: re.Pattern[str]) -> bytes:
    """The `parts` as one prompt."""
    return "".join(parts(job, sign)).encode("utf-8", "replace")


def compared(job: Job, base: str, sign: re.Pattern[str]) -> str | None:
    """The user turn below what is different in its context from `base`, which the tool has; None
    where that would be more than each turn may add to a session."""
    had, has = (text.strip().split("\n") for text in (base, job.prompt.system))
    if had == has:
        return user_turn(job, sign)
    if max(len(had), len(has)) > MOST_LINES:
        return None
    found = list(unified_diff(had, has, n=1, lineterm=""))[2:]
    difference = "\n".join(map(_shortened, found))
    if len(difference) > MOST_CHANGED:
        return None
    first = (
        "For this message, your instructions differ from those in the system prompt: what is gone "
        "from them (-) and what holds instead (+), as a unified diff,"
    )
    return _below(first, difference, sign) + user_turn(job, sign)


def _shortened(line: str) -> str:
    """A line of a difference: places are left out, and lines that tell them need not be whole."""
    if line.startswith("@@"):
        return "..."
    return line[:SHOWN] if line.startswith(" ") else line


def _below(first: str, context: str, sign: re.Pattern[str]) -> str:
    mark = f"context-{secrets.token_hex(8)}"
    context = sign.sub(_JOINER, context)
    return (
        f"{first} stand between the two lines with {mark}, a mark "
        f"that no message can know.\n<{mark}>\n{context}\n</{mark}>\n\n"
    )
