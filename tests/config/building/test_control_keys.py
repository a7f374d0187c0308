"""The public keys of the Hub, from the config or else from the environment."""

import base64
from pathlib import Path

import pytest

from sidecar import plugins
from sidecar.app.checking.system import MachineSystem
from sidecar.config.load import Loaded, load
from sidecar.config.schemas.schema import Schema

ONE, TWO = (base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2))
PUBLISHED = "H8lKtrtJclp+M69dh0n0avdia/kN8fy1tYUSrQFpDxY="
"""The development key of the protocol, whose private half everybody has."""
RING, SINGLE = "BOTCORD_HUB_CONTROL_PUBLIC_KEYS", "BOTCORD_HUB_CONTROL_PUBLIC_KEY"


def loaded(folder: Path, plane: str) -> Loaded:
    (folder / "login.json").touch(mode=0o600)
    path = folder / "config.yaml"
    path.write_text(
        f"version: 1\nstate: {{dir: {folder}/state}}\n"
        f"control_plane: {{credentials: login.json, {plane}}}\n"
        "runtimes: {echo: {type: command, command: [cat]}}\n"
        f"default_route: {{runtime: echo, cwd: {folder}}}\n"
    )
    return load(path, MachineSystem(), Schema(), types=plugins)


@pytest.mark.parametrize(
    ("plane", "ring", "single", "keys"),
    [
        (f"enabled: true, public_keys: [{TWO}]", ONE, ONE, (TWO,)),
        ("enabled: true", f"{ONE},\n{TWO},{ONE}", "", (ONE, TWO)),
        ("enabled: true", ONE, TWO, (ONE,)),
        ("enabled: true", " ", TWO, (TWO,)),
        ("enabled: true", "", "", ()),
        ("enabled: false", ONE, ONE, ()),
    ],
)
def test_the_config_counts_then_the_ring_then_the_single_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plane: str,
    ring: str,
    single: str,
    keys: tuple[str, ...],
) -> None:
    monkeypatch.setenv(RING, ring)
    monkeypatch.setenv(SINGLE, single)
    config = loaded(tmp_path, plane).config
    assert config is not None
    assert config.control_plane.public_keys == keys


@pytest.mark.parametrize("name", [RING, SINGLE])
@pytest.mark.parametrize("key", [PUBLISHED, f"ed25519:{PUBLISHED}", "AAAA"])
def test_a_key_of_the_environment_that_proves_nothing_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setenv(name, key)
    found = loaded(tmp_path, "enabled: true")
    assert found.config is None
    [problem] = found.problems
    assert (problem.code, name in problem.message) == ("public-key", True)
