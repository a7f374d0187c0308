"""Deprecated keys are rewritten, and nothing else of a file is touched."""

from pathlib import Path

import pytest

from sidecar.cli.migrate import migrate
from sidecar.config.schemas.schema import Schema

OPTIONS = {
    "type": "object",
    "properties": {
        "speed": {"type": "string", "description": "How fast.", "default": "slow"},
        "pace": {"type": "string", "description": "How fast.", "deprecated": True,
                 "x-replacement": "speed"},
        "mood": {"type": "string", "description": "No more.", "deprecated": True},
    },
}  # fmt: skip
TEXT = """\
# Mine.
version: 1
runtimes:
  toy: {type: toy, "pace": fast}   # as always
  other:

    type:   toy
    pace: >-   # folded
      very
      fast
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    return path


@pytest.fixture
def schema() -> Schema:
    return Schema({("runtime", "toy"): OPTIONS})


def test_what_would_change_is_shown_and_only_written_when_told_to(
    config: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_bytes()
    assert migrate(config, schema, write=False) == 0
    shown = capsys.readouterr().out
    assert "-    pace: >-   # folded" in shown
    assert "+    speed: >-   # folded" in shown
    assert config.read_bytes() == before
    assert migrate(config, schema, write=True) == 0
    assert config.read_bytes() == before.replace(b'"pace"', b"speed").replace(b"pace", b"speed")
    assert capsys.readouterr().out == shown
    assert migrate(config, schema, write=False) == 0
    assert "needs no change" in capsys.readouterr().out


def test_an_included_file_is_rewritten_too(
    config: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    other = config.with_name("more.yaml")
    other.write_text("runtimes:\n  third: {type: toy, pace: fast}\n")
    config.write_text("version: 1\ninclude: [more.yaml]\n")
    assert migrate(config, schema, write=True) == 0
    assert other.read_text() == "runtimes:\n  third: {type: toy, speed: fast}\n"
    assert config.read_text() == "version: 1\ninclude: [more.yaml]\n"


@pytest.mark.parametrize("keys", ["mood: good", "pace: fast, speed: slow"])
def test_what_a_person_has_to_decide_is_left_and_told(
    config: Path, schema: Schema, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"version: 1\nruntimes: {{toy: {{type: toy, {keys}}}}}\n"
    config.write_text(text)
    assert migrate(config, schema, write=True) == 1
    assert config.read_text() == text
    assert "is deprecated; change it by hand" in capsys.readouterr().err


def test_what_is_no_config_is_told(
    config: Path, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("a: b: c")
    assert migrate(config, schema, write=True) == 2
    assert "config.yaml:1:5: error" in capsys.readouterr().err
