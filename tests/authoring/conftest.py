"""A folder with a config in it, and the commands of an author run there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.contexts import repo
from tests.patience import PATIENCE

CONFIG = """\
version: 1
state: {dir: state}
channels: {demo: {type: botcord, credentials: demo.json, grant: {senders: {ag_friend: trusted}}}}
runtimes:
  cat: {type: command, command: [cat, -u], env: {TOKEN: x}}
  claude: {type: claude-code, args: [--model, opus]}
context: {env: [REGION]}
routes:
  - {name: team, match: {kind: group}, runtime: cat, cwd: ., user_turn: {file: turn.j2}}
  - name: owner
    match: {sender_kind: owner}
    runtime: claude
    cwd: .
    system_context: |
      {% extends "botcord/system_context.j2" %}
      {% block memory %}
      It is {{ now | date }} in {{ env.REGION | default("nowhere") }}.
      {% endblock %}
      {% block room %}{% if turn.attempt > 1 %}Again.{% endif %}{% endblock %}
default_route: {runtime: cat, cwd: .}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REGION", raising=False)
    monkeypatch.setattr(repo, "PATIENCE", PATIENCE)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "turn.j2").write_text("Say: {{ message.text }}\n")
    return tmp_path


@pytest.fixture
def sidecar(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in the folder: its exit code, its output and what it complains of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def tests(folder: Path, sidecar: Run) -> Callable[..., tuple[int, str, str]]:
    """Run `sidecar test` with some tests in a file beside the config."""

    def run(text: str, *arguments: str) -> tuple[int, str, str]:
        (folder / "some.test.yaml").write_text(f"tests:\n{text}")
        return sidecar("test", *arguments)

    return run
