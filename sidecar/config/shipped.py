"""The files that are shipped with the package: the JSON Schemas and the example config."""

import json
from functools import cache
from pathlib import Path
from typing import Any

MAIN = "config.schema.json"


@cache
def read_schema(name: str = MAIN) -> dict[str, Any]:
    """One shipped schema, as it is written. Do not change what is returned."""
    found: dict[str, Any] = json.loads((folder() / name).read_text("utf-8"))
    return found


def folder() -> Path:
    """schema/ lies inside the wheel, and beside the package in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "schema"
    return inside if inside.is_dir() else package.parent / "schema"
