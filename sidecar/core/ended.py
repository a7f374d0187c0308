"""Whether the outcome that a runtime tells is what `sidecar.model.TurnEnded` says it is.

A runtime may be of another package. Of what has another type, nothing could be recorded later on.
"""

from types import NoneType
from typing import get_args

from sidecar.model import Failure, FailureKind, TurnEnded, Usage

_NUMBER = (int, float, NoneType)


def flaw(ended: TurnEnded) -> str | None:
    """What is wrong with an outcome, for the log; None: nothing."""
    failure = ended.failure
    parts: list[tuple[str, object, tuple[type, ...]]] = [
        ("text", ended.text, (str,)),
        ("session", ended.session, (str, NoneType)),
        ("failure", failure, (Failure, NoneType)),
        ("usage", ended.usage, (Usage, NoneType)),
        ("total", ended.total, (Usage, NoneType)),
    ]
    if isinstance(failure, Failure):
        parts += [
            ("failure.detail", failure.detail, (str,)),
            ("failure.resets_at", failure.resets_at, _NUMBER),
        ]
    for name, used in (("usage", ended.usage), ("total", ended.total)):
        if isinstance(used, Usage):
            parts += [
                (f"{name}.input_tokens", used.input_tokens, _NUMBER),
                (f"{name}.output_tokens", used.output_tokens, _NUMBER),
                (f"{name}.cost_usd", used.cost_usd, _NUMBER),
            ]
    for name, value, types in parts:
        if not isinstance(value, types):
            wanted = " or ".join("None" if one is NoneType else one.__name__ for one in types)
            return f"`{name}` of its TurnEnded is of the type {type(value).__name__}, not {wanted}"
    if isinstance(failure, Failure) and failure.kind not in get_args(FailureKind):
        return f"`failure.kind` of its TurnEnded is {failure.kind!r}, which is no kind"
    return None
