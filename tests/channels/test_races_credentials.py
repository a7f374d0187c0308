"""A person who changes a file of credentials while a new token is put into it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.channels import credentials

AGENT = "ag_1"


@pytest.mark.parametrize("change", [lambda path: path.write_text("{}"), Path.unlink])
def test_what_a_person_writes_while_a_token_is_stored_stays(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path, twin = tmp_path / "ag.json", tmp_path / "twin.json"
    for one in (path, twin):
        one.write_text(json.dumps({"agentId": AGENT, "keyId": "old"}))
    change(twin)
    credentials.store_token(path, AGENT, "token", 1.0, lambda before, after: change(path) and None)
    assert path.exists() == twin.exists()
    assert not path.exists() or path.read_bytes() == twin.read_bytes()
    assert {one.name for one in tmp_path.iterdir()} <= {path.name, twin.name}
