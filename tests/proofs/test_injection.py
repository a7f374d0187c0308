"""Nothing that somebody writes becomes an argument, a variable, a command or the name of a file."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.api import Host
from sidecar.codecs.agent import job_line
from sidecar.codecs.ndjson import parse
from sidecar.config.model import Warm
from sidecar.contexts.memory_file import file_name
from sidecar.model import Job, Prompt, Trust
from sidecar.runtimes import acp, claude_code, codex, command, gemini
from sidecar.runtimes.launch import LaunchFailed
from sidecar.runtimes.processes.private import PrivateFiles
from sidecar.store.workspace import workspace_of

HOSTILE = st.one_of(
    st.sampled_from(
        ["--help", "-c", "--mcp-config=/tmp/x", "$(id)", "`id`", "; rm -rf /", "/clear", "@/etc/x",
            "--\n--dangerously-skip-permissions", "../../../etc", "/etc/passwd", "~/x", "..", ".",
            "a/b", "a\\b", "\0", "\ud800", "CON", "x" * 300, "", "-", "\r\n\r\n", "\u202e",
            "\uff0e\uff0e/"]
    ),
    st.text(st.characters(), max_size=40),
)  # fmt: skip
QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _nothing(*_: Any) -> Any:
    raise AssertionError("nothing is started, and nobody is asked")


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    state = tmp_path_factory.mktemp("state")
    host = Host("x", logging.getLogger("x"), state, _nothing, _nothing)
    warm = Warm(1, 60.0)
    return {
        "text": command.build({"command": ["agent"], "protocol": "text"}, host),
        "ndjson": command.build({"command": ["agent"], "protocol": "ndjson"}, host),
        "claude": claude_code.build({}, host),
        "claude warm": claude_code.build({"warm": warm}, host),
        "codex": codex.build({}, host),
        "gemini": gemini.build({}, host),
        "acp": acp.build({"command": ["agent"]}, host),
    }


KINDS = ["text", "ndjson", "claude", "claude warm", "codex", "gemini", "acp"]
TRUSTS: list[Trust] = ["owner", "trusted", "public"]
JOB = Job("turn", "ag_1", Prompt("be kind", "hello"), Path("/src"), "owner")


@pytest.mark.parametrize("trust", TRUSTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_changes_no_argument_and_no_variable(
    runtimes: dict[str, Any], kind: str, trust: Trust
) -> None:
    job = replace(JOB, trust=trust)
    plain = await runtimes[kind].describe(job)
    for text in ("--help", "$(id)", "/clear", "@/etc/passwd", "-c\0", "\ud800", "a\n--yolo"):
        facts = {"text": text, "sender_name": text, "conversation_title": text}
        hostile = replace(job, prompt=Prompt(text, text), message=facts)
        found = await runtimes[kind].describe(hostile)
        assert (found.argv, found.env) == (plain.argv, plain.env)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("session", ["--help", "../x", "last", "-", "latest", "a b", "\0"])
async def test_a_session_that_an_agent_told_is_no_flag(
    runtimes: dict[str, Any], kind: str, session: str
) -> None:
    try:
        found = await runtimes[kind].describe(replace(JOB, session=session))
    except LaunchFailed as refused:
        kind = refused.failure.kind
        assert kind == "session_missing"
        return
    assert session not in found.argv[:-1]
    assert not any(session in word for word in found.argv if session != "-")


@QUICK
@given(text=HOSTILE, name=HOSTILE)
def test_a_job_is_one_line_whatever_is_written_in_it(text: str, name: str) -> None:
    line = job_line(replace(JOB, prompt=Prompt(name, text), message={"sender_name": name}))
    assert line.count(b"\n") == 1
    told = parse(line)
    assert told is not None
    assert told["prompt"] == {"system": name, "user": text}
    assert (told["trust"], told["cwd"]) == ("owner", "/src")


@QUICK
@given(account=HOSTILE)
@example(account="x" * 5000)
def test_an_account_names_no_file_outside_the_state_folder(account: str, tmp_path: Path) -> None:
    try:
        workspace = workspace_of(tmp_path, account)
    except ValueError:
        pass
    else:
        assert workspace.resolve().is_relative_to(tmp_path)
        assert workspace.resolve() != tmp_path
    name = file_name(account)
    assert "/" not in name
    assert "\0" not in name
    assert len(name.encode()) < 200


async def test_private_files_follow_no_link_and_are_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    made = await PrivateFiles(folder).write(("secret", ".txt"))
    [path] = made
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.parent == folder
