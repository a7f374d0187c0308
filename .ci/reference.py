"""Writes the tables of docs/ from what they document: the schema and the templates' names.

`python .ci/reference.py` renews them, `--check` ends with exit code 1 when one is stale.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import template_tables

from sidecar.config.load import AVAILABLE
from sidecar.config.schemas.keys import WHEN
from sidecar.config.schemas.schema import BUILT_IN, Kind, Schema
from sidecar.server.metric_table import TABLE

Row = tuple[str, ...]

SCHEMA = Schema()
ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- table: made by `make docs` -->\n", "<!-- end of table -->\n"
ELSEWHERE = ("tests",)
"""Keys that another page tells of."""
TYPES: dict[str, list[tuple[Kind, str]]] = {
    "channels": [("channel", name) for name in BUILT_IN["channel"]],
    "runtimes": [("runtime", name) for name in BUILT_IN["runtime"] if name in AVAILABLE],
}


def config_rows() -> Iterator[Row]:
    """The keys of a config: where, default, when a change takes effect, meaning."""
    for key, part in SCHEMA.joined["properties"].items():
        yield from _part(key, part)


def _part(path: str, part: Mapping[str, Any]) -> Iterator[Row]:
    part = SCHEMA.resolved(part)
    if path in ELSEWHERE:
        return
    if "x-reload" in part:
        default = f"`{_yaml(part['default'])}`" if "default" in part else ""
        yield f"`{path}`", default, WHEN[part["x-reload"]], _meaning(part)
    if path != "default_route":  # its keys are told with those of routes
        for key, inner in part.get("properties", {}).items():
            yield from _part(f"{path}.{key}", inner)
    for inner, mark in ((part.get("additionalProperties"), ".NAME"), (part.get("items"), "[]")):
        if isinstance(inner, Mapping) and "properties" in SCHEMA.resolved(inner):
            yield from _part(f"{path}{mark}", inner)
    yield from _types(path)


def _types(path: str) -> Iterator[Row]:
    """The keys that only one type of channels or runtimes has."""
    for kind, name in TYPES.get(path, ()):
        for key, inner in SCHEMA.options(kind, name).items():
            yield from _part(f"{path}.NAME.{key}", {**inner, "x-type": name})


def _meaning(part: Mapping[str, Any]) -> str:
    only = f"(`{part['x-type']}`) " if "x-type" in part else ""
    choices = ", ".join(f"`{_yaml(choice)}`" for choice in part.get("enum", ()))
    return f"{only}{part.get('description', '')}{f' One of {choices}.' if choices else ''}"


def _yaml(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case "":
            return '""'
    return str(value)


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ("---",) * len(head), *rows))


def metric_rows() -> Iterator[Row]:
    """The metrics."""
    for metric in TABLE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"`sidecar_{metric.name}`", metric.kind, labels, metric.meaning


def renewed(text: str, *made: str) -> str:
    """The text with other tables, in order, between its marks."""
    done = ""
    for one in made:
        before, _, rest = text.partition(BEGIN)
        _, _, text = rest.partition(END)
        done += f"{before}{BEGIN}\n{one}\n{END}"
    return done + text


def main() -> None:
    """Renew or check all tables."""
    config_head = ("key", "default", "a change takes effect", "meaning")
    tables = {
        "config.md": table(config_head, config_rows()),
        "metrics.md": table(("name", "kind", "labels", "meaning"), metric_rows()),
        "templates.md": (
            table(("template", "block", "such as"), template_tables.blocks()),
            table(("name", "kind", "such as", "meaning"), template_tables.names()),
            table(("filter", "kind", "such as", "meaning"), template_tables.filters()),
        ),
    }
    for name, made in tables.items():
        file = ROOT / "docs" / name
        text = file.read_text("utf-8")
        new = renewed(text, *([made] if isinstance(made, str) else made))
        if "--check" not in sys.argv:
            file.write_text(new, encoding="utf-8")
        elif new != text:
            sys.exit(f"the table in docs/{name} is stale: run `make docs`")


if __name__ == "__main__":
    main()
