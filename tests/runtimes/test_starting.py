import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.codecs.outcome import LONGEST_DETAIL
from sidecar.config.model import FileText
from sidecar.runtimes import command
from sidecar.runtimes.processes import environment
from sidecar.runtimes.processes.places import find_program

SHOW = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}))
"""


async def shown(workshop: Any, options: dict[str, Any] | None = None, **job: Any) -> Any:
    return json.loads((await workshop.ended(workshop.command(SHOW, **(options or {})), **job)).text)


async def test_a_program_that_is_nowhere_is_not_found(workshop: Any) -> None:
    runtime = command.build({"command": ["no-such-agent"]}, workshop.host)
    failure = (await workshop.ended(runtime, session="s1")).failure
    assert failure.kind == "not_found"
    assert "no-such-agent" in failure.detail
    assert os.environ["PATH"] in failure.detail


async def test_a_path_that_is_not_there_is_not_found(workshop: Any) -> None:
    runtime = command.build({"command": ["/no/such/agent"]}, workshop.host)
    ended = await workshop.ended(runtime, session="s1")
    assert ended.failure.kind == "not_found"
    assert "/no/such/agent cannot be started: it is not there" in ended.failure.detail
    assert ended.session == "s1"


async def test_a_missing_working_directory_is_told_apart_from_a_missing_program(
    workshop: Any,
) -> None:
    runtime = workshop.command("echo hello", python=False)
    failure = (await workshop.ended(runtime, cwd=Path("/no/such/folder"))).failure
    assert failure.kind == "not_found"
    assert "the working directory /no/such/folder" in failure.detail
    file = workshop.folder / "agent"
    failure = (await workshop.ended(runtime, cwd=file)).failure
    assert f"the working directory {file} cannot be entered: Not a directory" in failure.detail


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("#!/no/such/interpreter\n", 0o755, "the interpreter that its first line names"),
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("no first line\n", 0o755, "Exec format error"),
    ],
)
async def test_a_program_that_cannot_run_says_why(
    workshop: Any, text: str, mode: int, words: str
) -> None:
    program = workshop.folder / "agent"
    program.write_text(text)
    program.chmod(mode)
    runtime = command.build({"command": [str(program)]}, workshop.host)
    failure = (await workshop.ended(runtime)).failure
    assert failure.kind == "not_found"
    assert words in failure.detail


async def test_a_nul_in_an_argument_fails_that_turn_only(workshop: Any) -> None:
    runtime = workshop.command("echo fine", python=False)
    assert (await workshop.ended(runtime, args=("a\0b",))).failure.kind == "internal"
    assert (await workshop.ended(runtime)).text == "fine"


async def test_a_program_is_looked_up_in_the_path_that_it_will_have(workshop: Any) -> None:
    (workshop.folder / "bin").mkdir()
    workshop.script("echo found", "bin/answer", python=False)
    env = {"PATH": f"{workshop.folder / 'bin'}:{os.environ['PATH']}"}
    runtime = command.build({"command": ["answer"], "env": env}, workshop.host)
    assert (await workshop.ended(runtime)).text == "found"


async def test_a_program_that_was_replaced_elsewhere_is_found_again(workshop: Any) -> None:
    for folder in ("one", "two"):
        (workshop.folder / folder).mkdir()
        workshop.script(f"echo {folder}", f"{folder}/answer", python=False)
    env = {"PATH": f"{workshop.folder / 'one'}:{workshop.folder / 'two'}"}
    runtime = command.build({"command": ["answer"], "env": env}, workshop.host)
    assert (await workshop.ended(runtime)).text == "one"
    (workshop.folder / "one" / "answer").unlink()
    failure = (await workshop.ended(runtime)).failure
    assert (failure.kind, failure.retryable) == ("not_found", True)
    assert (await workshop.ended(runtime)).text == "two"


async def test_a_relative_program_starts_at_the_working_directory(workshop: Any) -> None:
    workshop.script("echo here", "cwd/answer.sh", python=False)
    runtime = command.build({"command": ["./answer.sh"]}, workshop.host)
    assert (await workshop.ended(runtime)).text == "here"


def test_a_program_beside_this_python_is_found_without_a_path() -> None:
    name = Path(sys.executable).name
    assert find_program(name, {"PATH": "/no/such/folder"}) == sys.executable


async def test_arguments_are_those_of_the_command_the_runtime_and_the_job(workshop: Any) -> None:
    program = workshop.script(SHOW)
    options = {"command": [program, "--one", "$HOME; ls"], "args": ("--two",)}
    ended = await workshop.ended(command.build(options, workshop.host), args=("--three",))
    assert json.loads(ended.text)["argv"] == ["--one", "$HOME; ls", "--two", "--three"]


async def test_the_environment_is_an_allowlist(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = {
        "HOME": "/home/me",
        "LC_ALL": "C.UTF-8",
        "https_proxy": "http://proxy",
        "NO_PROXY": "localhost",
        "SSL_CERT_DIR": "/certs",
        "XDG_CONFIG_HOME": "/config",
        "WANTED": "yes",
        "MY_ONE": "1",
    }
    refused = {"SECRET": "s", "SIDECAR_TOKEN": "s", "ANTHROPIC_API_KEY": "s", "HOMER": "s"}
    for name, value in {**allowed, **refused}.items():
        monkeypatch.setenv(name, value)
    options = {"inherit_env": ("WANTED", "MY_*"), "env": {"FROM_CONFIG": "c", "BOTH": "config"}}
    env = (await shown(workshop, options, env={"FROM_JOB": "j", "BOTH": "job"}))["env"]
    assert {name: env.get(name) for name in allowed} == allowed
    assert not set(refused) & set(env)
    assert (env["FROM_CONFIG"], env["FROM_JOB"], env["BOTH"]) == ("c", "j", "job")
    assert env["PATH"] == os.environ["PATH"]


async def test_the_turn_is_named_in_the_environment(workshop: Any) -> None:
    env = (await shown(workshop, turn="turn-7"))["env"]
    assert env["SIDECAR_TURN"] == "turn-7"
    assert env["SIDECAR_STATE"] == environment.state_mark(workshop.host.state)
    assert str(workshop.host.state) not in env.values()


async def test_a_file_in_the_environment_is_read_anew_at_each_start(workshop: Any) -> None:
    token = workshop.folder / "token"
    token.write_text("one\n")
    runtime = workshop.command(
        "echo $TOKEN", python=False, env={"TOKEN": FileText(("Bearer ", token, "!"))}
    )
    assert (await workshop.ended(runtime)).text == "Bearer one!"
    token.write_text("two\r\n")
    assert (await workshop.ended(runtime)).text == "Bearer two!"
    token.unlink()
    failure = (await workshop.ended(runtime)).failure
    assert failure.kind == "not_found"
    assert str(token) in failure.detail
    assert "Bearer" not in failure.detail


@pytest.mark.parametrize(("protocol", "descriptor", "code"), [("ndjson", 1, 0), ("text", 2, 3)])
async def test_a_failure_tells_no_secret_of_the_environment(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, protocol: str, descriptor: int, code: int
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "inherited-4321")
    file = workshop.folder / "key"
    file.write_text("from-a-file-4321\n")
    runtime = workshop.command(
        f"""
        echo "$SOME_API_KEY $LITERAL_KEY $PLAIN $FILED $HOME_DIR" >&{descriptor}
        exit {code}
        """,
        python=False,
        protocol=protocol,
        env={
            "LITERAL_KEY": "lit4",
            "PLAIN": "under-any-name",
            "FILED": FileText((file,)),
            "HOME_DIR": "/home/agent",
        },
        inherit_env=("SOME_API_KEY",),
    )
    failure = (await workshop.ended(runtime)).failure
    assert "*** *** *** *** /home/agent" in failure.detail


async def test_no_rest_of_a_secret_is_told_where_the_words_are_cut(workshop: Any) -> None:
    rest = "x" * (LONGEST_DETAIL - len("4321"))
    runtime = workshop.command(
        f'printf "%s" "${{SOME_KEY}}{rest}" >&2; exit 3',
        python=False,
        env={"SOME_KEY": "hunter-4321"},
    )
    failure = (await workshop.ended(runtime)).failure
    assert failure.detail.endswith(f"*{rest}")


async def test_it_runs_in_the_folder_of_the_job(workshop: Any) -> None:
    assert (await shown(workshop))["cwd"] == str(workshop.job.cwd)
