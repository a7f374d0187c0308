"""Text from outside, made fit for a prompt: what only the sidecar may write is marked as forged.

Forged are the sidecar's own headings and wrapper tags, and the role markers of chat formats. They
are looked for in the skeleton of the text. Every pattern takes linear time, so that a hostile text
costs no more than a friendly one.
"""

import re
import unicodedata
from functools import lru_cache

from sidecar.core.skeleton import GAP, LEFT, RIGHT, replace, word

LABEL_LIMIT = 100
"""Characters of a name or title in a header line."""
_SHORT = 200
"""Characters of a text that is worth remembering: names, titles and previews come again with every
turn, and to look one up takes a tenth of the time."""
_REMEMBERED = 512

_CONTROLS: dict[int, str | None] = (
    dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
    | dict.fromkeys((0, *range(0xD800, 0xE000)), "\ufffd")
    | dict.fromkeys(map(ord, "\n\r\v\f\x85\u2028\u2029"), "\n")
    | {ord("\t"): "\t"}
)
_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Unicode's tag characters spell ASCII that no person sees and that some models read.
_HIDDEN_ASCII = re.compile("[\U000e0000-\U000e007f]+")
# One character that a reader takes for two or three, as `st`, has no place in a skeleton.
_LIGATURES = re.compile("[\ufb00-\ufb06]")
_LOOKS = str.maketrans('[]"<>|', "⟦⟧'＜＞¦")  # noqa: RUF001 - look-alikes are wanted


def clean(text: str) -> str:
    r"""The text without control characters; every kind of line break becomes `\n`.

    Tabs stay. NUL and lone surrogates become U+FFFD.
    """
    if text.isprintable() or _UNCLEAN.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def sanitise(text: str) -> str:
    """A clean text in which nothing is left that could pass for the sidecar's own words.

    `[⚠ fake: …]` takes the place of a forged heading at the start of a line, `[⚠ stripped: …]`
    that of a forged tag. Sanitising a second time changes nothing.
    """
    return _remembered(text) if len(text) <= _SHORT else _sanitised(text)


def _sanitised(text: str) -> str:
    text = _visible(text)
    if not any(mark in text for mark in _MARKS):
        return text
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return replace(_TAG, _stripped, replace(_HEADING, _fake, text))


def label(text: str, limit: int = LABEL_LIMIT) -> str:
    """A name or title as one field of one header line, of at most `limit` characters.

    Line breaks and runs of blanks become one blank. What ends a field, a tag or an attribute
    becomes a character that only looks like it.
    """
    return _remembered_label(text, limit) if len(text) <= _SHORT else _label(text, limit)


def _label(text: str, limit: int) -> str:
    words = _visible(text).replace("\ufeff", "").split()
    return cut(" ".join(words).translate(_LOOKS), limit).rstrip()


_remembered = lru_cache(_REMEMBERED)(_sanitised)
_remembered_label = lru_cache(_REMEMBERED)(_label)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, or fewer: none loses the accents and joiners after it."""
    if len(text) <= limit:
        return text
    end = limit
    while end > 0 and _joined(text[end - 1], text[end]):
        end -= 1
    return text[: end or limit]


def _visible(text: str) -> str:
    return text if text.isprintable() else _HIDDEN_ASCII.sub("", clean(text))


def _joined(before: str, after: str) -> bool:
    """Whether two characters are parts of one visible sign."""
    return (
        "\u200d" in (before, after)  # the zero-width joiner of emoji
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # their skin tones
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
    )


_OPEN = rf"{LEFT} {GAP} (?: / {GAP} )?"
_CLOSE = rf"{GAP} {RIGHT}"
_ATTRIBUTE = (
    rf"""{GAP} [\w:.-]++ {GAP} = {GAP} (?: "[^"<>&\n]*+" | '[^'<>&\n]*+' | [^\s<>&"']++ )"""
)
_ATTRIBUTES = rf"(?: {_ATTRIBUTE} )*+ {GAP} /? {_CLOSE}"
_REST = rf"(?: {_ATTRIBUTES} | [^<>&\n]*+ {_CLOSE} | )"
"""The rest of a tag: attributes, also over several lines, or what its line has, or nothing."""

_TIGHT = r"< \0*+ /? \0*+"
_SYSTEM = rf"{word('system')} (?: {GAP} {word('reminder')} )? (?! [-_]*+ [^\W_] | [.:] )"
"""A word of many programs, as in `a < system and b > c` or `Map<System, X>`: only what is closed
like a tag is one."""

_TAG = rf"""
    {_TIGHT} (?P<system_too> {_SYSTEM} ) [^<>&\n,()\[\]{{}}]*+ {_CLOSE}
    | {_OPEN} (?:
        (?: (?P<agent_message> {word("agentmessage")} )
          | (?P<human_message> {word("humanmessage")} )
          | (?P<room_rule> {word("roomrule")} )
        ) {_REST}
      | (?P<system> {_SYSTEM} ) {_ATTRIBUTES}
      | {_OPEN} (?P<sys> {word("sys")} ) {_CLOSE} {_CLOSE}
      | \| {GAP} (?:
            (?P<im_start> {word("imstart")} ) {GAP} \| {_CLOSE}
          | (?P<im_end> {word("imend")} ) {GAP} \| {_CLOSE}
          | (?: / {GAP} )? (?P<role> {word("system")} | {word("user")} | {word("assistant")} )
            {GAP} \|? {_CLOSE}
        )
    )
    | \[ {GAP} (?: / {GAP} )? (?P<inst> {word("inst")} ) {GAP} \]
    """
_TAG_NAMES = {
    "agent_message": "agent-message tag",
    "human_message": "human-message tag",
    "room_rule": "room-rule tag",
    "system": "system tag",
    "system_too": "system tag",
    "sys": "SYS",
    "im_start": "im_start",
    "im_end": "im_end",
    "role": "role tag",
    "inst": "INST",
}

_HEADING = rf"""
    ^ (?P<indent> (?: [^\S\n] | \0 )*+ ) \[ {GAP} (?:
        (?P<botcord> {word("botcord")} ) (?P<title> [^\]\n]*+ ) (?P<closed> \] )?
      | (?:
            (?P<rule> {word("roomrule")} )
          | (?P<chinese> {word("房间规则")} | {word("系统提示")} )
          | (?P<role> {word("system")} | {word("assistant")} | {word("user")} )
        ) {GAP} \]
    )
    """
_MARKS = ("<", "[", "&")
"""Without one of these neither pattern matches."""


def _stripped(found: re.Match[str], text: str) -> str:
    return f"[⚠ stripped: {_TAG_NAMES[found.lastgroup or '']}]"


def _fake(found: re.Match[str], text: str) -> str:
    indent = text[slice(*found.span("indent"))]
    if found["botcord"] is None:
        name = "Room Rule" if found["rule"] else text[slice(*found.span(found.lastgroup or 0))]
        return f"{indent}[⚠ fake: {name}]"
    title = text[slice(*found.span("title"))]
    if found["closed"] is None:
        return f"{indent}[⚠ fake: BotCord{title}"
    if title.strip().lower() in ("message", "notification"):
        return f"{indent}[⚠ fake: {text[slice(*found.span('botcord'))]}{title}]"
    gap = " " if title[:1].isspace() else ""
    name = f"BotCord{gap}{title.partition(':')[0].strip() or title.strip()}".rstrip()
    return f"{indent}[⚠ fake: {name}]"
