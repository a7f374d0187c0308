"""The rules of the house that a linter does not know: sizes, layers, and what no text may say."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from inspect import getdoc
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sidecar import errors
from sidecar.cli import COMMANDS

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "sidecar").rglob("*.py"))
NOT_OURS = {"__pycache__", "dist", "build", "config.yaml"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def texts() -> Iterator[Path]:
    """All files of the checkout, without environments, caches and what git keeps."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore", ".github"}
            if hidden or path.name in NOT_OURS or path.name.endswith(".egg-info"):
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def test_no_module_is_longer_than_300_lines() -> None:
    long = {str(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {path: lines for path, lines in long.items() if lines > 300} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []


def test_a_running_sidecar_does_without_what_only_commands_and_checks_need() -> None:
    code = "import sys, sidecar.app.process; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in found.stdout.split()}
    heavy = {"jsonschema", "ruamel", "difflib", "mcp", "pydantic", "prometheus_client", "rich"}
    assert loaded & heavy == set()


def test_help_loads_no_command_and_a_piped_table_nothing_for_terminals() -> None:
    code = (
        "import sys; from sidecar.cli import build_parser; build_parser([]);"
        "print(*[name for name in sys.modules if name.startswith('sidecar')], sep=',');"
        "import sidecar.cli.status, sidecar.cli.turns, sidecar.cli.route, sidecar.cli.agents;"
        "sidecar.cli.screen.show([sidecar.cli.table.Table(('A',), [])]);"
        "print('rich' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    loaded, *rest = told.stdout.splitlines()
    assert set(loaded.split(",")) == {
        "sidecar", "sidecar.cli", "sidecar.cli.command_line", "sidecar.cli.output",
    }  # fmt: skip
    assert rest == ["A", "(none)", "False"]


def test_the_drawing_of_the_exceptions_is_true() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (getdoc(errors) or "").splitlines():
        branch, mark, rest = line.rpartition("── ")
        if line == "SidecarError":
            above = [line]
        elif mark:
            name = rest.split()[0]
            del above[(len(branch) + 3) // 4 :]
            drawn[name] = above[-1]
            above.append(name)
    real = {
        name: found.__bases__[0].__name__
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, Exception) and name != "SidecarError"
    }
    assert drawn == real


# In two parts, so that this file does not hold what it forbids.
FORBIDDEN = [
    "/ro" + "ot/",
    "/wo" + "rk/",
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.n" + "pmjs",
]


def test_no_text_names_a_path_of_one_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in texts()
        for text in FORBIDDEN
        if text.encode() in path.read_bytes()
    ]
    assert found == []


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in texts()
        if path.suffix == ".md"
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
        if "://" not in link and not (path.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_the_readme_names_every_command_and_no_other() -> None:
    named = re.findall(r"^\| `sidecar ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert named == list(COMMANDS)


def test_the_tables_of_the_documents_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, ".ci/reference.py", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr


def locked(name: str) -> dict[str, str]:
    """Each pinned package of a lock and its version."""
    lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
    pins = [line.split()[0].partition("==") for line in lines if line[:1].isalnum()]
    return {canonicalize_name(package): version for package, _, version in pins}


@pytest.mark.parametrize(
    ("lock", "groups"), [("run.txt", []), ("build.txt", ["build"]), ("dev.txt", ["test", "lint"])]
)
def test_the_locks_pin_what_the_project_asks_for(lock: str, groups: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [] if lock == "build.txt" else list(project["project"]["dependencies"])
    for group in groups:
        asked += project["dependency-groups"][group]
    pins = locked(lock)
    for requirement in map(Requirement, asked):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} but {version} in {lock}"


def test_the_locks_agree_with_each_other() -> None:
    everything = locked("dev.txt")
    for name in ("run.txt", "build.txt"):
        assert locked(name).items() <= everything.items()
