"""Log lines that programs can parse, people can read, and nobody can forge."""

import asyncio
import io
import json
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sidecar import log_target, logs, metrics
from tests.patience import PATIENCE, until

log = logging.getLogger("sidecar.test")


@pytest.fixture(autouse=True)
def leave_no_logs() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logs.shutdown()
    logging.getLogger().setLevel(level)


class Stream(io.StringIO):
    """A stream that may be a terminal, and whose text survives."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def lines(stream: io.StringIO) -> list[str]:
    """All lines written, once logging has ended."""
    logs.shutdown()
    return stream.getvalue().splitlines()


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(stream)]


def fail(text: str) -> None:
    raise LookupError(text)


def hide(text: str) -> str:
    return text.replace("s3cret", "[redacted]")


def test_a_json_line_says_when_how_bad_where_and_what() -> None:
    logs.configure("info", "json", stream := Stream())
    log.warning("%d turns wait", 3)
    (entry,) = entries(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("ts"))
    assert entry == {"level": "warning", "logger": "sidecar.test", "msg": "3 turns wait"}


def test_a_text_line_says_when_how_bad_and_what() -> None:
    logs.configure("info", "text", stream := Stream())
    with logs.bound(turn="0a1b2c3d4e", room='Ann "the boss"'):
        log.info("started")
    (line,) = lines(stream)
    stamp, rest = line[:23], line[24:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", stamp)
    assert rest == 'INFO     started turn=0a1b2c3d4e room="Ann \\"the boss\\""'


def test_other_secrets_are_hidden_from_then_on_and_all_else_stays() -> None:
    logs.hide(hide)  # when nothing is configured
    logs.configure("info", "text", stream := Stream())
    log.info("it is s3cret")
    logs.hide(hide)
    log.info("it is s3cret")
    assert [line[33:] for line in lines(stream)] == ["it is s3cret", "it is [redacted]"]


@pytest.mark.parametrize(("terminal", "kind"), [(True, "text"), (False, "json")])
def test_auto_is_text_at_a_terminal_and_json_elsewhere(terminal: bool, kind: str) -> None:
    logs.configure("info", "auto", stream := Stream(terminal=terminal))
    log.info("hello")
    (line,) = lines(stream)
    assert line.startswith("{") == (kind == "json")


def test_levels_are_coloured_at_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    found = []
    for terminal, no_color in [(True, ""), (True, "1"), (False, "")]:
        monkeypatch.setenv("NO_COLOR", no_color)
        logs.configure("info", "text", stream := Stream(terminal=terminal))
        log.error("broken")
        found.append("\x1b[31mERROR" in lines(stream)[0])
    assert found == [True, False, False]


def test_a_level_that_is_not_asked_for_is_not_logged() -> None:
    logs.configure("warning", "json", stream := Stream())
    log.info("no")
    log.warning("yes")
    assert [entry["msg"] for entry in entries(stream)] == ["yes"]


async def test_bound_facts_are_in_every_line_of_the_task_and_no_other() -> None:
    logs.configure("info", "json", stream := Stream())

    async def turn(name: str) -> None:
        with logs.bound(turn=name, thread=None):
            await asyncio.sleep(0)
            log.info("outer")
            with logs.bound(attempt=2):
                log.info("inner")
            log.info("outer")

    with logs.bound(channel="ag_demo"):
        await asyncio.gather(turn("t1"), turn("t2"))
    log.info("after")
    found = await asyncio.to_thread(entries, stream)
    assert found[-1].get("context") is None
    for name in ("t1", "t2"):
        mine = [one for one in found[:-1] if one["context"]["turn"] == name]
        outer = {"channel": "ag_demo", "turn": name}
        assert [one["msg"] for one in mine] == ["outer", "inner", "outer"]
        assert [one["context"] for one in mine] == [outer, {**outer, "attempt": 2}, outer]


def test_a_number_is_told_as_such_unless_it_is_secret() -> None:
    stream = Stream()
    logs.configure("info", "json", stream, lambda text: text.replace("4711", "[redacted]"))
    with logs.bound(ms=12, code=4711):
        log.info("done")
    assert entries(stream)[0]["context"] == {"ms": 12, "code": "[redacted]"}


@pytest.mark.parametrize("shape", ["json", "text"])
def test_an_exception_is_logged_with_its_trace(shape: Any) -> None:
    logs.configure("info", shape, stream := Stream())
    try:
        fail("no\nsuch thing")
    except LookupError:
        log.exception("failed")
    if shape == "json":
        (entry,) = entries(stream)
        assert entry["exc"].startswith("Traceback")
        assert entry["exc"].endswith("LookupError: no\nsuch thing")
    else:
        first, *trace = lines(stream)
        assert first.endswith("failed")
        assert trace[-2:] == ["  LookupError: no", "  such thing"]
        assert all(line.startswith("  ") for line in trace)


def test_text_from_outside_can_forge_no_line_and_steer_no_terminal() -> None:
    logs.configure("info", "text", stream := Stream())
    with logs.bound(room="a\nb", thread="\x1b[2J"):
        log.info("hi\n2025-01-01 00:00:00.000 ERROR    forged\r\x1b[31m\x9b \u202e\u2028")
    (line,) = lines(stream)
    assert line.isprintable()
    assert "hi\\n2025" in line


@pytest.mark.parametrize("shape", ["json", "text"])
def test_a_secret_is_in_no_part_of_a_line(shape: Any) -> None:
    logs.configure("info", shape, stream := Stream(), hide)
    with logs.bound(token="s3cret"):
        try:
            fail("s3cret in an error")
        except LookupError:
            logging.getLogger("s3cret").exception("with %s", "s3cret", stack_info=True)
    written = "\n".join(lines(stream))
    assert "s3cret" not in written
    assert written.count("[redacted]") >= 3


@pytest.mark.parametrize("shape", ["json", "text"])
def test_a_secret_that_the_line_would_escape_is_found(shape: Any) -> None:
    key = '-----BEGIN "KEY"-----\nMIIé\n'
    logs.configure("info", shape, stream := Stream(), lambda text: text.replace(key, "[redacted]"))
    log.info("key: %s", key)
    written = "".join(lines(stream))
    assert "MII" not in written
    assert "[redacted]" in written


def test_a_log_file_is_for_the_owner_alone_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sidecar.log"
    for text in ("first", "second"):
        logs.configure("info", "auto", path)
        log.info(text)
        logs.shutdown()
    assert [json.loads(line)["msg"] for line in path.read_text().splitlines()] == [
        "first",
        "second",
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_log_file_is_rotated_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_target, "FILE_SIZE", 1000)
    path = tmp_path / "sidecar.log"
    logs.configure("info", "json", path)
    for number in range(100):
        log.info("line %d", number)
    logs.shutdown()
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["sidecar.log", "sidecar.log.1", "sidecar.log.2", "sidecar.log.3"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert "line 99" in path.read_text()


@pytest.mark.parametrize("how", ["removed", "moved", "its folder removed"])
def test_a_log_file_that_is_not_in_its_place_is_made_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "new" / "sidecar.log"
    logs.configure("info", "json", path)
    log.info("one")
    logs.configure("info", "json", path)  # what came before is written
    match how:
        case "removed":
            path.unlink()
        case "moved":
            path.rename(tmp_path / "moved")
        case _:
            shutil.rmtree(path.parent)
    log.info("two")
    log.info("three")
    logs.shutdown()
    assert [json.loads(line)["msg"] for line in path.read_text().splitlines()] == ["two", "three"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_until_a_log_file_can_be_made_anew_the_old_one_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sidecar.log"
    logs.configure("info", "json", path)
    path.parent.rename(tmp_path / "moved")
    path.parent.touch()
    log.info("one")
    logs.shutdown()
    assert '"one"' in (tmp_path / "moved" / "sidecar.log").read_text()


def test_lines_that_cannot_be_written_are_counted_and_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = metrics.value("log_write_failures_total")
    with suppress(OSError), Path("/dev/full").open("w") as full:
        logs.configure("info", "json", full)
        for number in range(3):
            log.info("%d", number)
        logs.shutdown()
    assert metrics.value("log_write_failures_total") == before + 3
    told = capsys.readouterr().err
    assert told == "sidecar: the log cannot be written: [Errno 28] No space left on device\n"


def test_a_new_configuration_replaces_the_old_one(tmp_path: Path) -> None:
    logs.configure("info", "json", first := Stream())
    log.info("one")
    logs.configure("error", "text", second := Stream(), hide)
    log.info("two")
    log.error("three s3cret")
    logs.shutdown()
    assert [json.loads(line)["msg"] for line in first.getvalue().splitlines()] == ["one"]
    assert [line[24:] for line in second.getvalue().splitlines()] == ["ERROR    three [redacted]"]


def test_lines_of_one_file_stay_in_order_when_it_is_configured_again(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.log"
    for round_ in range(5):
        logs.configure("info", "json", path)
        for number in range(200):
            log.info("%d", round_ * 200 + number)
    logs.shutdown()
    assert [int(json.loads(line)["msg"]) for line in path.read_text().splitlines()] == list(
        range(1000)
    )


def test_a_file_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    logs.configure("info", "json", stream := Stream())
    with pytest.raises(OSError, match=str(tmp_path)):
        logs.configure("error", "json", tmp_path)
    log.info("still here")
    assert [entry["msg"] for entry in entries(stream)] == ["still here"]


class Stuck(Stream):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Event()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.busy.set()
        assert self.go.wait(PATIENCE)
        return super().write(text)


async def test_a_stuck_target_stops_nobody_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MOST_WAITING", 10)
    logs.configure("info", "json", stream := Stuck())
    log.info("first")
    assert await asyncio.to_thread(stream.busy.wait, PATIENCE)
    for number in range(25):
        log.info("%d", number)
    stream.go.set()
    await until(lambda: stream.getvalue().count("\n") == 11)
    log.info("last")
    found = [entry["msg"] for entry in await asyncio.to_thread(entries, stream)]
    assert found[:11] == ["first", *map(str, range(10))]
    assert found[11].startswith("15 log lines were dropped")
    assert found[12:] == ["last"]


def test_shutdown_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FLUSH_TIMEOUT", 0.01)
    logs.configure("info", "json", stream := Stuck())
    log.info("stuck")
    logs.shutdown()
    stream.go.set()
    logs.shutdown()


def test_handlers_and_hooks_of_others_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = list(logging.getLogger().handlers)
    hooks = (sys.excepthook, threading.excepthook)
    for _ in range(2):
        logs.configure("info", "json", Stream())
    log.info("seen by both")
    logs.shutdown()
    assert logging.getLogger().handlers == before
    assert (sys.excepthook, threading.excepthook) == hooks
    assert "seen by both" in caplog.text


def run(script: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a program that logs to standard error; its exit code and its lines."""
    script = f"import logging, asyncio, threading\nfrom sidecar import logs\n{script}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_an_uncaught_exception_is_the_last_line() -> None:
    code, (line,) = run("logs.configure()\nraise LookupError('it broke')")
    assert code == 1
    assert (line["level"], line["msg"]) == ("critical", "uncaught exception")
    assert line["exc"].endswith("LookupError: it broke")


