"""What the documents show is what the program takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from ruamel.yaml import YAML

from sidecar.app.checking.check import check

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SECTIONS = {"channels", "context", "control_plane", "default_route", "routes", "runtimes"}
ELSEWHERE = {
    "command-not-found",
    "credentials-missing",
    "no-default-route",
    "no-folder",
    "unknown-runtime",
    "unreadable",
}
"""Problems that come of what a piece of a config, or this machine, has not."""


def pieces() -> Iterator[object]:
    """The pieces of a config in the documents, by page and line. Those of `extending.md` need its
    example package, with whose tests they are tried."""
    pages = {ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {ROOT / "docs/extending.md"}
    for page in sorted(pages):
        text = page.read_text("utf-8")
        for found in BLOCK.finditer(text):
            piece = dedent(found[2])
            if SECTIONS & set(YAML(typ="safe").load(piece)):
                line = text.count("\n", 0, found.start()) + 2
                yield pytest.param(piece, id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("piece", [*pieces()])
def test_a_piece_of_a_config_in_a_document_is_right(piece: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(piece if "version:" in piece else f"version: 1\n{piece}")
    problems = [one for one in check(file).problems if one.code not in ELSEWHERE]
    assert problems == []
