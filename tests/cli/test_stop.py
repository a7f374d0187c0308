"""What `sidecar stop` tells at a terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli import main

HOLD = """
import signal, sys
from pathlib import Path
from sidecar.store.lock import StateLock
StateLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
signal.pause()
"""


def test_it_tells_how_long_turns_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, state = tmp_path / "config.yaml", tmp_path / "state"
    state.mkdir(mode=0o700)
    limits = "limits: {drain_timeout: 25s, stop_grace: 4s}"
    config.write_text(f"version: 1\nstate: {{dir: state}}\n{limits}\n")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = [sys.executable, "-c", HOLD, str(state)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert main(["stop", str(config)]) == 0
    assert capsys.readouterr().out == (
        f"process {holder.pid}: running turns may finish, for 21 s\n"
        f"process {holder.pid} has ended\n"
    )
