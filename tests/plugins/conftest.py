"""Packages with component types: the example, really installed, and small ones made up here."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from sidecar import plugins
from tests import starting

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"

Register = Callable[..., Path]


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the example package is installed, and nothing else."""
    target = tmp_path_factory.mktemp("example")
    command = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    result = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *command, str(EXAMPLE)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_NO_INDEX": "1", "HOME": str(target)},
    )
    assert result.returncode == 0, result.stderr
    return target


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for packages that only this test has."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def register(site: Path) -> Register:
    """Installs a package: its name, its source, and the entry points of each kind."""

    def install(name: str, source: str = "", **points: Mapping[str, str]) -> Path:
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = (
            f"[sidecar.{kind}]\n" + "".join(f"{key} = {value}\n" for key, value in each.items())
            for kind, each in points.items()
        )
        (info / "entry_points.txt").write_text("\n".join(groups))
        module = site / f"{name.replace('-', '_')}.py"
        module.write_text(source)
        return module

    return install


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process sees the packages of the test."""
    monkeypatch.syspath_prepend(site)
    yield
    for cache in (plugins.channel_type, plugins.runtime_type, plugins.context_type):
        cache.cache_clear()
    plugins._failed.clear()
    for name, module in list(sys.modules.items()):
        if str(site) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def sidecar(tmp_path: Path) -> Callable[..., Said]:
    """Runs a command of the sidecar that sees the packages in some folders."""

    def run(*command: str, path: Path, cwd: Path = tmp_path) -> Said:
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{path}"}
        code, out, err = starting.said("-m", "sidecar", *command, cwd=cwd, env=env)
        return Said(code, out.decode(), err.decode())

    return run
