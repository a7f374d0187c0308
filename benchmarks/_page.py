"""Writes what was found into `docs/`: a table in Markdown, the same as JSON, and the curves."""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib import pyplot

DOCS = Path(__file__).parents[1] / "docs"
PAGE, DATA = DOCS / "performance.md", DOCS / "performance.json"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def write(found: Mapping[str, Any]) -> None:
    """Renew the page. What was not measured now keeps its figures."""
    known = json.loads(DATA.read_text("utf-8"))["found"] if DATA.exists() else {}
    known.update(found)
    DATA.write_text(json.dumps({"found": known}, indent=1, sort_keys=True) + "\n", "utf-8")
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} processors, {sys.platform}"
    note = f"Medians of the runs; {machine}.\n\n"
    body = note + "".join(_table(known)) + "".join(_pictures(known))
    PAGE.write_text(f"{head}{BEGIN}{body}{END}{tail}", "utf-8")


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| Benchmark (runs) | Figure | Value | Ratio (least to most) | Goal |\n"
    yield "|---|---|---|---|---|\n"
    for name, result in found.items():
        for one in result["figures"]:
            least, most = one["least_of_runs"], one["most_of_runs"]
            ratio = f"{one['ratio']:.2f} {one['unit']} ({least:.2f} to {most:.2f})"
            what = f"`{name}` ({result['runs']}) | {one['name'].strip()} | {one['value']}"
            yield f"| {what} | {ratio} | {_goal(one)} |\n"
    yield "\n"


def _goal(figure: Mapping[str, Any]) -> str:
    if figure["goal"] is None:
        return ""
    bound, ratio = figure["goal"], figure["ratio"]
    reached = ratio >= bound if figure["least"] else ratio <= bound
    words = f"at {'least' if figure['least'] else 'most'} {bound:g}"
    return f"{words}, {'met' if reached else '**missed**'}"


def _pictures(found: Mapping[str, Any]) -> Iterator[str]:
    for result in found.values():
        for curve in result["curves"]:
            name = f"growth-{curve['name'].replace(',', '').replace(' ', '-')}.svg"
            _draw(curve, DOCS / name)
            yield f"![{curve['unit']}, by {curve['name']}]({name})\n"


def _draw(curve: Mapping[str, Any], place: Path) -> None:
    amounts, ratios = zip(*curve["points"], strict=True)
    pyplot.rcParams["svg.hashsalt"] = "sidecar"  # the same picture for the same figures
    figure, axes = pyplot.subplots(figsize=(5, 2.6), layout="constrained")
    axes.plot(amounts, ratios, marker="o")
    if curve["goal"] is not None:
        axes.axhline(curve["goal"], linestyle="--", linewidth=0.8, color="gray")
    axes.set_xscale("log")
    axes.set_ylim(0, max(2.0, *ratios))
    axes.set_xlabel(curve["name"])
    axes.set_ylabel(f"{curve['unit']}\n(1 = the least)")
    figure.savefig(place, metadata={"Date": None})
    pyplot.close(figure)
