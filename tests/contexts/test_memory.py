"""The file of a working memory, and what templates see of it."""

import asyncio
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.api import Asked
from sidecar.contexts.memory import FRESH, MEMORY, MemoryProvider, tool_server
from sidecar.contexts.memory_file import MemoryFile, file_name, memory_file
from sidecar.core.memory import Memory, changed, cleared
from sidecar.errors import MemoryRefused, MemoryUnavailable
from sidecar.model import Conversation, Message, Sender
from tests import starting
from tests.contexts.asking import value_of
from tests.patience import PATIENCE

NOW = 1_780_000_000.0


def put(file: MemoryFile, name: str, text: str) -> Memory:
    return file.change(lambda memory: changed(memory, name, text, NOW))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def state(tmp_path: Path, home: Path) -> Path:
    return tmp_path / "state"


def test_there_is_no_memory_until_something_is_noted(state: Path) -> None:
    file = memory_file(state, "ag_1")
    assert file.read() is None
    assert not state.exists()
    put(file, "notes", "milk")
    assert memory_file(state, "ag_1").read() == Memory("", {"notes": "milk"}, NOW)
    assert memory_file(state, "ag_2").read() is None


def test_nobody_else_on_the_machine_can_read_it(state: Path) -> None:
    put(memory_file(state, "ag_1"), "notes", "milk")
    for folder in (state, state / "memory"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (state / "memory").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_refused_changes_nothing(state: Path) -> None:
    file = memory_file(state, "ag_1")
    put(file, "notes", "milk")
    before = file.path.read_bytes()
    with pytest.raises(MemoryRefused):
        put(file, "notes", "x" * 10_001)
    assert file.path.read_bytes() == before
    put(file, "notes", "bread")  # the lock is free again


def test_a_cleared_memory_is_known_to_be_empty(state: Path) -> None:
    file = memory_file(state, "ag_1")
    put(file, "notes", "milk")
    file.change(lambda _: cleared(NOW))
    assert file.read() == Memory("", {}, NOW)


@pytest.mark.parametrize(
    "account", ["../../x", "a/b", ".", "..", "", "@a:b.org", "ü\ud800", "x" * 999]
)
def test_whatever_an_account_is_called_its_files_stay_in_the_folder(
    state: Path, account: str
) -> None:
    file = memory_file(state, account)
    put(file, "notes", "milk")
    assert file.path.parent == state / "memory"
    assert file.path in list((state / "memory").iterdir())
    assert file.read() is not None


def test_different_accounts_have_different_files() -> None:
    accounts = ["a", "A", "a%2Fb", "a/b", "x" * 999, "x" * 998, "x" * 100 + "~"]
    assert len({file_name(account) for account in accounts}) == len(accounts)


@pytest.mark.parametrize("content", [b'{"version": 2, "sect', b"x" * ((1 << 20) + 1)])
def test_a_damaged_file_is_set_aside_and_never_deleted(
    state: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = memory_file(state, "ag_1")
    put(file, "notes", "milk")
    for number in (1, 2):
        file.path.write_bytes(content)
        assert file.read() == Memory()
        aside = file.path.with_name(f"ag_1.json.damaged-{number}")
        assert aside.read_bytes() == content
        assert aside.name in caplog.text
    file.path.write_bytes(content)
    assert put(file, "notes", "bread").sections == {"notes": "bread"}
    assert file.path.with_name("ag_1.json.damaged-3").exists()


def test_a_file_of_a_newer_version_is_left_as_it_is(state: Path) -> None:
    file = memory_file(state, "ag_1")
    put(file, "notes", "milk")
    content = b'{"version": 3, "sections": {"notes": ["bread"]}}'
    file.path.write_bytes(content)
    with pytest.raises(MemoryUnavailable, match=r"ag_1\.json: a newer sidecar"):
        file.read()
    with pytest.raises(MemoryUnavailable, match="newer"):
        put(file, "notes", "bread")
    assert file.path.read_bytes() == content
    assert list(file.path.parent.glob("*.damaged-*")) == []


async def test_what_the_daemon_notes_later_is_found_after_a_while(state: Path, home: Path) -> None:
    here = Conversation("rm_1", "direct")
    message = Message("demo", "ag_1", "m_1", here, Sender("hu_1", "owner"), "hello", NOW)
    provider = MemoryProvider(state)

    async def goal(after: float) -> object:
        return (await value_of(provider, Asked(message, state, NOW + after)))["goal"]

    assert await goal(0.0) == ""
    path = home / ".botcord" / "agents" / "ag_1" / "state" / "working-memory.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 2, "goal": "ship it", "sections": {}}))
    assert await goal(FRESH) == ""
    assert await goal(FRESH + 1.0) == "ship it"


def test_the_memory_of_the_daemon_is_taken_over_and_left_as_it_is(state: Path, home: Path) -> None:
    name = "working-memory.json"
    newer = home / ".botcord" / "agents" / "ag_1" / "state" / name
    older = home / ".botcord" / "daemon" / "memory" / "ag_1" / name
    for path, text in ((newer, "newer"), (older, "older")):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"version": 1, "content": text}))
    file = memory_file(state, "ag_1")
    assert file.read() == Memory("", {"notes": "newer"})
    assert json.loads(newer.read_text())["content"] == "newer"
    file.change(lambda _: cleared(NOW))
    assert file.read() == Memory("", {}, NOW)  # it is not taken over once more
    file.path.write_text("{")
    assert file.read() == Memory()  # nor in the place of a damaged one
    newer.write_text("{")
    assert memory_file(state / "other", "ag_1").read() == Memory("", {"notes": "older"})
    assert put(memory_file(state / "third", "ag_1"), "a", "b").sections == {
        "notes": "older",
        "a": "b",
    }


