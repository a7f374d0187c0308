"""What a person gets who installs the sidecar: every way of installing it works."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBE = """
import site, sys
before = sys.path.copy()
site.addsitedir(sys.argv[1])  # an editable installation is a .pth file
sys.path.sort(key=before.__contains__)  # what was added comes first
from pathlib import Path
import sidecar
from sidecar.cli import main
assert Path(sidecar.__file__).is_relative_to(sys.argv[2]), sidecar.__file__
assert main(["init", "started.yaml", "--template", "agents"]) == 0
sys.exit(main(["dev"]))
"""


def run(*command: str | Path, cwd: Path) -> None:
    own = {"HOME": str(cwd), "PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        command,
        cwd=cwd,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **own},
    )
    assert result.returncode == 0, result.stdout + result.stderr


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a distribution and return its file."""
    script = f"import sys, hatchling.build; hatchling.build.build_{kind}(sys.argv[1])"
    target.mkdir(exist_ok=True)
    run(sys.executable, "-c", script, target, cwd=source)
    [built] = target.iterdir()
    return built


def try_it(installed: Path, package: Path, folder: Path) -> None:
    """Begin `sidecar dev` in an empty folder and leave at once: it finds its config, its schemas,
    its templates and its page."""
    folder.mkdir()
    run(sys.executable, "-c", PROBE, installed, package, cwd=folder)
    assert (folder / "config.yaml").read_bytes() == (ROOT / "config.example.yaml").read_bytes()


def install(wheel: Path, target: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--no-compile", "--target", target, wheel, cwd=target.parent)
    return target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


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


def test_an_installed_wheel_can_be_tried_at_once(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, tmp_path / "installed")
    try_it(installed, installed, tmp_path / "home")


def test_an_editable_installation_can_be_tried_at_once(tmp_path: Path) -> None:
    editable = build("editable", ROOT, tmp_path / "dist")
    installed = install(editable, tmp_path / "installed")
    try_it(installed, ROOT, tmp_path / "home")


def test_the_source_distribution_works_unpacked_and_makes_the_same_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    run("tar", "-xf", build("sdist", ROOT, tmp_path / "sdist"), cwd=tmp_path)
    [unpacked] = tmp_path.glob("agent_sidecar-*")
    for name in ("README.md", "LICENSE", "Makefile", "requirements/dev.txt"):
        assert (unpacked / name).is_file()  # what its reader needs
    try_it(unpacked, unpacked, tmp_path / "home")
    again = build("wheel", unpacked, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert first.namelist() == second.namelist()
