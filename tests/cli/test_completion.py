"""What a shell completes."""

import shutil
import subprocess

import pytest

from sidecar.cli import COMMANDS, main

ASK = """
ask() { COMP_WORDS=(sidecar "$@"); COMP_CWORD=$#; _sidecar; echo "${COMPREPLY[*]}"; }
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands_actions_options_and_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    lines = ("ro", "turns l", "run --fall", "render --as ''", "route test --as o")
    asks = [f"ask {line}" for line in lines]
    told = subprocess.run(
        ["bash", "-c", "\n".join([script, ASK, *asks])], capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[0] == "route"
    assert told.stdout.splitlines()[1].split()[0] == "list"
    assert told.stdout.splitlines()[2:] == ["--fallback-last-good", "owner human agent", "owner"]
    assert told.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_every_command_is_in_the_script_of_each_shell(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in script] == []
    if (found := shutil.which(shell)) is not None:
        checked = subprocess.run([found, "-n"], input=script, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")
