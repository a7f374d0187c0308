"""The sanitiser as a whole: attacks do not get through in any dress, ordinary text and code stay
as they are, and nothing that somebody can send takes more than linear time."""

import re
import sysconfig
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.sanitise import clean, label, sanitise
from tests.growth import is_linear

CORPUS = Path(__file__).parents[1] / "data" / "ordinary"
FILES = sorted(CORPUS.iterdir())
LINES = [line for file in FILES for line in file.read_text("utf-8").splitlines()]
STANDARD_LIBRARY = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))

TAGS = ("agent-message", "human-message", "room-rule", "system", "system-reminder")
HEADINGS = ("BotCord Message", "BotCord Scene: Owner Chat", "System", "Room Rule", "系统提示")
ROLES = ("<|im_start|>", "<|im_end|>", "<|system|>", "[INST]", "<<SYS>>")
BARE = re.compile(r"<\s*/?\s*(agent-message|human-message|room-rule|system)\b", re.IGNORECASE)
"""A tag that only the sidecar may write, as the plainest reader would see it."""

GAPS = st.sampled_from(["", " ", "\u200b", "\u00ad", "\u2060", "_", "\t", "\ufe0f", "-"])


@st.composite
def dressed(draw: st.DrawFn, word: str) -> str:
    """A word as somebody hides it: other case, invisible signs and blanks between its letters."""
    letters = [draw(st.sampled_from([char.lower(), char.upper()])) for char in word]
    return "".join(letter + draw(GAPS) for letter in letters)


@st.composite
def forged_tag(draw: st.DrawFn) -> str:
    word = draw(st.sampled_from(TAGS))
    opening = draw(st.sampled_from(["<", "</", "< ", "&lt;", "&#60;", "&#x3c;", "<\u200b"]))
    rests = [">", " >", "/>", ' sender="owner">', "\nx='y'>", "&gt;"]
    # `a < system` is a comparison: a tag of that name has to be closed.
    rest = draw(st.sampled_from(rests if word.startswith("system") else [*rests, ""]))
    return f"{opening}{draw(dressed(word))}{rest}"


@given(st.text(max_size=20), forged_tag(), st.text(max_size=20))
def test_a_forged_tag_is_marked_however_it_is_dressed(before: str, tag: str, after: str) -> None:
    found = sanitise(f"{before}{tag} {after}")
    assert "⚠ stripped: " in found
    assert BARE.search(found) is None


@given(st.sampled_from(HEADINGS), st.data(), st.sampled_from(["", "x\n", "x\u2028", " \u200b"]))
def test_a_forged_heading_is_marked_however_it_is_dressed(
    heading: str, data: st.DataObject, before: str
) -> None:
    word, colon, rest = heading.partition(":")
    hidden = data.draw(dressed(word)) if word.isascii() else word
    assert "[⚠ fake: " in sanitise(f"{before}[{hidden}{colon}{rest}] now")


@given(st.text(max_size=30), st.sampled_from(ROLES), st.text(max_size=30))
def test_a_role_marker_is_marked_wherever_it_stands(before: str, role: str, after: str) -> None:
    assert role not in sanitise(f"{before}{role}{after}")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_ordinary_code_and_prose_stay_as_they_are(file: Path) -> None:
    text = file.read_text("utf-8")
    assert sanitise(text) == text


def test_the_whole_standard_library_stays_as_it_is() -> None:
    for file in STANDARD_LIBRARY:
        text = clean(file.read_text("utf-8", "replace"))
        assert sanitise(text) == text, file.name
    assert len(STANDARD_LIBRARY) > 100


@given(st.lists(st.sampled_from(LINES), max_size=30).map("\n".join))
def test_ordinary_lines_in_any_order_stay_as_they_are(text: str) -> None:
    assert sanitise(text) == text


ANYTHING = st.one_of(
    st.text(), forged_tag(), st.sampled_from([*ROLES, *LINES, *(f"\n[{one}" for one in HEADINGS)])
)


@given(st.lists(ANYTHING, max_size=12).map("".join))
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = sanitise(text)
    assert sanitise(once) == once
    assert label(label(text)) == label(text)


@given(st.lists(ANYTHING, max_size=12).map("".join))
def test_what_is_not_marked_is_still_there(text: str) -> None:
    """Nothing is deleted up to a bracket far away: what marks leave is a part of the text."""
    seen = iter(re.sub("[\ufb00-\ufb06]", lambda one: normalize("NFKC", one[0]), clean(text)))
    kept = re.sub(r"\[⚠ (?:fake|stripped): [^\]\n]*\]?", "", sanitise(text))
    assert all(char in seen for char in kept if not char.isspace())


PIECES = (
    "<", ">", "[", "]", "|", "/", "&", ":", ";", "=", " ", "\n", "\t", "-", "_", "'", '"', "\u200b",
    "agent-message", "human-mess", "room", "rule", "system", "BotCord", "INST", "sys", "im_start",
    "user", "&lt;", "&amp;", "&#0", "&#x000", "a=b", "a='", 'a="', "s y s t e m", "房间规则",
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join), st.booleans())
def test_eight_times_the_text_takes_about_eight_times_as_long(piece: str, once: bool) -> None:
    """Whatever is repeated, and whatever begins and never ends: quadratic would be 64 times."""

    def made(size: int) -> str:
        filler = piece * (size // len(piece))
        return f"<agent-message {filler}" if once else filler

    assert is_linear(sanitise, made, small=1 << 12, large=1 << 15)
