"""The recipes of docs/cookbook: each is a config that can be copied, with tests that hold."""

import re
from pathlib import Path

import pytest

from sidecar.cli import main

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook"
RECIPES = sorted(path.parent for path in COOKBOOK.glob("*/config.yaml"))
MODELINE = "# yaml-language-server: $schema="


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_recipe_holds_what_it_promises_and_tests_all_of_it(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(recipe)
    code = main(["test"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, ""), out
    assert "no test reaches" not in out
    assert int(re.findall(r"^(\d+) passed", out, re.M)[0]) >= 2


def test_there_are_ten_of_them_and_the_page_names_each() -> None:
    page = (COOKBOOK / "README.md").read_text("utf-8")
    named = re.findall(r"^\| \[[^\]]+\]\(([a-z-]+)/config\.yaml\)", page, re.M)
    assert sorted(named) == [recipe.name for recipe in RECIPES]
    assert len(RECIPES) >= 10


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_an_editor_finds_the_schema_from_a_recipe(recipe: Path) -> None:
    first = (recipe / "config.yaml").read_text("utf-8").splitlines()[0]
    assert (recipe / first.removeprefix(MODELINE)).resolve().is_file()
