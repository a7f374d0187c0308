"""Values written as YAML are read back as the same values."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.text.parse import parse
from sidecar.config.text.written import Written, block, flow, plain, written

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
AWKWARD = st.sampled_from(
    ["", "true", "null", "~", "1", "1.5", "0x1f", "- a", "a: b", "a #b", "a:", "<<", "***", "&a",
     "line\n", "one\ntwo", "one\n\ntwo\n\n", "\nfirst is empty", " indented\nmore", "a\n  b\n",
     "{{ x }}", "[x]", "10m", "20/1m", "a\tb", "\u2028", "\x85", "\x7f", "ä😀", "---\n", "..."]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS | AWKWARD
KEYS = (TEXTS | AWKWARD).filter(lambda text: len(text) < 100)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def read_back(text: str) -> object:
    document, problems = parse(text, "written.yaml")
    assert problems == (), text
    assert document is not None, text
    return document.data


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_what_is_written_reads_the_same(value: dict[str, Any]) -> None:
    whole = written(value, "somewhere")
    assert isinstance(whole.value, dict)
    assert plain(whole) == value
    assert read_back(block(whole.value)) == value
    assert read_back(block(whole.value, origins=bool)) == value
    assert read_back(f"v: {flow(whole)}") == {"v": value}


def test_it_is_written_as_people_write_it() -> None:
    value = {"a": {"b": "10m"}, "c": [{"d": "one two", "e": [1, "x"]}, {}], "f": "x\ny\n", "g": "*"}
    whole = {key: written(one, f"from {key}") for key, one in value.items()}
    assert block(whole, origins=bool) == (
        "a:\n"
        "  b: 10m        # from a\n"
        "c:\n"
        "  - d: one two  # from c\n"
        "    e: [1, x]   # from c\n"
        "  - {}          # from c\n"
        "f: |            # from f\n"
        "  x\n"
        "  y\n"
        'g: "*"          # from g\n'
    )


def test_without_an_origin_there_is_no_comment() -> None:
    assert block({"a": Written(1)}, origins=bool) == "a: 1\n"
