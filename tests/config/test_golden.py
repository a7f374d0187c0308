"""Mistakes that people make, each with what they are told. A missing .txt is written anew."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidecar.config.load import load
from sidecar.config.problems import render_text
from sidecar.config.schemas.schema import Schema

INVALID = Path(__file__).parent / "invalid"
CASES = sorted(path.stem for path in INVALID.glob("*.yaml"))
ENV = {"HUB_TOKEN": "very-secret", "EMPTY": "", "WHERE": "/nowhere/secret", "LEVEL": "loud"}


def test_there_are_cases() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_explained_where_it_is(
    case: str, schema: Schema, make_machine: Callable[..., object]
) -> None:
    if case.startswith("syntax") and find_spec("_ruamel_yaml"):
        pytest.skip("the fast parser has other words")
    loaded = load(Path(f"{case}.yaml"), make_machine(INVALID, ENV), schema)
    told = render_text(loaded.problems, loaded.sources).replace(str(INVALID), "…") + "\n"
    expected = INVALID / f"{case}.txt"
    if not expected.exists():
        expected.write_text(told, "utf-8")
        pytest.fail(f"{expected} was written: look at it")
    assert told == expected.read_text("utf-8")
    assert "very-secret" not in told
    assert "/nowhere/secret" not in told
    assert "loud" not in told
