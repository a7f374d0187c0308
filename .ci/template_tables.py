"""The tables of docs/templates.md: names, filters and blocks, with examples that are rendered."""

from collections.abc import Iterator, Mapping

from jinja2 import nodes

from sidecar.prompts.compiled import compiled
from sidecar.prompts.contract import CONTRACT
from sidecar.prompts.environment import BUILT_IN, ENVIRONMENT
from sidecar.prompts.running import run
from sidecar.prompts.samples import sample_values
from sidecar.prompts.trace import Trace

Row = tuple[str, ...]

SAMPLES = sample_values((("REGION", "sample"),))
SAMPLE = {
    **SAMPLES["a message of a person in a group"],
    "history": SAMPLES["a fresh session in place of another"]["history"],
}
LONGEST = 70

FILTERS: Mapping[str, tuple[str, str, str]] = {
    # own ones, and those of Jinja that are bounded here: kind, meaning, example
    "sanitize": ("any → text", "nothing in it can pass for the sidecar's own words",
                 '"<system>hi" | sanitize'),
    "label": ("any → text", "a name as one field of a header line; `label(limit=100)`",
              '"a | b" | label'),
    "xml_attr": ("any → text", "for between the quotes of an attribute", "'say \"hi\"' | xml_attr"),
    "truncate": ("any → text", 'at most so many characters; `truncate(length=255, killwords=false, '
                 'end="…")`', '"one two three" | truncate(9)'),
    "timeago": ("time → text", "how long before `now` a time is", "1699990000 | timeago"),
    "date": ("time → text", 'a time, in UTC, in a format of strftime', 'now | date("%H:%M")'),
    "indent": ("any → text", "its lines, but the first, to the right; `indent(width=4)`",
               '"a\\nb" | indent(2)'),
    "join": ("list → text", "the items, or an attribute of each, with a text between them",
             '[1, 2] | join(", ")'),
    "replace": ("any → text", "one text for each of another", '"a-b" | replace("-", "+")'),
    "tojson": ("any → text", "JSON; `<` is written as an escape", '{"a": "<b>"} | tojson'),
    # Jinja's own
    "abs": ("number → number", "without its sign", "-3 | abs"),
    "capitalize": ("text → text", "the first letter large, the others small", '"ANN" | capitalize'),
    "count": ("any → int", "the same as `length`", '"abc" | count'),
    "d": ("any → any", "the same as `default`", 'env.NOPE | d("none")'),
    "default": ("any → any", "another value where there is none; with `true` also for an empty one",
                '"" | default("none", true)'),
    "dictsort": ("mapping → list", "its pairs, in order", '{"b": 1, "a": 2} | dictsort'),
    "first": ("list → any", "the first item", "[1, 2] | first"),
    "float": ("any → number", "as a number, 0.0 where it is none", '"1.5" | float'),
    "groupby": ("list → list", "groups with the same attribute, each with `grouper` and `list`",
                '[{"a": 1}, {"a": 1}] | groupby("a") | length'),
    "int": ("any → int", "as a whole number, 0 where it is none", '"42" | int'),
    "items": ("mapping → list", "its pairs", '{"a": 1} | items | list'),
    "last": ("list → any", "the last item", "[1, 2] | last"),
    "length": ("any → int", "how many items, or characters", "[1, 2] | length"),
    "list": ("any → list", "as a list", '"ab" | list'),
    "lower": ("text → text", "in small letters", '"ANN" | lower'),
    "map": ("list → list", "an attribute of each item, or a filter for each",
            '["a", "b"] | map("upper") | list'),
    "max": ("list → any", "the largest item", "[1, 3, 2] | max"),
    "min": ("list → any", "the smallest item", "[1, 3, 2] | min"),
    "reject": ("list → list", "the items that a test does not hold for",
               '[1, 2, 3] | reject("odd") | list'),
    "rejectattr": ("list → list", "the same by an attribute",
                   '[{"a": 1}, {"a": 0}] | rejectattr("a") | list'),
    "reverse": ("list → list", "the other way round", "[1, 2] | reverse | list"),
    "round": ("number → number", "to so many digits", "1.26 | round(1)"),
    "select": ("list → list", "the items that a test holds for", '[1, 2] | select("odd") | list'),
    "selectattr": ("list → list", "the same by an attribute",
                   '[{"a": 1}, {"a": 0}] | selectattr("a") | list'),
    "sort": ("list → list", "in order, also by an attribute", "[3, 1] | sort"),
    "string": ("any → text", "as a text", "3 | string"),
    "sum": ("list → number", "all together", "[1, 2] | sum"),
    "title": ("text → text", "each word with a large letter", '"ann lee" | title'),
    "trim": ("text → text", "without blanks around it", '" a " | trim'),
    "unique": ("list → list", "each item once", "[1, 1, 2] | unique | list"),
    "upper": ("text → text", "in large letters", '"ann" | upper'),
    "wordcount": ("text → int", "how many words", '"one two" | wordcount'),
}  # fmt: skip


def names() -> Iterator[Row]:
    """Each name with a value that it can have."""
    for entry in CONTRACT:
        kind = entry.type.partition(" ")[0]
        shown = kind in ("text", "int", "bool", "seconds", "time")
        example = _value(entry.name.replace("[]", "[0]")) if shown else ""
        yield f"`{entry.name}`", entry.type, example, entry.meaning


def filters() -> Iterator[Row]:
    """Each filter with an example. Raises KeyError for one that the table lacks."""
    for name in sorted(one for one in ENVIRONMENT.filters if one[0] != "."):
        kind, meaning, example = FILTERS[name]
        shown = f"{example} | tojson" if kind.endswith("list") else example
        yield f"`{name}`", kind, f"{_code(example)} → {_value(shown)}", meaning


def blocks() -> Iterator[Row]:
    """The blocks of each built-in template, and what they print for one of the samples."""
    for name, source in BUILT_IN.items():
        template = compiled(source).template
        for block in ENVIRONMENT.parse(source).find_all(nodes.Block):
            yield f"`{name}`", f"`{block.name}`", _printed(template, block.name)


def _printed(template: object, block: str) -> str:
    for values in SAMPLES.values():
        trace = Trace()
        trace(template, values)  # type: ignore[arg-type]  # the built-in ones compile
        pieces = [
            piece.text for piece in trace.runs[0] if block in [step.block for step in piece.way]
        ]
        text = "".join(pieces).strip()
        if text:
            return _code(text.splitlines()[0])
    return ""


def _value(expression: str) -> str:
    template = compiled(f"{{{{ {expression} }}}}", (("REGION", "sample"),)).template
    if template is None:
        raise ValueError(expression)
    return _code(run(template, SAMPLE))


def _code(text: str) -> str:
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    shown = short.replace("\n", "\\n").replace("|", "\\|")
    return f"`{shown}`" if text else "(empty)"
