"""What the proofs share: how long they run, a world whose sidecar can be told to die, a crowd.

They run short with `make test`, and long with `make chaos` and `make soak`, which set
PROOFS_MINUTES: after so long, what has not begun is left out. What happens when follows from
PROOFS_SEED.
"""

import asyncio
import json
import math
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sidecar.devhub import DevHub, HubLimits
from tests import patience
from tests.journeys.conftest import World, opened

MINUTES = float(os.environ.get("PROOFS_MINUTES", "0"))
LONG = MINUTES > 0
SEED = int(os.environ.get("PROOFS_SEED", "1"))
HERE = Path(__file__).parent
FINAL = {"answered", "silent", "failed", "cancelled", "dropped", "merged"}
BEGAN = time.monotonic()
PATIENCE = 300.0 if LONG else patience.PATIENCE

LIMITS = HubLimits(
    sends_per_minute=1_000_000,
    sends_per_pair=1_000_000,
    typing_per_minute=1_000_000,
    lease=1.0,
    sweep=0.5,
    heartbeat=1.0,
)

CONFIG = """\
version: 1
state: {{dir: {folder}/state, journal_ttl: {ttl}}}
server: {{listen: "unix:{folder}/s.sock"}}
log: {{level: info, format: json}}
limits: {{stop_grace: 500ms, drain_timeout: 2s, queue_depth: 100000, concurrent_turns: {slots}}}
channels:
  demo: {{type: botcord, credentials: {folder}/demo.json, rate_limit: null, loop_guard: null,
    send_rate: {{total: 1000000/1m, per_conversation: 1000000/1m}}{hub}}}
{channels}runtimes:
  agent: {{type: command, command: [/bin/sh, {agent}], protocol: ndjson,
    env: {{VERSION: {version}}}}}
routes:
  - name: merging
    match: {{conversation: [{merging}]}}
    queue: coalesce
    <<: &answer
      runtime: agent
      cwd: {folder}/checkout
      args: [{version}]
      system_context: "system-{version};"
      user_turn: "user-{version}; {{{{ message.text }}}}"
default_route: *answer
"""

OTHER = "  other: {{type: botcord, credentials: {folder}/other.json{hub}}}\n"


