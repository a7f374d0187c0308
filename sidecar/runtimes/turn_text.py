"""The texts that tools are given: nothing in them is a command or a reference of the tool's own."""

import re
import secrets

from sidecar.model import Job

HEADER = "Message:\n"
"""Stands before every user turn: a text that begins with `/` would be run as a command."""
_JOINER = "\\g<0>\u2060"
"""U+2060 is invisible, and ends the meaning of the sign before it."""


def user_turn(job: Job, sign: re.Pattern[str]) -> str:
    """The user turn below a header. `sign` finds what the tool replaces by the text of a file or
    of a skill: that is for owners only."""
    text = job.prompt.user
    return HEADER + (text if job.trust == "owner" else sign.sub(_JOINER, text))


def parts(job: Job, sign: re.Pattern[str]) -> tuple[str, ...]:
    """The context, if there is any, and the user turn, for tools that take the context of a single
    turn in no other way than as a part of the prompt.

    It is marked by a number that nobody who writes messages can know.
    """
    turn, context = user_turn(job, sign), job.prompt.system.strip()
    if not context:
        return (turn,)
    mark = f"context-{secrets.token_hex(8)}"
    context = sign.sub(_JOINER, context)
    return (
        f"Your instructions for this turn stand between the two lines with {mark}, a mark "
        f"that no message can know.\n<{mark}>\n{context}\n</{mark}>\n\n",
        turn,
    )


def whole(job: Job, sign: re.Pattern[str]) -> bytes:
    """Both parts as one prompt, for tools that take the context of a single turn in no other way.

    It is marked by a number that nobody who writes messages can know.
    """
    turn, context = user_turn(job, sign), job.prompt.system.strip()
    if context:
        turn = _below("Your instructions for this turn", context, sign) + turn
    return turn.encode("utf-8", "replace")


def renewed(job: Job, sign: re.Pattern[str]) -> str:
    """The user turn below a context that takes the place of the one that the tool had so far."""
    first = "Your instructions have changed: those that hold now, in place of all earlier ones,"
    return _below(first, job.prompt.system.strip(), sign) + user_turn(job, sign)


def _below(first: str, context: str, sign: re.Pattern[str]) -> str:
    mark = f"context-{secrets.token_hex(8)}"
    context = sign.sub(_JOINER, context)
    return (
        f"{first} stand between the two lines with {mark}, a mark "
        f"that no message can know.\n<{mark}>\n{context}\n</{mark}>\n\n"
    )
