"""YAML to data and positions: agrees with a reference, points to the right place, has limits."""

import io
import json
import string
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sidecar.config.problems import Position, Problem
from sidecar.config.text.document import Document
from sidecar.config.text.parse import MAX_ALIASED, MAX_DEPTH, parse

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
KEYS = st.text(string.ascii_letters + " :-#'\"{}é0", min_size=1, max_size=8)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


def read(text: str) -> Document:
    document, problems = parse(text, "config.yaml")
    assert problems == ()
    assert document is not None
    return document


def problem_of(text: str) -> Problem:
    _, problems = parse(text, "config.yaml")
    assert len(problems) == 1
    return problems[0]


def block_style(data: dict[str, object]) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 10_000
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def json_style(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1)


def reference(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=5))
def test_data_is_what_the_reference_loader_makes_of_it(data: dict[str, object]) -> None:
    for text in (block_style(data), json_style(data)):
        assert read(text).data == reference(text)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=5))
def test_each_key_has_the_position_where_it_is_written(data: dict[str, object]) -> None:
    for text in (block_style(data), json_style(data)):
        document, lines = read(text), text.split("\n")
        for place, position in document.keys.items():
            line, start = lines[position.line - 1], position.column - 1
            written = line[start : start + position.width]
            assert reference(f"? {written}\n") == {place[-1]: None}
        assert set(document.keys) <= set(document.values)


def test_keys_values_and_items_are_found() -> None:
    document = read("a: 1\nb:\n  - x: {y: text}\n  - [2, 'three']\n")
    assert document.key(("b", 0, "x")) == Position("config.yaml", 3, 5, 1)
    assert document.value(("b", 0, "x", "y")) == Position("config.yaml", 3, 12, 4)
    assert document.value(("b", 1, 1)) == Position("config.yaml", 4, 9, 7)
    assert document.value(("b", 1)) == Position("config.yaml", 4, 5, 1)
    assert document.key(("b", 1)) == document.value(("b", 1))
    assert document.value(()) == Position("config.yaml", 1, 1, 1)


def test_a_value_that_is_not_written_is_looked_for_at_its_key() -> None:
    document = read("a:\n\n\nb: 1\n")
    assert document.value(("a",)) == Position("config.yaml", 1, 1, 1)
    assert document.value(("b", "not", "there")) == document.value(("b",))


def test_the_text_of_a_block_begins_below_its_mark() -> None:
    document = read("a:\n  t: |\n    one\n    two\n  u: 'one'\n  v: >-\n    one\n")
    assert document.text_line(("a", "t")) == 3
    assert document.text_line(("a", "u")) == 5
    assert document.text_line(("a", "v")) == 7


def test_an_alias_is_a_copy() -> None:
    document = read("a: &x {b: [1]}\nc: *x\n")
    assert document.data == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert document.data["a"] is not document.data["c"]
    assert document.value(("c",)) == Position("config.yaml", 2, 4, 2)
    assert document.value(("c", "b", 0)) == document.value(("a", "b", 0))


def test_a_merge_adds_what_is_not_written_and_the_first_source_wins() -> None:
    document = read(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *b, z: {w: 4}}\n"
    )
    assert document.data["c"] == {"x": 3, "y": 1, "z": 2}
    assert document.data["d"] == {"y": 2, "z": {"w": 4}}
    assert document.key(("c", "y")) == document.key(("a", "y"))
    assert document.value(("d", "y")) == document.value(("b", "y"))


