"""What this machine tells of its runtimes."""

from pathlib import Path
from typing import Any

import pytest

from sidecar.app.steering import inventory
from sidecar.config.model import Runtime

MEETS = """\
#!/bin/sh
# Tells its version when the other one runs, too.
echo >> {folder}/{name}.starts
while ! [ -e {folder}/{other}.starts ]; do sleep 0.02; done
echo 2.1.200
"""


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def told(*runtimes: Runtime) -> dict[str, Any]:
    found: Any = inventory._probe_all({one.name: one for one in runtimes})
    return {one["id"]: one for one in found["runtimes"]}


def runtime(name: str, command: str, **more: Any) -> Runtime:
    return Runtime(name, "claude-code", {"command": command}, **more)


def test_programs_are_asked_at_the_same_time_and_each_of_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "PATIENCE", 60.0)
    one, two = (
        program(tmp_path, name, MEETS.format(folder=tmp_path, name=name, other=other))
        for name, other in (("one", "two"), ("two", "one"))
    )
    found = told(
        runtime("opus", one, model="opus"),
        runtime("sonnet", one, args=("--model", "sonnet")),
        runtime("other", two),
    )
    assert {id_: one.get("version") for id_, one in found.items()} == {
        "claude-code": "2.1.200",
        "sonnet": "2.1.200",
        "other": "2.1.200",
    }
    assert found["claude-code"]["models"][0]["id"] == "opus"
    assert "models" not in found["sonnet"]
    # For its version, and for its help.
    assert len((tmp_path / "one.starts").read_text().splitlines()) == 2


def test_a_program_that_hangs_is_told_without_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "PATIENCE", 0.01)
    hangs = program(tmp_path, "hangs", "#!/bin/sh\nexec sleep 3600\n")
    found = told(runtime("hangs", hangs), runtime("none", str(tmp_path / "none")))
    assert found["claude-code"] == {"id": "claude-code", "available": True, "path": hangs}
    assert not found["none"]["available"]
