import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import Block, SessionStarted
from sidecar.runtimes import command, example_agent

PROGRAM = str(example_agent.__file__)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "src" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/feature/x\n")
    (root / "README.md").write_text("# Demo\n\nIt shows ``` and a TODO.\n")
    (root / "src" / "main.py").write_text("print('hi')  # todo: more\n")
    (root / "src" / "deep" / "data.bin").write_bytes(b"a\0b")
    (root / ".env").write_text("SECRET=TODO\n")
    (root / "empty.txt").touch()
    (tmp_path / "outside.txt").write_text("not for you")
    (root / "link").symlink_to(tmp_path / "outside.txt")
    (root / "loop").symlink_to("loop")
    return root


def run(checkout: Path, text: str, **job: Any) -> list[dict[str, Any]]:
    record = {"type": "job", "protocol": 1, "prompt": {"system": "", "user": text}, **job}
    events: list[dict[str, Any]] = []
    example_agent.Conversation(record, checkout, events.append).run()
    return events


def answer(checkout: Path, text: str, **job: Any) -> str:
    return "".join(e["text"] for e in run(checkout, text, **job) if e["type"] == "text")


@pytest.mark.parametrize("text", ["what is in here?", "What's in here", "list", "ls", "list files"])
def test_it_lists_the_checkout(checkout: Path, text: str) -> None:
    assert answer(checkout, text) == "```\nsrc/\nempty.txt\nlink\nloop\nREADME.md\n```"


@pytest.mark.parametrize("text", ["list src/", "ls src", "what is in src?", "read src"])
def test_it_lists_a_folder(checkout: Path, text: str) -> None:
    assert answer(checkout, text) == "```\ndeep/\nmain.py\n```"


@pytest.mark.parametrize("text", ["read README.md", "please show me `README.md`", "cat README.md"])
def test_it_reads_a_file_and_keeps_its_fences_apart(checkout: Path, text: str) -> None:
    assert answer(checkout, text) == "````\n# Demo\n\nIt shows ``` and a TODO.\n````"


def test_it_searches_and_capitals_count_if_there_are_some(checkout: Path) -> None:
    assert answer(checkout, "search TODO") == "````\nREADME.md:3: It shows ``` and a TODO.\n````"
    assert "src/main.py:1: print('hi')  # todo: more" in answer(checkout, "search for todo")
    assert answer(checkout, "grep nothing-like-it") == "Nothing here holds that text."


def test_it_finds_files(checkout: Path) -> None:
    assert answer(checkout, "find *.py") == "```\nsrc/main.py\n```"
    assert answer(checkout, "where is data?") == "```\nsrc/deep/data.bin\n```"
    assert answer(checkout, "find *.rs") == "No file has such a name."


def test_it_knows_the_branch_also_in_a_worktree_and_when_detached(checkout: Path) -> None:
    assert answer(checkout, "which branch?") == "The branch is feature/x."
    (checkout / ".git" / "HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert "HEAD is detached at 0123456789ab" in answer(checkout, "which branch is this?")
    tree = checkout.parent / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../checkout/.git/worktrees/tree\n")
    (checkout / ".git" / "worktrees" / "tree").mkdir(parents=True)
    (checkout / ".git" / "worktrees" / "tree" / "HEAD").write_text("ref: refs/heads/topic\n")
    assert answer(tree, "which branch?") == "The branch is topic."
    (tree / ".git").unlink()
    assert "not the top of a git checkout" in answer(tree, "which branch?")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../outside.txt", "outside this folder"),
        ("/etc/passwd", "outside this folder"),
        ("link", "outside this folder"),
        (".env", "is hidden"),
        (".git/HEAD", "is hidden"),
        ("src/../.env", "is hidden"),
        ("none.txt", "There is no none.txt here"),
        ("src/deep/data.bin", "no text that I can show (3 bytes)"),
        ("x" * 5000, "File name too long"),
        ("loop", "loop"),
        ("a\0b", "null"),
    ],
)
def test_it_tells_why_it_shows_nothing(checkout: Path, name: str, words: str) -> None:
    events = run(checkout, f"read {name}")
    assert [e["failed"] for e in events if e["type"] == "tool_result"] == [True]
    assert words in "".join(e["text"] for e in events if e["type"] == "text")


def test_secrets_in_hidden_files_are_not_found(checkout: Path) -> None:
    assert "SECRET" not in answer(checkout, "search TODO") + answer(checkout, "search SECRET")


def test_its_answers_are_bounded(checkout: Path) -> None:
    (checkout / "long.txt").write_text("y" * 5_000_000 + "\nz" * 10_000)
    for number in range(300):
        (checkout / f"many-{number}.log").touch()
    assert len(answer(checkout, "read long.txt")) < 1000
    lines = answer(checkout, "find *.log").splitlines()
    assert len(lines) == example_agent.MOST_LINES + 3
    assert lines[-2] == "… and more"


def test_otherwise_it_says_what_is_true_and_what_it_can_do(checkout: Path) -> None:
    text = answer(checkout, "hello!", message={"session_turns": 2})
    assert "We have talked 2 time(s) before." in text
    assert "I am in checkout, on branch feature/x: 4 files" in text
    assert example_agent.HELP in text
    assert answer(checkout, "help") == example_agent.HELP


def test_it_understands_a_message_in_its_frame(checkout: Path) -> None:
    framed = (
        '[BotCord Message] | from: Ann | to: ag_1\n<human-message sender="Ann" sender_kind="human">'
        "\nread README.md\n</human-message>\n\n[Answer NO_REPLY if nothing is needed.]"
    )
    assert "# Demo" in answer(checkout, framed)


def test_it_keeps_its_session(checkout: Path) -> None:
    first = run(checkout, "help")
    session = first[0]["id"]
    assert first[-1] == {"type": "result", "session": session}
    assert run(checkout, "help", session=session)[0] == {"type": "session", "id": session}


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[]\n", b"\xff\n"])
def test_it_refuses_what_is_no_job(checkout: Path, line: bytes) -> None:
    found = subprocess.run(
        [sys.executable, PROGRAM], input=line, cwd=checkout, capture_output=True, check=False
    )
    assert found.returncode == 2
    assert b"expects a job" in found.stderr


@pytest.mark.parametrize("job", ["{}", '{"prompt": 3}', '{"prompt": {}, "message": []}'])
def test_a_job_of_another_shape_is_answered(checkout: Path, job: str) -> None:
    found = subprocess.run(
        [sys.executable, PROGRAM],
        input=job,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout.splitlines()[-1])["type"] == "result"


async def test_it_runs_as_a_runtime(workshop: Any) -> None:
    (workshop.job.cwd / "README.md").write_text("# Here\n")
    options = {"command": [sys.executable, PROGRAM], "protocol": "ndjson"}
    prompt = type(workshop.job.prompt)("be kind", "read README.md")
    events = await workshop.events(command.build(options, workshop.host), prompt=prompt)
    assert isinstance(events[0], SessionStarted)
    kinds = [event.kind for event in events if isinstance(event, Block)]
    assert kinds == ["thinking", "tool_use", "tool_result", "assistant"]
    assert events[-1].text == "```\n# Here\n```"
