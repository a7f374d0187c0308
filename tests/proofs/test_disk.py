"""Whatever the disk does, what cannot be kept is not acknowledged, and nothing that was is lost."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.proofs.conftest import HERE, LONG, PATIENCE, SEED, Proof, seconds_left, tell

COUNT = 40 if LONG else 2
"""Messages before a fault, during it and after it."""
ROUNDS = 20 if LONG else 1
KINDS = ("read-only", "full", "errors") if LONG else ("read-only",)


class Disk:
    """What is wrong with the disk below the state folder of a proof."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.fail("")

    def fail(self, how: str) -> None:
        """Let it fail from now on, or, with an empty text, work again."""
        self._file.write_text(how)


def say(proof: Proof, count: int = COUNT) -> list[str]:
    """Somebody says something, so many times; the messages."""
    return [proof.said[proof.say()] for _ in range(count)]


async def answered(proof: Proof) -> None:
    """Return when everything is answered and acknowledged; each once."""
    async with asyncio.timeout(PATIENCE):
        while sum(proof.answers.values()) < len(proof.said) or proof.hub.unacknowledged("demo"):
            await asyncio.sleep(0.05)
    assert {number: proof.answers[number] for number in proof.said} == dict.fromkeys(proof.said, 1)


async def refused(proof: Proof, fail: Callable[[], None]) -> None:
    """Have the disk fail under load; return when the sidecar says so, and has acknowledged nothing
    that was said since."""
    say(proof)
    await asyncio.to_thread(fail)
    during: list[str] = []

    async def reason() -> str:
        during.extend(say(proof, 2))
        await asyncio.sleep(0.05)
        told = await proof.status()
        return str(told["channels"]["demo"]["reason"])

    async with asyncio.timeout(PATIENCE):
        while "cannot be kept" not in await reason():
            pass
    await asyncio.sleep(0.3)  # whatever it acknowledges wrongly, it does so soon
    kept = proof.journal().turns
    left = set(proof.hub.unacknowledged("demo"))
    assert set(during[-2:]) <= left, "not kept, but acknowledged"
    assert set(proof.said.values()) - left <= set(kept), "acknowledged, but not in the journal"


@pytest.fixture
async def proof(proof: Proof) -> Proof:
    del proof.rooms[:2]  # in these, several messages get one answer
    return proof


@pytest.fixture
def disk(proof: Proof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a disk that fails")
    library = tmp_path / "disk.so"
    argv = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "disk.c")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the disk that fails cannot be made: {done.stderr}")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("DISK", str(proof.folder / "state"))
    monkeypatch.setenv("DISK_FAULT", str(tmp_path / "fault"))
    return Disk(tmp_path / "fault")


@pytest.mark.timeout(1200 if LONG else 180)
async def test_what_a_failing_disk_does_not_take_stays_with_the_hub(
    proof: Proof, disk: Disk
) -> None:
    await proof.start()
    for kind in KINDS:
        await refused(proof, partial(disk.fail, kind))
        disk.fail("")
        await answered(proof)
    disk.fail("slow")
    say(proof)
    await answered(proof)
    tell("failing disk", messages=len(proof.said), answered=sum(proof.answers.values()))
    assert await proof.stop() == 0
    told = proof.log.read_text()
    assert "the journal cannot be written" in told
    assert "task accept failed" not in told


SMALL = """
import os, sys
state, *command = sys.argv[1:]
script = 'mkdir -p "$0" && mount -t tmpfs -o size=3m none "$0" && exec "$@"'
os.execvp("unshare", ["unshare", "-rm", "sh", "-c", script, state, sys.executable, *command])
"""
"""Runs a sidecar with a small disk of its own."""


def mounts() -> bool:
    argv = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def fill(folder: Path) -> None:
    """Leave nothing free on a disk."""
    piece = 1 << 20
    with (folder / "filler").open("wb", buffering=0) as file:
        while piece:
            try:
                file.write(b"x" * piece)
            except OSError:
                piece //= 2


@pytest.mark.timeout(1200 if LONG else 180)
async def test_a_full_disk_is_said_and_when_there_is_room_it_goes_on(
    proof: Proof, tmp_path: Path
) -> None:
    if not await asyncio.to_thread(mounts):
        pytest.skip("this user may not mount a small disk in a namespace")
    starter = tmp_path / "small.py"
    starter.write_text(SMALL)
    proof.program = (str(starter), str(proof.folder / "state"), *proof.program)
    await proof.start()
    assert proof.process is not None
    proof.state = Path(f"/proc/{proof.process.pid}/root{proof.folder}/state")
    await refused(proof, lambda: fill(proof.state))
    (proof.state / "filler").unlink()
    await answered(proof)
    tell("full disk", messages=len(proof.said), answered=sum(proof.answers.values()))
    assert await proof.stop() == 0
    assert "full" in proof.log.read_text()


@pytest.mark.skipif(not LONG, reason="a start takes a while")
async def test_a_start_on_a_read_only_disk_is_refused(proof: Proof) -> None:
    if not await asyncio.to_thread(mounts):
        pytest.skip("this user may not mount anything in a namespace")
    state = proof.folder / "state"
    state.mkdir()
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    argv = ["unshare", "-rm", "sh", "-c", script, str(state)]
    argv += [sys.executable, "-m", "sidecar", "run", str(proof.config)]
    run = partial(subprocess.run, argv, capture_output=True, text=True, check=False)
    done = await asyncio.to_thread(run)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr


def deleted(state: Path) -> None:
    for path in state.glob("journal.db*"):
        path.unlink()


def log_deleted(state: Path) -> None:
    (state / "journal.db-wal").unlink(missing_ok=True)


def folder_deleted(state: Path) -> None:
    shutil.rmtree(state, ignore_errors=True)  # what comes back meanwhile stays


def emptied(state: Path) -> None:
    with suppress(FileNotFoundError):  # the one before is not made good yet
        os.truncate(state / "journal.db", 0)


def overwritten(state: Path) -> None:
    with suppress(FileNotFoundError), (state / "journal.db").open("r+b") as file:
        file.write(os.urandom(max(8192, os.fstat(file.fileno()).st_size)))


LOSSES = [deleted, log_deleted, folder_deleted, emptied, overwritten]


@pytest.mark.timeout(1200 if LONG else 180)
async def test_a_journal_that_is_lost_or_damaged_under_it_loses_no_message(proof: Proof) -> None:
    plan, began = random.Random(SEED), time.monotonic()
    await proof.start()
    losses = [one for _ in range(ROUNDS) for one in LOSSES]
    for lose in losses:
        say(proof)
        await asyncio.sleep(plan.uniform(0.0, 0.4))
        await asyncio.to_thread(lose, proof.state)
        say(proof)
        await asyncio.sleep(plan.uniform(0.0, 0.4))
        if plan.random() < 0.3:
            await answered(proof)
        if not seconds_left():
            break
    await answered(proof)
    await proof.until(lambda: "was written again" in proof.log.read_text())
    text = proof.log.read_text()
    await proof.kill()
    await proof.start()
    say(proof)
    await answered(proof)
    assert await proof.stop() == 0
    tell(
        "lost journals",
        losses=len(losses),
        written_again=text.count("it was written again"),
        set_aside=text.count("it was moved to"),
        messages=len(proof.said),
        answered=sum(proof.answers.values()),
        seconds=round(time.monotonic() - began),
    )
