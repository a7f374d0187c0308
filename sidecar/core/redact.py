"""Secrets out of whatever is shown or logged."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
"""What takes the place of a secret."""
SHORTEST = 4
"""Characters of the shortest secret that is looked for: shorter ones occur in every text."""

SHORTEST_ENCODED = 8
"""Characters of the shortest encoded form of a secret that is looked for."""

_SHAPES = re.compile(
    r"""
      (?P<scheme> \bbearer\s++ | \bauthorization\W{1,6}+basic\s++ ) [\w.~+/=-]{8,}+
    | (?P<key> private_?key\\?["']? \s*+ [:=] \s*+ \\?["'] ) (?: [^"'\\] | \\[^"'] )++
    | (?P<query> [?&;\#] (?:[\w-]*[_-])? (?:token|key|secret|password|signature|sig) = )
      [^\s&\#"']++
    | (?P<user> [a-z]:// [^\s/:@]*+ : ) [^\s/@]++ (?= @ )
    | (?P<pem> -----BEGIN\ [A-Z ]{0,40}?PRIVATE\ KEY----- ) (?: [^-] | -(?!----) )++
    | \b(?: eyJ[\w-]{8,}+ (?:\.[\w-]++){1,2} \.? | sk-[\w-]{16,}+ | drt_[\w-]{8,}+
          | gh[opsur]_\w{20,}+ | github_pat_\w{20,}+ | glpat-[\w-]{16,}+ | xox[a-z]-[\w-]{10,}+
          | AIza[\w-]{20,}+ | ya29\.[\w-]{16,}+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HINTS = (
    "earer", "basic", "ivate", "://", "eyj", "sk-", "drt_", "gh", "glpat-", "xox", "aiza", "ya29",
    "=",
)  # fmt: skip
"""Each shape has one of these in lower case: without them nothing is searched."""


class Redactor:
    """Replaces secrets, as they are and in the usual encodings, and what has the shape of a token,
    by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = sorted({form for secret in secrets for form in _forms(secret)})

    def redact(self, text: str) -> str:
        """The text without secrets."""
        text = self._without_secrets(text)
        lower = text.lower()
        if any(hint in lower for hint in _HINTS):
            text = _SHAPES.sub(_hidden, text)
        return text

    def _without_secrets(self, text: str) -> str:
        spans = sorted(span for form in self._forms for span in _found(form, text))
        parts, at = [], 0
        for index, (start, end) in enumerate(spans):
            if index == 0 or start >= at:  # else it overlaps the one before, and is hidden with it
                parts += [text[at:start], HIDDEN]
            at = max(at, end)
        return "".join([*parts, text[at:]])


def _found(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a text holds a form; places that overlap each other count too."""
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _forms(secret: str) -> Iterator[str]:
    """What a secret looks like in texts: without the white space of its file, its single lines
    where it has several, and encoded."""
    bare = secret.strip()
    lines = [line.strip() for line in bare.splitlines()]
    several = [line for line in lines if not line.startswith("-----")] if len(lines) > 1 else []
    for text in (secret, bare):
        if len(text) >= SHORTEST:
            yield text
            yield from _escaped(text)
    for text in several:
        if len(text) >= SHORTEST_ENCODED:
            yield text
    if len(bare) >= SHORTEST:
        yield from (form for form in _encoded(bare) if len(form) >= SHORTEST_ENCODED)


def _escaped(text: str) -> Iterator[str]:
    """A text as JSON, as JSON inside JSON, as Python shows it, and in an address."""
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield once.replace("/", r"\/")  # as PHP writes it
        yield re.sub("[<>&]", lambda one: f"\\u{ord(one[0]):04x}", once)  # as Go writes it
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    content = _bytes(text)
    yield repr(content)[2:-1]
    for form in (quote(content, safe=""), quote(content), quote_plus(content)):
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda one: one[0].lower(), form)


def _encoded(text: str) -> Iterator[str]:
    """A text in hexadecimal, and the characters that are sure in base64, alone or in the middle of
    something longer, such as `user:password`."""
    content = _bytes(text)
    yield content.hex()
    yield content.hex().upper()
    for before in range(3):
        end = (before + len(content)) * 8 // 6
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            start = -(-before * 8 // 6)
            yield encode(bytes(before) + content).decode("ascii")[start:end]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _hidden(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup] if found.lastgroup else ''}{HIDDEN}"