def test_an_uncaught_exception_of_a_thread_is_logged() -> None:
    code, (line,) = run(
        "logs.configure()\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='worker')\n"
        "thread.start()\nthread.join()"
    )
    assert code == 0
    assert (line["level"], line["msg"]) == ("critical", "uncaught exception in worker")
    assert "ZeroDivisionError" in line["exc"]


def test_an_exception_of_the_event_loop_is_logged() -> None:
    code, (line,) = run(
        "logs.configure()\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())"
    )
    assert code == 0
    assert (line["level"], line["logger"]) == ("error", "asyncio")
    assert "ZeroDivisionError" in line["exc"]


def test_lines_are_written_when_the_program_ends_without_shutdown() -> None:
    _, found = run("logs.configure()\nfor n in range(500): logging.warning('%d', n)")
    assert [line["msg"] for line in found] == [str(number) for number in range(500)]


def test_a_reader_that_has_gone_stops_nobody(tmp_path: Path) -> None:
    script = (
        "import logging, pathlib\nfrom sidecar import logs\nlogs.configure()\n"
        "for n in range(100): logging.warning('%d', n)\nlogs.shutdown()\n"
        f"pathlib.Path({str(tmp_path / 'done')!r}).touch()"
    )
    reading, writing = os.pipe()
    os.close(reading)
    subprocess.run([sys.executable, "-c", script], stderr=writing, timeout=PATIENCE)
    os.close(writing)
    assert (tmp_path / "done").exists()


def test_arguments_that_do_not_fit_lose_no_line_and_show_nothing() -> None:
    code, (line,) = run("logs.configure()\nlogging.warning('%d turns', 's3cret')")
    assert code == 0
    assert line["msg"] == "%d turns (its arguments cannot be shown: TypeError)"


def test_text_that_cannot_be_encoded_is_logged_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configured = f"logs.configure('info', {{!r}}, pathlib.Path({str(path)!r}))"
    said = "logging.warning('half \\ud83d of a pair')"
    code, found = run(
        f"import pathlib\n{configured.format('text')}\n{said}\n{configured.format('json')}\n{said}"
    )
    assert (code, found) == (0, [])
    text, json_line = path.read_text("utf-8").splitlines()
    assert text.endswith("half \\ud83d of a pair")
    assert json.loads(json_line)["msg"] == "half \ud83d of a pair"