class Proof(World):
    """A world with a crowd in ten rooms, two of which merge what waits, and an owner."""

    patience = PATIENCE
    silence = 3.0
    """Seconds after which the next sidecar gives up a socket on which the Hub says nothing."""

    def __init__(self, folder: Path, hub: DevHub) -> None:
        super().__init__(folder, hub)
        self.random = random.Random(SEED)
        self.said: dict[str, str] = {}
        self.version = "v0"
        other = folder / "other.json"
        other.write_text(json.dumps(hub.add_agent("other")))
        other.chmod(0o600)
        self.person = hub.add_person("Ann")
        members = [self.person, "demo"]
        self.rooms = [hub.add_room(f"Room {number}", members) for number in range(10)]
        self.merging = self.rooms[:2]
        self.hub_url = ""
        self.journal_ttl = "3650d"  # more than an hour: see `hurry` of the driver
        self.state = folder / "state"
        self.config.write_text(self.content(self.version))
        self.live()

    def content(self, version: str, *, other: bool = False, slots: int = 4) -> str:
        """A config that tells its version in all its parts."""
        hub = f", hub_url: {self.hub_url}" if self.hub_url else ""
        return CONFIG.format(
            folder=self.folder,
            ttl=self.journal_ttl,
            agent=HERE / "agent.sh",
            version=version,
            slots=slots,
            hub=hub,
            merging=", ".join(self.merging),
            channels=OTHER.format(folder=self.folder, hub=hub) if other else "",
        )

    def live(self, death: str = "-", times: int = 1) -> None:
        """Where the next sidecar dies by itself."""
        self.program = ("-m", "tests.proofs.driver", death, str(times), str(self.silence))
        # Where it dies is told to the module, before others take from there what they use.
        self.fresh = LONG or death != "-"

    def say(self, *, owner: bool = False) -> str:
        """Somebody says something somewhere; its number, which the answer holds."""
        number = f"{len(self.said):05}"
        if owner:
            message = self.hub.owner_says("demo", f"ask-{number};")
        else:
            room = self.random.choice(self.rooms)
            [message] = self.hub.say(self.person, room, f"ask-{number};")
        self.said[number] = message
        return number

    @property
    def answers(self) -> Counter[str]:
        """How often each number was answered, as the Hub has it."""
        return Counter(
            sent.text.partition(";")[0].removeprefix("done-")
            for sent in self.hub.sent
            if sent.text.startswith("done-")
        )

    @property
    def children(self) -> list[str]:
        """The processes that work here, or were started with something from here."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                cwd = str((process / "cwd").readlink())
                command = (process / "cmdline").read_text()
            except OSError:
                continue
            if int(process.name) != os.getpid() and str(self.folder) in cwd + command:
                found.append(f"{process.name} {command!r}")
        return found

    def journal(self, *, alive: bool = False) -> "JournalCopy":
        """The journal as whoever wrote to it left it, or as it is now for one that is `alive`."""
        return JournalCopy(self.state, alive=alive)

    async def settled(self) -> None:
        """Return when each message has an outcome and each reply is delivered."""
        deadline = asyncio.get_running_loop().time() + self.patience
        while (
            left := self.journal(alive=True).unsettled(self.said.values())
        ) or self.hub.unacknowledged("demo"):
            if asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"never settled: {left}\n{self.log.read_text()[-8000:]}")
            await asyncio.sleep(0.2)


class Turn(NamedTuple):
    """The turn of a message. `starts` are its attempts, and those of the turns that went on as it,
    which have left it their messages."""

    id: str
    state: str
    attempts: int
    starts: int


class JournalCopy:
    """What the journal held at one moment, read from a copy, so that nothing is mended in it. While
    a sidecar writes to it, a copy of its two files would be of two moments."""

    def __init__(self, state: Path, *, alive: bool = False) -> None:
        self.damaged = [path.name for path in state.glob("*.damaged-*")]
        self.turns: dict[str, Turn] = {}
        self.replies: Counter[str] = Counter()
        if not (state / "journal.db").exists():
            return
        if alive:
            with closing(sqlite3.connect(f"file:{state}/journal.db?mode=ro", uri=True)) as db:
                db.execute("begin")
                self._read(db)
            return
        with tempfile.TemporaryDirectory() as folder:
            for name in ("journal.db", "journal.db-wal"):
                if (state / name).exists():
                    shutil.copy(state / name, folder)
            with closing(sqlite3.connect(Path(folder) / "journal.db")) as db:
                self._read(db)

    def _read(self, db: sqlite3.Connection) -> None:
        verdict = db.execute("pragma integrity_check").fetchone()[0]
        if verdict != "ok":
            self.damaged.append(verdict)
        if not db.execute("select 1 from sqlite_master where name = 'turn'").fetchone():
            return
        before: dict[str, list[tuple[str, int]]] = {}
        for id_, attempts, heir in db.execute("select id, attempt, retried_as from turn"):
            before.setdefault(heir, []).append((id_, attempts))

        def earlier(turn: str) -> int:
            return sum(attempts + earlier(id_) for id_, attempts in before.get(turn, ()))

        rows = db.execute(
            "select message.key, turn.id, state, attempt from message"
            " join turn on turn.seq = message.turn"
        )
        self.turns = {
            json.loads(key)[2]: Turn(id_, state, attempts, attempts + earlier(id_))
            for key, id_, state, attempts in rows
        }
        self.replies.update(state for (state,) in db.execute("select state from reply"))

    def unsettled(self, messages: Any) -> list[str]:
        """The messages without an outcome, and how many replies wait."""
        ended = {id_ for id_, turn in self.turns.items() if turn.state in FINAL}
        return [*(set(messages) - ended), *(["replies"] if self.replies["pending"] else [])]


@pytest.fixture
async def make_proof(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    async with opened(tmp_path, Proof, LIMITS) as make:
        yield make


@pytest.fixture
async def proof(make_proof: Callable[[], Any]) -> Proof:
    found: Proof = await make_proof()
    return found


def seconds_left() -> float:
    """How long a long run may still take; a short one takes what it takes."""
    return max(0.0, BEGAN + 60 * MINUTES - time.monotonic()) if LONG else math.inf


def tell(name: str, **figures: object) -> None:
    """Show the figures of a proof, with `pytest -s`."""
    shown = " ".join(f"{key}={value}" for key, value in figures.items())
    sys.stdout.write(f"\n{name}: seed={SEED} {shown}\n")
