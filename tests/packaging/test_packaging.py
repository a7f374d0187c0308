"""What a person gets who installs the sidecar: every way of installing it finds its data files."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBE = """
import site, sys
sys.path.insert(0, sys.argv[1])
site.addsitedir(sys.argv[1])  # an editable installation is a .pth file
from importlib.resources import files
from pathlib import Path
import sidecar
from sidecar.config.schema import Schema, read_schema
assert Path(sidecar.__file__).is_relative_to(sys.argv[2]), sidecar.__file__
assert read_schema()["properties"]["version"]["const"] == 1
Schema()
"""


def run(*command: str | Path, cwd: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PIP_NO_INDEX": "1"}
    result = subprocess.run(
        command, cwd=cwd, check=False, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a distribution and return its file."""
    script = f"import sys, hatchling.build; hatchling.build.build_{kind}(sys.argv[1])"
    target.mkdir(exist_ok=True)
    run(sys.executable, "-c", script, target, cwd=source)
    [built] = target.iterdir()
    return built


def install(wheel: Path, target: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--target", target, wheel, cwd=target.parent)
    return target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    run("tar", "-xf", build("sdist", ROOT, folder / "dist"), cwd=folder)
    return next(folder.glob("agent_sidecar-*"))


def data_files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_with_its_data_the_schemas_and_nothing_else(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {f"sidecar/{name}" for name in data_files(ROOT / "sidecar")}
    schemas = {f"sidecar/schema/{name}" for name in data_files(ROOT / "schema")}
    assert held == package | schemas | {"sidecar/schema/config.example.yaml"}
    assert "sidecar/devhub/page.html" in held
    assert any(name.startswith("sidecar/prompts/templates/") for name in held)


def test_an_installed_wheel_finds_its_schemas(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, tmp_path / "installed")
    run(sys.executable, "-c", PROBE, installed, installed, cwd=tmp_path)


def test_an_editable_installation_finds_its_schemas(tmp_path: Path) -> None:
    editable = build("editable", ROOT, tmp_path / "dist")
    installed = install(editable, tmp_path / "installed")
    run(sys.executable, "-c", PROBE, installed, ROOT, cwd=tmp_path)


def test_the_source_distribution_works_unpacked_and_makes_the_same_wheel(
    unpacked: Path, wheel: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-c", PROBE, unpacked, unpacked, cwd=tmp_path)
    again = build("wheel", unpacked, tmp_path / "dist")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert first.namelist() == second.namelist()


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "Makefile", "requirements/dev.txt"])
def test_the_source_distribution_holds_what_its_reader_needs(unpacked: Path, name: str) -> None:
    assert (unpacked / name).is_file()
