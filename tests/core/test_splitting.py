"""A long answer arrives in pieces that read well, and nothing of it is lost."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.splitting import answer, split
from tests.growth import is_linear

FENCE = re.compile(r"^[ >]*(```+|~~~+)(.*)$")


def ink(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


def read(text: str) -> tuple[str, list[str], bool]:
    """The text outside fences and in each, without white space; whether one is left open."""
    outside, blocks, opened = "", list[str](), ""
    for line in text.split("\n"):
        found = FENCE.match(line)
        if found and not opened:
            opened = found[1]
            blocks.append("")
        elif found and found[1].startswith(opened) and not found[2].strip():
            opened = ""
        elif opened:
            blocks[-1] += ink(line)
        else:
            outside += ink(line)
    return outside, blocks, bool(opened)


def test_a_text_that_fits_is_one_piece() -> None:
    assert split("hello\n\nthere", 12) == ["hello\n\nthere"]
    assert split("x" * 100_000, None) == ["x" * 100_000]
    assert split(" \n ", 10) == split(" \n ", None) == split(" " * 50, 10) == []


def test_a_piece_ends_after_a_paragraph_if_it_can() -> None:
    assert split("one. two\nthree\n\nfour five six", 18) == ["one. two\nthree", "four five six"]


def test_else_after_a_line() -> None:
    assert split("one. two three\nfour. five six", 20) == ["one. two three", "four. five six"]


def test_else_after_a_sentence() -> None:
    assert split("One two. Three four five", 18) == ["One two.", "Three four five"]
    assert split('He said "no." Then he left.', 20) == ['He said "no."', "Then he left."]
    assert split("今天很好。明天也很好啊", 5) == ["今天很好。", "明天也很好", "啊"]


def test_else_after_a_word_and_else_where_it_must() -> None:
    assert split("one two three four", 10) == ["one two", "three four"]
    assert split("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_a_sign_keeps_its_accents() -> None:
    assert split("abce\u0301fg", 4) == ["abc", "e\u0301fg"]


def test_indentation_after_a_cut_stays() -> None:
    assert split("list:\n    - one\n    - two", 16) == ["list:\n    - one", "    - two"]


def test_a_code_block_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"    line({number})" for number in range(6))
    pieces = split(f"Look:\n\n```python\n{code}\n```\nThat is all.", 60)
    assert pieces == [
        "Look:",
        "```python\n    line(0)\n    line(1)\n    line(2)\n```",
        "```python\n    line(3)\n    line(4)\n    line(5)\n```",
        "That is all.",
    ]


def test_a_cut_beside_a_fence_keeps_its_lines_whole() -> None:
    line = "a line of 20 letters"
    assert split(f"```\n{line}\n```  \nmore", 28) == [f"```\n{line}\n```", "more"]
    assert split(f"```\n{line}\n\n\n```\nmore", 28) == [f"```\n{line}\n```", "more"]
    assert split("ab\n```\nabcdefghij klm\n```", 20) == [
        "ab",
        "```\nabcdefghij\n```",
        "```\nklm\n```",
    ]


def test_a_code_block_of_blank_lines_does_no_harm() -> None:
    assert split("```\n" + "\n" * 20 + "``````", 29) == ["```\n" + "\n" * 19 + "\n```"]
    text = "```\n" + "\n" * 57 + "```````" + " " * 10 + "\nmore"
    assert split(text, 72) == ["```\n" + "\n" * 56 + "\n```", "more"]


def test_a_fence_line_that_would_fill_a_piece_is_treated_as_text() -> None:
    text = "```" + "x" * 55 + "\n" + "some code words " * 20
    pieces = split(text, 60)
    assert ink("".join(pieces)) == ink(text)
    assert len(pieces) < 10


def test_a_code_block_in_a_list_or_a_quotation_stays_there() -> None:
    quoted = "> ~~~\n" + "> a line of code\n" * 5 + "> ~~~"
    for piece in split(quoted, 60):
        assert piece.startswith("> ~~~\n> a line")
        assert piece.endswith("\n> ~~~")
    for piece in split("1. ```sh\n" + "   echo hello world\n" * 5 + "   ```", 60)[1:]:
        assert piece.startswith("   ```sh\n   echo")
        assert piece.endswith("\n   ```")


def test_a_code_block_that_is_never_closed_is_closed_in_every_piece() -> None:
    pieces = split("```\n" + "code code code\n" * 20, 64)
    assert len(pieces) > 3
    assert all(piece.startswith("```\ncode") for piece in pieces)
    assert all(piece.endswith("\n```") for piece in pieces)


def test_a_shorter_fence_inside_a_longer_one_is_content() -> None:
    inner = "```\nx = 1\n```\n" * 6
    pieces = split(f"````markdown\n{inner}````", 60)
    assert all(piece.startswith("````markdown\n") for piece in pieces)
    assert all(piece.endswith("\n````") for piece in pieces)


WORDS = st.sampled_from(["a", "word", "sentence.", "Really?", "x" * 30, "中文。", "e\u0301", "`c`"])
LINES = st.lists(WORDS, max_size=8).map(" ".join)
PROSE = st.lists(LINES, max_size=6).map("\n".join)
BLANKS = st.sampled_from(["", "", " ", "\n", "\n \n"])
CODE = st.tuples(
    st.sampled_from(["```", "~~~", "````"]),
    st.sampled_from(["", "py", " js x"]),
    st.tuples(BLANKS, PROSE.filter(str.strip), BLANKS).map("".join),
    st.sampled_from(["", "  "]),
).map(lambda parts: f"{parts[0]}{parts[1]}\n{parts[2]}\n{parts[0]}{parts[3]}")
TEXTS = st.lists(PROSE | CODE | st.just(""), max_size=8).map("\n".join)


@given(TEXTS, st.integers(40, 160))
def test_nothing_but_white_space_is_lost_and_no_fence_stays_open(text: str, limit: int) -> None:
    pieces = split(text, limit)
    found = [read(piece) for piece in pieces]
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert not any(opened for _, _, opened in found)
    outside, blocks, _ = read(text)
    assert "".join(one[0] for one in found) == outside
    assert "".join("".join(one[1]) for one in found) == "".join(blocks)
    assert all(block for one in found for block in one[1])  # none is empty that was not


def in_order(parts: Sequence[str], whole: str) -> bool:
    """Whether the characters of the whole come in this order in the parts."""
    rest = iter("".join(parts))
    return all(char in rest for char in whole)


@given(st.text("ab .\n`~>-\u0301", max_size=120), st.integers(1, 30))
def test_whatever_the_text_every_piece_fits_and_every_word_is_there(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < len(piece) <= limit and piece.strip() for piece in pieces)
    assert in_order(pieces, re.sub(r"[\s`~>-]", "", text))


@pytest.mark.parametrize(
    "piece", ["\n", " ", "a ", "```\na\n```\n", "`", "- ", "\u0301", "```\n\n"]
)
def test_a_long_text_is_split_in_linear_time(piece: str) -> None:
    assert is_linear(lambda text: split(text, 4000), lambda size: piece * (size // len(piece)))


@pytest.mark.parametrize(
    "text", ["", " \n\t", "NO_REPLY", " NO_REPLY\n", "`NO_REPLY`", '"NO_REPLY".', "\ufeffNO_REPLY",
             "```\nNO_REPLY\n```", "NO_REPLY\n\nNO_REPLY"],
)  # fmt: skip
def test_an_agent_that_has_nothing_to_say_sends_nothing(text: str) -> None:
    assert answer(text) is None


def test_a_last_line_of_silence_after_a_text_is_left_out() -> None:
    assert answer("Done.\n\nNO_REPLY") == "Done."
    assert answer("Done.\n`NO_REPLY`.\n") == "Done."


@pytest.mark.parametrize(
    "text", ["NO_REPLY is what I answer", "use NO_REPLY", "NO_REPLY\nbut this", "no_reply", "yes"]
)
def test_the_word_within_a_text_is_sent(text: str) -> None:
    assert answer(text) == text


def test_an_answer_is_trimmed() -> None:
    assert answer("\n\n hello\n there \n") == "hello\n there"


def test_a_route_has_its_own_word_for_silence_or_none() -> None:
    assert answer("`SILENT`.", "SILENT") is None
    assert answer("NO_REPLY", "SILENT") == "NO_REPLY"
    assert answer("Done.\n'静默'", "静默") == "Done."
    assert answer("NO_REPLY", None) == "NO_REPLY"
    assert answer("Done.\nNO_REPLY", None) == "Done.\nNO_REPLY"
    assert answer(" \n", None) is None


@pytest.mark.parametrize("before", ["", " ", "`", "'", '"', "```\n", "“", "\ufeff"])
@pytest.mark.parametrize("after", ["", "\n", "`", "'.", '."', "\n```", "”"])
def test_silence_may_be_wrapped(before: str, after: str) -> None:
    assert answer(f"{before}NO_REPLY{after}") is None
