"""A machine whose files are real and whose rest is given, and how a config is loaded on it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.app.checking.system import MachineSystem
from sidecar.config.load import Loaded, load
from sidecar.config.reading.quick import QuickRoutes
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]


@dataclass
class Machine(MachineSystem):
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    programs: Collection[str] = ("sidecar", "claude", "codex")

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def env(self) -> Mapping[str, str]:
        return self.variables

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def cwd(self) -> Path:
        return self.folder

    def which(self, command: str, folder: Path) -> str | None:
        return super().which(command, folder) if "/" in command else self._named(command)

    def _named(self, command: str) -> str | None:
        return f"/bin/{command}" if command in self.programs else None


@pytest.fixture(scope="session")
def schema() -> Schema:
    return Schema()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def make_machine() -> Callable[..., Machine]:
    return Machine


@pytest.fixture
def check(machine: Machine, schema: Schema) -> Check:
    """Write a config, load it."""

    def written(text: str) -> Loaded:
        (machine.folder / "config.yaml").write_text(text, "utf-8")
        return load(Path("config.yaml"), machine, schema)

    return written


@pytest.fixture
def check_quickly(machine: Machine, schema: Schema) -> Check:
    """As `check`, as a running sidecar does it."""

    def written(text: str) -> Loaded:
        (machine.folder / "config.yaml").write_text(text, "utf-8")
        return load(Path("config.yaml"), machine, schema, quick=QuickRoutes())

    return written
