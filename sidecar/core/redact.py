"""Secrets out of whatever is shown or logged."""

import json
import re
from collections.abc import Iterable

HIDDEN = "***"
"""What takes the place of a secret."""
SHORTEST = 4
"""Characters of the shortest secret that is looked for: shorter ones occur in every text."""

_SHAPES = re.compile(
    r"""
      (?P<scheme> \bbearer\s++ ) [\w.~+/=-]{8,}+
    | (?P<key> private_?key\\?["']? \s*+ [:=] \s*+ \\?["'] ) (?: [^"'\\] | \\[^"'] )++
    | (?P<query> [?&;\#] (?:[\w-]*[_-])? (?:token|key|secret|password|signature|sig) = )
      [^\s&\#"']++
    | \b(?: eyJ[\w-]{8,}+ (?:\.[\w-]++){1,2} \.? | sk-[\w-]{16,}+ | drt_[\w-]{8,}+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HINTS = ("earer", "ivate", "eyj", "sk-", "drt_", "=")
"""Each shape has one of these in lower case: without them nothing is searched."""


class Redactor:
    """Replaces secrets, and what has the shape of a token, by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def redact(self, text: str) -> str:
        """The text without secrets."""
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        lower = text.lower()
        if any(hint in lower for hint in _HINTS):
            text = _SHAPES.sub(_hidden, text)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, without the white space of its file, and inside a JSON text."""
    bare = secret.strip()
    return secret, bare, json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]


def _hidden(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup] if found.lastgroup else ''}{HIDDEN}"
