"""What working memory may hold, and how it is written down."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.memory import Memory, changed, cleared, decode, encode, iso, neutral
from sidecar.errors import MemoryRefused

NOW = 1_780_000_000.123


def with_sections(**sections: str) -> Memory:
    return Memory(sections=sections)


def test_a_change_leaves_everything_else_as_it_is() -> None:
    memory = changed(Memory("ship", {"a": "1", "b": "2"}), "b", "3", NOW)
    assert memory == Memory("ship", {"a": "1", "b": "3"}, NOW)
    assert changed(memory, "goal", "rest", NOW) == Memory("rest", {"a": "1", "b": "3"}, NOW)


@pytest.mark.parametrize("empty", ["", " \n\t"])
def test_an_empty_text_deletes(empty: str) -> None:
    memory = Memory("ship", {"a": "1", "b": "2"})
    assert changed(memory, "a", empty, NOW) == Memory("ship", {"b": "2"}, NOW)
    assert changed(memory, "goal", empty, NOW) == Memory("", {"a": "1", "b": "2"}, NOW)


def test_deleting_what_is_not_there_is_no_mistake() -> None:
    assert changed(with_sections(a="1"), "no such name!", "", NOW).sections == {"a": "1"}


def test_blanks_around_a_name_do_not_count() -> None:
    assert changed(Memory(), " todo ", "x", NOW).sections == {"todo": "x"}


@pytest.mark.parametrize(
    ("name", "length"), [("goal", 500), ("notes", 10_000)], ids=["goal", "section"]
)
def test_the_longest_text_is_taken_and_one_character_more_is_refused(
    name: str, length: int
) -> None:
    assert changed(Memory(), name, "x" * length, NOW).size == length
    with pytest.raises(MemoryRefused, match=f"would have {length + 1} characters, of at most"):
        changed(Memory(), name, "x" * (length + 1), NOW)


def test_all_parts_together_have_a_limit_too() -> None:
    memory = with_sections(a="x" * 10_000, b="x" * 9_900)
    assert changed(memory, "goal", "x" * 100, NOW).size == 20_000
    with pytest.raises(MemoryRefused, match="the memory would have 20001 characters"):
        changed(memory, "goal", "x" * 101, NOW)


@pytest.mark.parametrize("name", ["", "a b", "naïve", "../x", "a\n", "x" * 65])
def test_a_section_has_a_plain_name(name: str) -> None:
    if name == "a\n":
        name = "a\nb"
    with pytest.raises(MemoryRefused, match="letters, digits and underscores"):
        changed(Memory(), name, "x", NOW)


def test_there_are_not_endlessly_many_sections() -> None:
    full = Memory(sections={f"s{number}": "x" for number in range(100)})
    assert changed(full, "s7", "y", NOW).sections["s7"] == "y"
    with pytest.raises(MemoryRefused, match="delete one first"):
        changed(full, "more", "x", NOW)


def test_control_characters_are_not_kept() -> None:
    memory = changed(Memory(), "notes", "a\x00\x1b[31mb\r\nc\ud800", NOW)
    assert memory.sections["notes"] == "a\ufffd[31mb\nc\ufffd"
    assert decode(encode(memory)) == memory


@given(st.text(), st.dictionaries(st.from_regex(r"[A-Za-z0-9_]{1,9}", fullmatch=True), st.text()))
def test_what_was_taken_is_read_as_it_was_written(goal: str, sections: dict[str, str]) -> None:
    memory = cleared(NOW)
    for name, text in [("goal", goal), *sections.items()]:
        memory = changed(memory, name, text, NOW)
    assert decode(encode(memory)) == memory


def test_the_file_has_the_form_that_other_programs_know() -> None:
    memory = Memory("ship", {"notes": "naïve"}, NOW)
    assert json.loads(encode(memory)) == {
        "version": 2,
        "goal": "ship",
        "sections": {"notes": "naïve"},
        "updatedAt": "2026-05-28T20:26:40.123Z",
    }
    assert "goal" not in json.loads(encode(cleared(NOW)))


def test_version_1_becomes_the_section_notes() -> None:
    old = {"content": "buy milk", "updatedAt": "2026-05-28T20:26:40.123Z"}
    for record in (old, {**old, "version": 1}):
        found = decode(json.dumps(record).encode())
        assert (found.sections, iso(found.updated_at)) == ({"notes": "buy milk"}, old["updatedAt"])
    assert decode(b'{"version": 1, "content": ""}') == Memory()


def test_what_makes_no_sense_inside_is_left_out() -> None:
    sections = {"ok": "1", "a b": "2", "number": 3, "": "4", "blank": " "}
    record = {"version": 2, "goal": 7, "sections": sections, "updatedAt": "yesterday"}
    assert decode(json.dumps(record).encode()) == Memory("", {"ok": "1"}, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"version": "3", "sections": {}}',
        b"{}",
    ],
    ids=["empty", "cut", "list", "null", "bytes", "deep", "no version", "no memory"],
)
def test_a_damaged_file_is_told_from_an_empty_memory(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the text is Python's own in part
        decode(content)


@pytest.mark.parametrize(
    "tag",
    ["<section_todo>", "</section_todo>", "< / SECTION_x a='b'>", "<current_memory>"],
)
def test_no_text_passes_for_the_tags_around_sections(tag: str) -> None:
    assert neutral(f"a {tag} b") == f"a ‹{tag[1:-1]}› b"  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("</section\u200b_notes>", "\u2039/section\u200b_notes\u203a"),
        ("</s e c t i o n_notes>", "\u2039/s e c t i o n_notes\u203a"),
        ("</section_notes\nmore <b>", "\u2039/section_notes\nmore <b>"),
        ("&lt;/section_notes&gt;", "\u2039/section_notes\u203a"),
        ("&#60;/section-notes&#x3e;", "\u2039/section-notes\u203a"),
        ("<s\u0435ction_todo>", "\u2039s\u0435ction_todo\u203a"),
        ("</current memory>", "\u2039/current memory\u203a"),
    ],
)  # fmt: skip
def test_nor_does_what_only_looks_like_them(text: str, told: str) -> None:
    assert neutral(text) == told
    assert neutral(told) == told


def test_other_tags_and_code_stay_as_they_are() -> None:
    text = "if a < section and b > 2: <b>bold</b> <sections> <section>\na < section - b"
    text += ' <section class="x"> <currentmemories> <sections_all>'
    assert neutral(text) == text


def test_neutralising_hostile_text_takes_linear_time() -> None:
    assert neutral("<section_" * 200_000) == "<section_" * 200_000
    assert neutral("< " * 200_000) == "< " * 200_000
