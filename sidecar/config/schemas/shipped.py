"""The files that are shipped with the package: the JSON Schemas and configs to start from."""

import json
from functools import cache
from pathlib import Path
from typing import Any

MAIN = "config.schema.json"
TESTS = "test.schema.json"
STARTERS = ("development", "kubernetes", "agents")
"""Configs to start from, by what they are for."""
FOR_PODS = ("kubernetes",)
"""Those for another machine than the one where they are written."""

_FOR_EDITORS = "# yaml-language-server: $schema="


@cache
def read_schema(name: str = MAIN) -> dict[str, Any]:
    """One shipped schema, as it is written. Do not change what is returned."""
    found: dict[str, Any] = json.loads((folder() / name).read_text("utf-8"))
    return found


def read_starter(name: str, schema: str) -> str:
    """The text of a config to start from; an editor finds the schema where `schema` tells. One for
    another machine has no such line: there the schema lies elsewhere."""
    text = (folder() / "starters" / f"{name}.yaml").read_text("utf-8")
    rest = text.partition("\n")[2]
    return rest.removeprefix("#\n") if name in FOR_PODS else f"{_FOR_EDITORS}{schema}\n{rest}"


def beside_starter(name: str, schema: str) -> dict[str, str]:
    """The texts of the files that come with a config to start from, by their paths beside it. An
    editor finds the schema of its tests where `schema` tells."""
    top = folder() / "starters" / name
    found = {}
    for path in sorted(top.rglob("*")) if top.is_dir() else ():
        if path.is_file():
            text = path.read_text("utf-8")
            if text.startswith(_FOR_EDITORS):
                text = f"{_FOR_EDITORS}{schema}\n{text.partition(chr(10))[2]}"
            found[path.relative_to(top).as_posix()] = text
    return found


def folder() -> Path:
    """schema/ lies inside the wheel, and beside the package in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "schema"
    return inside if inside.is_dir() else package.parent / "schema"