def test_a_merge_of_a_merge_and_of_a_template_keeps_its_lines() -> None:
    document = read("a: &a\n  t: |\n    one\nb: &b {<<: *a}\nc: {<<: *b}\n")
    assert document.data["c"] == {"t": "one\n"}
    assert document.text_line(("c", "t")) == 3


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read('a: {"<<": 1}\n').data == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "empty", 1, 1),
        ("# nothing\n", "empty", 1, 1),
        ("null\n", "empty", 1, 1),
        ("- 1\n", "wrong-type", 1, 1),
        ("text\n", "wrong-type", 1, 1),
        ("a: 1\n---\nb: 1\n", "yaml", 2, 1),
        ("a: !x 1\n", "yaml-tag", 1, 4),
        ("a: ! 1\n", "yaml-tag", 1, 4),
        ("a: !!map {}\n", "yaml-tag", 1, 4),
        ("1: a\n", "yaml-key", 1, 1),
        ("true: a\n", "yaml-key", 1, 1),
        ("a: {~: 1}\n", "yaml-key", 1, 5),
        ("? [a]\n: 1\n", "yaml-key", 1, 3),
        ("{a: &x b, *x : 1}\n", "yaml-key", 1, 11),
        ("a: *b\n", "yaml-alias", 1, 4),
        ("a: &a [*a]\n", "yaml-alias", 1, 8),
        ("a: {<<: 1}\n", "yaml-merge", 1, 9),
        ('a: "\\0"\n', "yaml", 1, 4),
        ('a: "\\ud83d\\ude00"\n', "yaml", 1, 4),
        ('a: "\\U00110000"\n', "yaml", 1, 1),
        ("a: \x07\n", "yaml", 1, 4),
        ("a: b: c\n", "yaml", 1, 5),
        ("a: 'x\n", "yaml", 1, 4),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_its_place(
    text: str, code: str, line: int, column: int
) -> None:
    found = problem_of(text)
    assert (found.code, found.position.line) == (code, line)
    # The fast parser, where it is installed, puts errors of syntax into other columns.
    if code != "yaml" or not find_spec("_ruamel_yaml"):
        assert found.position.column == column


def test_a_template_that_yaml_takes_for_a_mapping_goes_in_quotes() -> None:
    found = problem_of("user_turn: {{ message.text }}\n")
    assert (found.code, found.position.line, found.position.column) == ("yaml-key", 1, 13)
    assert "goes in quotes" in found.hint


@pytest.mark.parametrize("ends", ["\x85", "\u2028", "\u2029"])
def test_what_ends_a_comment_and_cannot_be_seen_is_named(ends: str) -> None:
    told = f"the comment ends at an invisible U+{ord(ends):04X}, line 2, column 7: delete that"
    for text in (f"a: 1\n# with{ends}out\nb: 2\n", f"a:\n - #xy{ends}z\n - 1\n - b:\n  c: 2\n"):
        assert problem_of(text).hint == told
    assert "invisible" not in problem_of(f"a: '{ends}'\nb: [\n").hint
    assert "invisible" not in problem_of(f"a: [}}\n# with{ends}out\n").hint


def test_both_places_of_a_key_that_is_given_twice_are_told() -> None:
    found = problem_of("a:\n  b: 1\n  c: 2\n  'b': 3\n")
    assert found.code == "duplicate-key"
    assert found.path == "a.b"
    assert found.position == Position("config.yaml", 4, 3, 3)
    assert found.related == Position("config.yaml", 2, 3, 1)


def test_a_document_with_several_problems_tells_all_of_them() -> None:
    document, problems = parse("a: !x 1\n2: *y\na: 3\n", "config.yaml")
    assert [one.code for one in problems] == [
        "yaml-tag",
        "yaml-key",
        "yaml-alias",
        "duplicate-key",
    ]
    assert document is not None


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "a:\n"])
def test_deep_nesting_is_refused_and_never_recursed_into(opening: str) -> None:
    text = opening * 50_000
    if opening == "a:\n":
        text = "".join(" " * level + opening for level in range(200))
    found = problem_of(text)
    assert found.code == "too-deep"


def test_the_deepest_allowed_nesting_is_read() -> None:
    read("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))


def test_aliases_cannot_nest_deeper_than_what_is_written() -> None:
    chain = "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, MAX_DEPTH + 2))
    assert problem_of("a0: &a0 1\n" + chain).code == "too-deep"


def test_aliases_cannot_multiply_without_bound() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n"
        for n in range(1, 5)  # a little more than is allowed: without the bound, it ends soon
    )
    found = problem_of(bomb)
    assert found.code == "too-large"
    assert str(MAX_ALIASED) in found.message


def test_merges_cannot_multiply_without_bound() -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(1000))
    many = "".join(f"m{n}: {{<<: *a}}\n" for n in range(150))
    assert problem_of(f"a: &a {{{wide}}}\n{many}").code == "too-large"


def test_a_name_that_was_given_again_means_the_latest() -> None:
    assert read("a: &x 1\nb: &x 2\nc: *x\n").data["c"] == 2


def test_scalars_are_resolved_only_where_they_have_no_quotes() -> None:
    document = read("a: [1, '1', yes, 2026-11-24, null, \"~\", 010]\n")
    assert document.data["a"] == [1, "1", "yes", "2026-11-24", None, "~", 10]
