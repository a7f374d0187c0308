"""The skeleton of a text: what a reader, or a model, takes its characters for.

It has one character for each of the text's, so that what is found in it has the same place there:
invisible ones become NUL, look-alikes of letters, hyphens and bars become ASCII.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

# Quantifiers are possessive (`*+`), and nothing that a pattern passes over contains the start of
# another match: that keeps the search linear.

GAP = r"[-_\s\0]*+"
"""What may stand between any two letters of a marker without hiding it from a model."""
LEFT = r"(?: < | &(?:amp;)*+ (?: lt | \#0*+60 | \#x0*+3c );? )"
RIGHT = r"(?: > | &(?:amp;)*+ (?: gt | \#0*+62 | \#x0*+3e );? )"
"""Where a tag begins and ends, also as entities."""


def word(letters: str) -> str:
    """A pattern for letters with gaps between them."""
    return GAP.join(letters)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Takes some milliseconds, which no start waits for."""
    return re.compile(pattern, re.VERBOSE | re.IGNORECASE | re.MULTILINE)


def replace(pattern: str, replacement: Callable[[re.Match[str], str], str], text: str) -> str:
    """Replace what a pattern finds in the skeleton of a text. `replacement` is given the match, and
    the text itself, in which the groups have the same places."""
    parts, end = [], 0
    for found in _compiled(pattern).finditer(_skeleton(text)):
        parts += [text[end : found.start()], replacement(found, text)]
        end = found.end()
    return "".join((*parts, text[end:])) if parts else text


def _skeleton(text: str) -> str:
    if text.isascii():
        return text
    seen = {ord(char): _seen(char) for char in set(text) if char > "\x7f"}
    return text.translate(seen)


_CAPITALS = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406"
    "\u0391\u0392\u0395\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "abekmhopctyxsiabehikmnoptyx",
)
"""Cyrillic and Greek capitals that look like Latin ones; the small ones of some look otherwise."""
_TWINS = str.maketrans(
    "\u0430\u0432\u0433\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456"
    "\u04bb\u04cf\u0501"
    "\u03b1\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03b3"
    "\u0131\u0251\u0261\u026a\u0274\u0280\u028f\u0299\u029c\u029f\ua731"
    "\u1d00\u1d04\u1d05\u1d07\u1d0d\u1d0f\u1d1b\u1d1c"
    "\u0570\u0578\u057d\u0585",
    "abrekmhopctyxsihldaenikvoptuyiaginrybhlsacdemotuhnuo",
)
"""Small Cyrillic and Greek letters, those of phonetics and Armenian ones that look like Latin ones
of the markers."""
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_ASCII_LOOK = frozenset("abcdefghijklmnopqrstuvwxyz-_/|")


@lru_cache(maxsize=4096)
def _seen(char: str) -> str:
    """What a reader takes a character for: one character, NUL when it is invisible."""
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me") or char in _BLANK_LETTERS:
        return "\0"
    if category in ("Pd", "Pc") or char in "\u2043\u2212":
        return "-"
    look = unicodedata.normalize("NFKC", char).translate(_CAPITALS).lower().translate(_TWINS)
    return look if look in _ASCII_LOOK else char
