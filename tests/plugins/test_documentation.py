"""docs/extending.md shows the example package as it is, and names what there is."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
SHOWN = re.findall(r"^`([a-z_/.]+)`:\n\n```[a-z]+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODULES = re.findall(r"`(sidecar\.[a-z.]+)`", PAGE.partition("## Options")[0])


@pytest.mark.parametrize(("file", "block"), SHOWN)
def test_each_block_is_a_part_of_the_file_that_it_names(file: str, block: str) -> None:
    assert block in (ROOT / "tests" / "plugin_example" / file).read_text("utf-8")


def test_the_page_shows_a_part_of_each_file_of_the_example() -> None:
    package = ROOT / "tests" / "plugin_example"
    files = {f"src/sidecar_example/{path.name}" for path in package.glob("src/*/*.py")}
    assert {file for file, _ in SHOWN} == {
        *files - {"src/sidecar_example/__init__.py"},
        *("pyproject.toml", "config.yaml"),
    }


def test_what_may_be_imported_is_there() -> None:
    named = [name for name in MODULES if name not in ("sidecar.channels", "sidecar.runtimes")]
    assert len(named) >= 10
    for name in named:
        if name != "sidecar.context":
            import_module(name)


def test_the_example_imports_nothing_else() -> None:
    sources = (ROOT / "tests" / "plugin_example").glob("src/*/*.py")
    used = {
        found
        for path in sources
        for found in re.findall(r"^from (sidecar\.\S+)", path.read_text(), re.M)
    }
    assert used <= set(MODULES)