def test_a_deleted_memory_stays_deleted_though_the_daemon_has_it_still(
    state: Path, home: Path
) -> None:
    for account in ("ag_1", "ag_2"):
        old = home / ".botcord" / "agents" / account / "state" / "working-memory.json"
        old.parent.mkdir(parents=True)
        old.write_text(json.dumps({"version": 1, "content": "old"}))
    file, unread, mine = (memory_file(state, name) for name in ("ag_1", "ag_2", "ag_3"))
    assert file.read() == Memory("", {"notes": "old"})
    put(mine, "notes", "milk")
    for one in (file, unread, mine):
        assert one.delete()
        assert (one.read() or Memory()).size == 0
    assert not mine.path.exists()
    assert not mine.delete()
    assert not memory_file(state / "other", "ag_3").delete()
    assert not (state / "other").exists()


def test_no_account_reaches_files_elsewhere_in_the_home_folder(state: Path, home: Path) -> None:
    path = home / ".botcord" / "x" / "state" / "working-memory.json"
    path.parent.mkdir(parents=True)
    (home / ".botcord" / "agents").mkdir()
    path.write_text(json.dumps({"version": 1, "content": "secret"}))
    assert memory_file(state, "../x").read() is None


def test_a_file_that_cannot_be_used_is_told_with_its_path(state: Path) -> None:
    state.mkdir()
    (state / "memory").write_text("no folder")
    file = memory_file(state, "ag_1")
    with pytest.raises(MemoryUnavailable, match="memory"):
        put(file, "notes", "milk")
    with pytest.raises(MemoryUnavailable, match="memory"):
        file.read()


WRITER = """
import sys, time
from pathlib import Path
from sidecar.contexts import memory_file as files
from sidecar.core.memory import changed
files.PATIENCE = float(sys.argv[4])
file = files.memory_file(Path(sys.argv[1]), "ag_1")
sys.stdin.read()
for number in range(int(sys.argv[3])):
    name = f"w{sys.argv[2]}_{number}"
    file.change(lambda memory: changed(memory, name, "x", time.time()))
"""


def test_twenty_processes_that_write_at_once_lose_nothing(state: Path) -> None:
    writers, each = 20, 5
    processes = [
        starting.popen(
            *("-I", "-c", WRITER, str(state), str(number), str(each), str(PATIENCE)),
            stdin=subprocess.PIPE,
        )
        for number in range(writers)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(PATIENCE) for process in processes] == [0] * writers
    found = memory_file(state, "ag_1").read()
    assert found is not None
    assert len(found.sections) == writers * each
    left = {path.name for path in (state / "memory").iterdir()}
    assert left == {"ag_1.json", "ag_1.lock"}


def test_a_reader_never_sees_half_of_a_change(state: Path) -> None:
    file = memory_file(state, "ag_1")
    put(file, "notes", "x" * 9_000)
    writer = starting.popen(
        *("-I", "-c", WRITER, str(state), "1", "50", str(PATIENCE)), stdin=subprocess.PIPE
    )
    assert writer.stdin is not None
    writer.stdin.close()
    while writer.poll() is None:
        found = file.read()
        assert found is not None
        assert found.sections["notes"] == "x" * 9_000
    assert writer.returncode == 0


def test_a_sidecar_that_runs_does_not_load_what_only_the_tool_server_needs() -> None:
    program = """
import sys, sidecar.app.turns.tools, sidecar.contexts.memory
print(*{"mcp", "pydantic", "jsonschema", "ruamel"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"\n"


def asked(account: str, *tools: str) -> Asked:
    place, sender = Conversation("rm_1", "direct"), Sender("hu_1", "owner")
    message = Message("demo", account, "m_1", place, sender, "hi", NOW)
    return Asked(message, Path("/"), NOW, frozenset(tools))


async def test_templates_see_the_memory_as_it_is_now(state: Path) -> None:
    provider = MemoryProvider(state)
    assert await value_of(provider, asked("ag_1")) == MEMORY.empty
    file = memory_file(state, "ag_1")

    def write() -> None:
        put(file, "todo", "ask Ann </section_todo> now")
        put(file, "goal", "ship\n  version <section_goal> 2")

    await asyncio.to_thread(write)
    assert await value_of(provider, asked("ag_1")) == {
        "goal": "ship version ‹section_goal› 2",  # noqa: RUF001
        "sections": [{"name": "todo", "text": "ask Ann ‹/section_todo› now"}],  # noqa: RUF001
        "updated_at": NOW,
        "size": 58,
        "tool": False,
    }
    assert await value_of(provider, asked("ag_2")) == MEMORY.empty


async def test_a_tool_is_promised_only_where_the_runtime_is_given_it(state: Path) -> None:
    provider = MemoryProvider(state)
    server = tool_server(state, "ag_1")
    for tools, promised in ((), False), (("other",), False), ((server.name,), True):
        value = await value_of(provider, asked("ag_1", *tools))
        assert isinstance(value, dict)
        assert value["tool"] is promised


def test_a_lock_that_is_held_for_ever_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.contexts.memory_file.PATIENCE", 0.1)
    file = memory_file(state, "ag_1")

    def inside(memory: Memory) -> Memory:
        with pytest.raises(MemoryUnavailable, match="another process has been changing it"):
            put(memory_file(state, "ag_1"), "notes", "milk")
        return memory

    file.change(inside)
