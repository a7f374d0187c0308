"""Reloads of a whole sidecar in this process, with a real Hub and real agents."""

import asyncio
import gc
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import logs, metrics, plugins
from sidecar.api import RuntimeType
from sidecar.app import status
from sidecar.app.checking.candidate import UNCHECKED, Candidate
from sidecar.app.connecting import channels, renewal
from sidecar.app.lifecycle.presence import Presence
from sidecar.app.lifecycle.server_token import ServerToken
from sidecar.app.reloading.outcome import Outcome
from sidecar.app.sidecar import Sidecar
from sidecar.app.turns import holding
from sidecar.app.turns.snapshot import RuntimeUse
from sidecar.app.watching.digests import Digests, digests
from sidecar.cli.running import ask
from sidecar.config.model import (
    Channel,
    Config,
    Limits,
    Log,
    Route,
    Runtime,
    Server,
    State,
    Template,
)
from sidecar.config.problems import Position, Problem
from sidecar.config.reloading import Reloading
from sidecar.devhub import DevHub, HubLimits
from sidecar.server.client import Refusal, fetch
from tests.patience import PATIENCE, until

FREE = "1000000/1m"
ECHO = ["sh", "-c", 'echo "$(tail -n 1)" "$@"', "sh"]
"""Answers with the last line of its prompt and with its arguments."""

# Importing a type reads its schema, which a test on a loop must not.
LOADED = (plugins.runtime_type("command"), plugins.channel_type("botcord"))


class Rig:
    """A sidecar whose config file is a value, and what it costs to reload it is nothing."""

    def __init__(self, folder: Path, hub: DevHub) -> None:
        self.hub = hub
        self.folder = folder
        credentials = folder / "demo.json"
        credentials.write_text(json.dumps(hub.add_agent("demo")))
        credentials.chmod(0o600)
        rates = {"total": FREE, "per_conversation": FREE}
        options = {"credentials": str(credentials), "agent": "demo", "send_rate": rates}
        self.config = Config(
            state=State(folder / "state"),
            server=Server(f"unix:{folder / 's.sock'}"),
            limits=Limits(drain_timeout=2.0, stop_grace=0.5, queue_depth=1000),
            channels={"demo": Channel("demo", "botcord", options, rate_limit=None)},
            runtimes={"a": Runtime("a", "command", {"command": ECHO, "protocol": "text"})},
            default_route=Route("default", "a", folder, queue="serial"),
        )
        self.problems: tuple[Problem, ...] = ()
        self.inputs: Digests = {}
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, path: Path, begun: object = None) -> Candidate:
        self.loads += 1
        config, problems, inputs = self.config, self.problems, self.inputs
        await self.gate.wait()
        usable = None if any(one.level == "error" for one in problems) else config
        return Candidate(usable, config, problems, {}, inputs)

    def generation(self, number: int) -> None:
        """Have the arguments of the runtime, those of the route and the prompt tell a number."""
        runtime, route = self.config.runtimes["a"], self.config.default_route
        assert route is not None
        template = Template("t", f"{number} {{{{ message.text }}}}")
        self.config = replace(
            self.config,
            runtimes={"a": replace(runtime, args=(f"{number}",))},
            default_route=replace(route, args=(f"{number}",), user_turn=template),
        )

    async def start(self) -> Sidecar:
        self.sidecar = Sidecar(self.folder / "config.yaml", self.config, {})
        await self.sidecar.__aenter__()
        self.sidecar.reloader._load = self.load
        await until(lambda: self.sidecar.channels.statuses()["demo"][1].state == "connected")
        return self.sidecar

    async def reload(self, **changes: Any) -> Outcome:
        self.config = replace(self.config, **changes)
        return await self.sidecar.reloader.reload("test")


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(renewal, "FIRST_WAIT", 600.0)
    monkeypatch.setattr(channels, "START_WITHIN", PATIENCE)
    hub = DevHub(limits=HubLimits(sends_per_minute=100_000, sends_per_pair=100_000))
    await hub.start()
    found = Rig(tmp_path, hub)
    await found.start()
    yield found
    await found.sidecar.__aexit__()
    await hub.stop()


def state(rig: Rig) -> tuple[object, ...]:
    """What must not change when a config is rejected."""
    sidecar = rig.sidecar
    channel = sidecar.channels.get("demo")
    assert channel is not None
    snapshot = sidecar.reloader.snapshot
    uses = {name: use.retired for name, use in snapshot.runtimes.items()}
    return snapshot, channel, channel.status.connection, uses, list(sidecar.channels.statuses())


class Closing:
    """A runtime that cannot run, but can be closed."""

    closed = retired = 0

    async def close(self) -> None:
        Closing.closed += 1

    async def retire(self) -> None:
        Closing.retired += 1


def build_closing(options: object, host: object) -> Any:
    return Closing()


def build_broken(options: object, host: object) -> Any:
    raise ValueError("no such thing as hunter2hunter2")


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> None:
    built = {
        "closing": RuntimeType("closing", {}, build_closing),
        "broken": RuntimeType("broken", {}, build_broken),
    }
    real = plugins.runtime_type
    monkeypatch.setattr(
        "sidecar.app.turns.snapshot.runtime_type", lambda name: built.get(name) or real(name)
    )


async def test_a_runtime_that_cannot_be_built_leaves_everything_as_it_was(
    rig: Rig, types: None
) -> None:
    before, runtimes, closed = state(rig), rig.config.runtimes, Closing.closed
    new = {"x": Runtime("x", "closing"), "y": Runtime("y", "broken")}
    outcome = await rig.reload(
        runtimes={**runtimes, **new}, secrets=frozenset({"hunter2hunter2"}), limits=Limits(output=1)
    )
    assert outcome.result == "rejected"
    assert outcome.problems == ("runtime y: cannot be built: no such thing as ***",)
    assert state(rig) == before
    await until(lambda: Closing.closed == closed + 1)
    assert (await rig.reload(runtimes=runtimes)).result == "applied"


async def test_a_channel_that_cannot_be_built_leaves_everything_as_it_was(
    rig: Rig, types: None
) -> None:
    before, channels, closed = state(rig), rig.config.channels, Closing.closed
    outcome = await rig.reload(
        channels={**channels, "x": Channel("x", "no-such-type")},
        runtimes={**rig.config.runtimes, "x": Runtime("x", "closing")},
        limits=Limits(concurrent_turns=1),
    )
    assert outcome.result == "rejected"
    assert outcome.problems[0].startswith("channel x: cannot be built: unknown channel type 'no")
    assert state(rig) == before
    await until(lambda: Closing.closed == closed + 1)
    rig.hub.owner_says("demo", "as before")
    await until(lambda: rig.hub.sent)
    assert rig.hub.connects("demo") == 1
    assert (await rig.reload(channels=channels)).result == "applied"


def elsewhere(rig: Rig) -> dict[str, Channel]:
    """The channels, with a file of credentials that is of another agent."""
    demo = rig.config.channels["demo"]
    wrong = {**demo.options, "agent": "somebody"}
    return {"demo": replace(demo, options=wrong)}


async def test_a_channel_that_does_not_start_is_as_it_was_and_so_is_all_else(rig: Rig) -> None:
    before, config = rig.sidecar.reloader.snapshot, rig.config
    outcome = await rig.reload(channels=elsewhere(rig), limits=Limits(output=1))
    assert outcome.result == "rejected"
    [problem] = outcome.problems
    assert problem.startswith("channel demo: does not start: ")
    assert problem.endswith("demo.json is of agent demo, not of somebody")
    assert rig.sidecar.reloader.snapshot is before
    await until(lambda: rig.hub.connects("demo") == 2)
    rig.hub.owner_says("demo", "as before")
    await until(lambda: rig.hub.sent)
    rig.config = config
    outcome = await rig.reload(
        channels={**config.channels, "new": elsewhere(rig)["demo"]}, limits=Limits(output=1)
    )
    assert outcome.problems[0].startswith("channel new: does not start: ")
    assert list(rig.sidecar.channels.statuses()) == ["demo"]
    told = rig.sidecar.status.degraded()
    assert told == "the saved config was rejected, an earlier one is in force"


async def test_all_but_what_does_not_start_is_kept_where_that_is_wanted(
    rig: Rig, types: None
) -> None:
    config, before = rig.config, state(rig)[1]
    outcome = await rig.reload(
        reload=Reloading(on_partial="keep"),
        channels={**config.channels, "new": elsewhere(rig)["demo"]},
        runtimes={**config.runtimes, "a": replace(config.runtimes["a"], type="broken")},
        limits=replace(config.limits, output=4096),
        secrets=frozenset({"hunter2hunter2"}),
    )
    assert outcome.result == "degraded"
    assert outcome.problems[0] == "runtime a: cannot be built: no such thing as ***"
    assert outcome.problems[1].startswith("channel new: does not start: ")
    assert [change.path for change in outcome.plan.changes] == [
        "limits.output", "reload.on_partial",
    ]  # fmt: skip
    kept = rig.sidecar.reloader.snapshot.config
    assert (kept.limits.output, kept.runtimes) == (4096, config.runtimes)
    assert list(rig.sidecar.channels.statuses()) == ["demo"]
    assert state(rig)[1] is before
    picture = await rig.sidecar.status.picture()
    assert picture["last_error"]["problems"] == outcome.problems  # type: ignore[index]
    told = rig.sidecar.status.degraded()
    assert told == f"the saved config is in force in part: {'; '.join(outcome.problems)}"
    assert picture["degraded"] == told
    assert (await rig.reload(channels=elsewhere(rig))).result == "degraded"
    rig.hub.owner_says("demo", "as before")
    await until(lambda: rig.hub.sent)
    assert (await rig.reload(channels=config.channels, runtimes=config.runtimes)).result in (
        "applied", "unchanged",
    )  # fmt: skip
    assert not rig.sidecar.status.degraded()


@pytest.fixture
async def own_log() -> AsyncIterator[None]:
    level = logging.getLogger().level
    yield
    await asyncio.to_thread(logs.shutdown)
    logging.getLogger().setLevel(level)


def lead(link: Path, to: str) -> None:
    """Have a link lead elsewhere, at once."""
    new = link.with_name("new")
    new.symlink_to(to)
    new.replace(link)


async def test_a_log_whose_file_cannot_be_opened_is_a_part_that_does_not_start(
    rig: Rig, own_log: None
) -> None:
    before, count = state(rig), metrics.value("log_failures_total")
    wrong, file = rig.folder / "demo.json" / "log", rig.folder / "logs" / "l"
    limits = replace(rig.config.limits, output=4096)
    outcome = await rig.reload(log=Log("warning", file=wrong), limits=limits)
    assert outcome.result == "rejected"
    assert outcome.problems[0].startswith("log file: cannot be opened: [Errno ")
    assert state(rig) == before
    outcome = await rig.reload(reload=Reloading(on_partial="keep"))
    assert (outcome.result, len(outcome.problems)) == ("degraded", 1)
    kept = rig.sidecar.reloader.snapshot.config
    assert (kept.limits.output, kept.log) == (4096, Log())
    assert metrics.value("log_failures_total") == count + 2
    # One that cannot be opened again on the way back does not keep the rest from coming back.
    await asyncio.to_thread((rig.folder / "real").mkdir)
    await asyncio.to_thread(lead, file.parent, "real")
    assert (await rig.reload(log=Log(file=file))).result == "applied"
    await asyncio.to_thread(lead, file.parent, "demo.json")
    outcome = await rig.reload(reload=Reloading(), log=Log(), channels=elsewhere(rig))
    assert outcome.problems[0].startswith("channel demo: does not start: ")
    assert metrics.value("log_failures_total") == count + 3
    rig.hub.owner_says("demo", "as before")
    await until(lambda: rig.hub.sent)


async def test_a_new_secret_is_kept_out_of_the_log_though_its_keys_stay(
    rig: Rig, own_log: None
) -> None:
    file = rig.folder / "l"
    await rig.reload(log=Log(format="text", file=file))
    await rig.reload(secrets=frozenset({"hunter2hunter2"}))
    logging.getLogger("sidecar.test").error("it is hunter2hunter2")
    await asyncio.to_thread(logs.shutdown)
    text = await asyncio.to_thread(file.read_text)
    assert ("it is ***" in text, "hunter2" in text) == (True, False)


async def test_without_a_new_runtime_its_routes_have_none_so_nothing_is_kept(
    rig: Rig, types: None
) -> None:
    before = state(rig)
    outcome = await rig.reload(
        reload=Reloading(on_partial="keep"),
        runtimes={**rig.config.runtimes, "new": Runtime("new", "broken")},
    )
    assert outcome.result == "rejected"
    assert state(rig) == before


async def test_a_channel_that_did_not_work_before_holds_up_no_change(rig: Rig) -> None:
    channel = elsewhere(rig)["demo"]
    rig.config = replace(rig.config, channels={"demo": channel})
    await rig.sidecar._apply(replace(rig.sidecar.reloader.snapshot, config=rig.config))
    await until(lambda: rig.sidecar.channels.statuses()["demo"][1].state == "stopped")
    rules = replace(channel, options={**channel.options, "stream": False}, rate_limit=None)
    outcome = await rig.reload(channels={"demo": rules})
    assert outcome.result == "applied"


async def test_a_runtime_that_goes_is_closed_and_one_that_stays_is_not(
    rig: Rig, types: None
) -> None:
    runtimes, closed = rig.config.runtimes, Closing.closed
    kept, gone = Runtime("kept", "closing"), Runtime("gone", "closing")
    await rig.reload(runtimes={**runtimes, "kept": kept, "gone": gone})
    await rig.reload(runtimes={**runtimes, "kept": kept})
    await until(lambda: Closing.closed == closed + 1)
    await rig.reload(runtimes={**runtimes, "kept": kept}, limits=Limits(output=4096))
    assert Closing.closed == closed + 1


async def test_a_runtime_that_goes_while_a_turn_runs_ends_what_waits_and_is_closed_by_the_turn(
    rig: Rig, types: None
) -> None:
    runtimes, closed, retired = rig.config.runtimes, Closing.closed, Closing.retired
    await rig.reload(runtimes={**runtimes, "gone": Runtime("gone", "closing")})
    running = holding.take(rig.sidecar.reloader.snapshot, "gone")
    await rig.reload(runtimes=runtimes)
    await until(lambda: Closing.retired == retired + 1)
    assert Closing.closed == closed
    holding.let_go(running, rig.sidecar.spawn)
    await until(lambda: Closing.closed == closed + 1)
    assert Closing.retired == retired + 1


async def test_what_fails_half_way_is_taken_back(rig: Rig) -> None:
    before, apply = state(rig), rig.sidecar.channels.apply
    failures = iter([RuntimeError("out of luck")])

    async def fails_once(wanted: Any, built: Any = None) -> None:
        for failure in failures:
            raise failure
        await apply(wanted, built)

    rig.sidecar.channels.apply = fails_once  # type: ignore[method-assign]
    rig.generation(7)
    outcome = await rig.reload()
    assert outcome.problems == ("RuntimeError: out of luck",)
    assert state(rig) == before
    rig.hub.owner_says("demo", "still here")
    await until(lambda: rig.hub.sent)
    assert not rig.hub.sent[0].text.startswith("7")


async def test_a_storm_of_triggers_leads_to_one_more_reload_with_the_last_bytes(rig: Rig) -> None:
    rig.gate.clear()
    reload = rig.sidecar.reloader.reload
    async with asyncio.TaskGroup() as group:
        first = group.create_task(reload("first"))
        await until(lambda: rig.loads == 1)
        rig.config = replace(rig.config, limits=replace(rig.config.limits, output=4096))
        others = [group.create_task(reload(f"{number}")) for number in range(20)]
        await asyncio.sleep(0)
        rig.gate.set()
    assert first.result().result == "unchanged"
    assert {id(other.result()) for other in others} == {id(others[0].result())}
    assert others[0].result().result == "applied"
    assert rig.loads == 2
    assert rig.sidecar.reloader.snapshot.config.limits.output == 4096


async def test_a_check_that_began_is_used_unless_somebody_asked_after_it(rig: Rig) -> None:
    reload, loads = rig.sidecar.reloader.reload, rig.loads
    checks: list[object] = []
    load = rig.load

    async def note(path: Path, begun: object = None) -> Candidate:
        checks.append(begun)
        return await load(path)

    rig.sidecar.reloader._load = note
    begun = asyncio.get_running_loop().create_future()
    await reload("file", begun)
    rig.gate.clear()
    async with asyncio.TaskGroup() as group:
        _ = group.create_task(reload("first"))
        await until(lambda: rig.loads == loads + 2)
        _ = group.create_task(reload("file", begun))
        await asyncio.sleep(0)
        _ = group.create_task(reload("by hand"))
        await asyncio.sleep(0)
        rig.gate.set()
    assert checks == [begun, None, None]


MISTAKE = Problem("wrong-value", "no such thing", Position("config.yaml", 3, 5), "limits.output")


async def held_by(*paths: Path) -> Digests:
    return await asyncio.to_thread(digests, paths)


async def test_who_shares_a_reload_is_told_what_that_led_to_and_not_another_change(
    rig: Rig,
) -> None:
    reloader = rig.sidecar.reloader
    rig.gate.clear()
    rig.problems = (MISTAKE,)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(reloader.reload("first"))
        await until(lambda: rig.loads == 1)
        second = group.create_task(reloader.reload("second"))
        await asyncio.sleep(0)
        smaller = replace(rig.config, limits=replace(rig.config.limits, output=4096))
        adopted = group.create_task(reloader.adopt("by hand", lambda _: smaller))
        await asyncio.sleep(0)
        third = group.create_task(reloader.reload("third"))
        await asyncio.sleep(0)
        rig.gate.set()
    assert adopted.result().result == "applied"
    assert third.result() is second.result() is not first.result()
    assert second.result().problems == ("config.yaml:3:5: limits.output: no such thing",)
    assert reloader.shortfall == "the saved config was rejected, an earlier one is in force"


async def test_with_a_mistake_all_that_matters_before_or_now_is_watched_until_it_is_mended(
    rig: Rig,
) -> None:
    reloader, here = rig.sidecar.reloader, rig.folder
    config, old, new = here / "config.yaml", here / "old.j2", here / "new.j2"
    rig.inputs = await held_by(config, old)
    await rig.reload()
    assert reloader.inputs == rig.inputs
    old.write_text("changed")
    rig.problems, rig.inputs = (MISTAKE,), await held_by(config, new)
    for _ in range(2):
        assert (await rig.reload()).result == "rejected"
        assert reloader.inputs == await held_by(config, old, new)
    rig.problems, rig.inputs = (replace(MISTAKE, code=UNCHECKED),), await held_by(config)
    assert (await rig.reload()).result == "rejected"
    assert reloader.unchecked
    assert reloader.inputs == await held_by(config, old, new)
    await reloader.adopt("by hand", lambda config: replace(config, limits=Limits(output=4096)))
    assert reloader.unchecked
    assert reloader.inputs == await held_by(config, old, new)
    rig.problems, rig.inputs = (), await held_by(config, new)
    assert (await rig.reload()).result != "rejected"
    assert not reloader.unchecked
    assert reloader.inputs == rig.inputs
    rig.problems, rig.inputs = (MISTAKE,), await held_by(config)
    await rig.reload()
    assert reloader.inputs == await held_by(config, new)


async def test_parts_that_stay_as_they_were_have_their_files_watched(rig: Rig) -> None:
    reloader, here = rig.sidecar.reloader, rig.folder
    config, old, new, last = (here / name for name in ("config.yaml", "old", "new", "last"))
    rig.inputs = await held_by(config, old)
    await rig.reload(reload=Reloading(on_partial="keep"))
    rig.inputs = await held_by(config, new)
    assert (await rig.reload(channels=elsewhere(rig))).result == "degraded"
    assert reloader.inputs.keys() == {config, old, new}
    rig.problems, rig.inputs = (MISTAKE,), await held_by(config, last)
    await rig.reload()
    assert reloader.inputs.keys() == {config, old, new, last}


async def test_new_credentials_are_used_though_the_saved_config_is_rejected(rig: Rig) -> None:
    await until(lambda: "token" in json.loads((rig.folder / "demo.json").read_text()))
    rig.hub.revoke_key("demo")
    rig.hub.revoke_token("demo")
    rig.hub.drop_sockets()
    await until(lambda: rig.sidecar.channels.statuses()["demo"][1].state == "stopped")
    (rig.folder / "demo.json").write_text(json.dumps(rig.hub.add_agent("demo")))
    rig.problems = (MISTAKE,)
    outcome = await rig.reload()
    assert outcome.result == "rejected"
    assert outcome.problems == ("config.yaml:3:5: limits.output: no such thing",)
    await until(lambda: rig.hub.connected("demo"))
    (rig.folder / "demo.json").write_text(json.dumps(rig.hub.add_agent("demo")))
    outcome = await rig.reload()
    assert outcome.result == "rejected"
    assert [one.path for one in outcome.plan.changes] == ["channels.demo.credentials"]
    assert rig.hub.connects("demo") == 3
    (rig.folder / "demo.json").write_text("{")
    outcome = await rig.reload()
    assert outcome.problems[0] == "config.yaml:3:5: limits.output: no such thing"
    assert outcome.problems[1].startswith("channel demo: goes on with its former credentials")


async def test_a_check_that_came_to_no_end_is_done_again_by_itself(rig: Rig) -> None:
    await rig.reload(reload=Reloading(debounce=0.01, poll=0.05))
    config = rig.folder / "config.yaml"
    rig.inputs, rig.problems = await held_by(config), (replace(MISTAKE, code=UNCHECKED),)
    loads = rig.loads
    assert (await rig.reload(limits=Limits(output=4096))).result == "rejected"
    await until(lambda: rig.loads >= loads + 3)
    rig.problems = ()
    await until(lambda: rig.sidecar.reloader.snapshot.config.limits.output == 4096)
    assert not rig.sidecar.status.degraded()


async def test_a_warning_of_a_config_that_is_in_force_is_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        found = [
            one.getMessage()
            for one in caplog.records
            if (one.name, one.levelno) == ("sidecar.app.reloading.reloaded", logging.WARNING)
        ]
        caplog.clear()
        return found

    late = replace(MISTAKE, level="warning", code="late", message="too late", path="routes[1]")
    rig.problems = (late,)
    outcome = await rig.reload(limits=Limits(output=4096))
    assert (outcome.result, outcome.problems) == ("applied", ())
    assert outcome.warnings == ("config.yaml:3:5: routes[1]: too late",)
    assert told() == [*outcome.warnings]
    picture = json.loads(json.dumps(await rig.sidecar.status.picture(), default=str))
    assert picture["reloads"][-1]["warnings"] == [*outcome.warnings]
    rig.problems = (MISTAKE, late)
    assert (await rig.reload()).warnings == ()
    await rig.sidecar.reloader.adopt("by hand", lambda config: config)
    moved = replace(late, position=Position("config.yaml", 4, 5), path="routes[2]")
    other = replace(late, message="much too late")
    rig.problems = (moved, other)
    assert len((await rig.reload(limits=Limits(output=8192))).warnings) == 2
    assert told() == ["config.yaml:3:5: routes[1]: much too late"]
    rig.problems = ()
    assert (await rig.reload()).warnings == ()
    rig.problems = (late,)
    await rig.reload()
    assert len(told()) == 1


async def test_one_line_tells_a_reload_and_nothing_secret(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    from sidecar.logs import _context

    facts: list[dict[str, object]] = []

    class Watch(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.msg.startswith("config applied"):
                facts.append(dict(_context.get()))
            return True

    watch = Watch()
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("sidecar.app.reloading.reloaded")
    logger.addFilter(watch)
    before = rig.sidecar.reloader.digest
    runtime = replace(rig.config.runtimes["a"], env={"TOKEN": "hunter2hunter2"})
    outcome = await rig.reload(
        runtimes={"a": runtime}, state=replace(rig.config.state, dir=Path("/"))
    )
    logger.removeFilter(watch)
    [line] = [record.getMessage() for record in caplog.records if record.name == logger.name
              and record.levelno == logging.INFO]  # fmt: skip
    assert line == "config applied (test): ~ state.dir, ~ runtimes.a.env.TOKEN"
    [told] = facts
    assert (told["old"], told["new"]) == (before, outcome.digest)
    assert told["changed"] == "~ state.dir, ~ runtimes.a.env.TOKEN"
    assert told["reload"] == "component, process"
    assert told["pending"] == "state.dir"
    assert "hunter2" not in caplog.text + repr(outcome) + repr(facts)


async def test_the_token_of_the_server_follows_unless_it_is_for_another_address(rig: Rig) -> None:
    here = f"unix:{rig.folder / 's.sock'}"

    async def save(server: Server | None) -> tuple[str, ...]:
        """What waits for a restart; a command is answered all the same, whatever is saved."""
        outcome = await rig.reload(server=server)
        assert (await asyncio.to_thread(ask, rig.config, "GET /status"))["pid"] == os.getpid()
        assert {one.reload for one in outcome.plan.changes if one.path in outcome.pending} <= {
            "process"
        }
        return outcome.pending

    assert await save(Server(here, "first")) == ()
    assert await save(Server(here, "second")) == ()
    with pytest.raises(Refusal, match="give the token"):
        await asyncio.to_thread(fetch, here, "GET /status", token="first")
    assert await save(Server("unix:/there", "second")) == ("server.listen",)
    assert await save(Server("unix:/there", "third")) == ("server.listen", "server.token")
    assert await save(None) == ("server",)
    await asyncio.to_thread(fetch, here, "GET /status", token="second")
    assert await save(Server(here, "third")) == ()
    rig.problems = (Problem("bad", "no", Position("config.yaml", 1, 1)),)
    outcome = await rig.reload(server=Server(here, "fourth"))
    assert (outcome.result, outcome.pending) == ("rejected", ())
    told = await asyncio.to_thread(ask, rig.config, "GET /status")
    assert told["reloads"][-1]["result"] == "rejected"


async def test_a_new_token_counts_once_commands_are_told_it(tmp_path: Path) -> None:
    counted = []

    class Told(Presence):
        def tell_token(self, token: str) -> None:
            counted.append(server.present())

    server = ServerToken(Server("unix:/s", "first"), Told(tmp_path))
    for token in ("first", "second", "second", ""):
        await server.follow(Server("unix:/s", token))
        assert server.present() == token
    assert counted == ["first", "second"]


async def test_what_needs_a_new_process_stays_pending_until_it_is_taken_back(rig: Rig) -> None:
    server = rig.config.server
    first = await rig.reload(server=Server("unix:/elsewhere"))
    assert (first.result, first.pending) == ("applied", ("server.listen",))
    assert (await rig.reload()).pending == ("server.listen",)
    assert (await rig.reload(server=server)).pending == ()


async def test_fifty_reloads_under_a_stream_of_messages_lose_and_double_nothing(rig: Rig) -> None:
    """And no turn sees two configurations: prompt, route and runtime tell the same number."""
    rig.generation(0)
    await rig.reload()
    connection = state(rig)[2]
    sent: list[str] = []
    saved = 0

    def is_ahead() -> bool:
        """Whether so much was said that a save is to come before more is."""
        return len(sent) > saved + 6 and saved < 50

    async def talk() -> None:
        for number in range(60):
            sent.append(f"m{number}")
            rig.hub.owner_says("demo", sent[-1])
            await until(lambda: len(rig.hub.sent) + 3 >= len(sent) and not is_ahead())

    async def save() -> None:
        nonlocal saved
        for number in range(1, 51):
            rig.generation(number)
            assert (await rig.reload()).result == "applied"
            saved, turns = number, len(rig.hub.sent)
            await until(
                lambda turns=turns: (
                    len(rig.hub.sent) > turns or len(rig.hub.sent) == 60 or is_ahead()
                )
            )

    async with asyncio.TaskGroup() as group:
        _ = group.create_task(talk()), group.create_task(save())
    await until(lambda: len(rig.hub.sent) >= 60)
    answers = [answer.text.split() for answer in rig.hub.sent]
    assert [answer[1] for answer in answers] == sent
    assert [answer for answer in answers if not answer[0] == answer[2] == answer[3]] == []
    assert len({answer[0] for answer in answers}) > 10
    assert rig.hub.connects("demo") == 1
    assert state(rig)[2] == connection
    assert rig.sidecar.reloader.snapshot.generation == 52


async def test_very_many_new_routes_are_no_work_of_the_collector_on_the_loop(rig: Rig) -> None:
    most, loop = {True: 0, False: 0}, threading.current_thread()

    def note(phase: str, _: object) -> None:
        here = threading.current_thread() is loop
        most[here] = max(most[here], gc.get_count()[0] if phase == "start" else 0)

    async def load(path: Path, begun: object = None) -> Candidate:
        routes = tuple(Route(f"r{number}", "a", rig.folder) for number in range(10_000))
        rig.config = replace(rig.config, routes=routes)
        return await rig.load(path, begun)

    rig.sidecar.reloader._load = load
    gc.callbacks.append(note)
    try:
        outcome = await rig.reload()
    finally:
        gc.callbacks.remove(note)
    assert outcome.result == "applied"
    assert most[True] < 10_000 <= most[False]


async def test_two_hundred_reloads_leave_descriptors_tasks_and_runtimes_flat(rig: Rig) -> None:
    def cost() -> tuple[int, int, int]:
        gc.collect()
        uses = sum(isinstance(found, RuntimeUse) for found in gc.get_objects())
        return len(list(Path("/dev/fd").iterdir())), len(asyncio.all_tasks()), uses

    def passes(name: str) -> bool:
        return name.startswith(("retire", "last good"))

    async def settled(number: int) -> tuple[int, int, int]:
        rig.generation(number)
        await rig.reload()
        await until(lambda: not [t for t in asyncio.all_tasks() if passes(t.get_name())])
        return cost()

    descriptors, tasks, uses = await settled(0)
    for number in range(1, 200):
        rig.generation(number)
        await rig.reload()
    descriptors_after, tasks_after, uses_after = await settled(200)
    assert uses_after <= uses  # those that an earlier test has left may go meanwhile
    # The HTTP connections that the channel and the Hub keep open may be a few more or fewer.
    assert abs(descriptors_after - descriptors) < 10
    assert abs(tasks_after - tasks) < 10
    assert len(rig.sidecar.reloader.history) == 10
    assert rig.hub.connects("demo") == 1


async def test_a_plan_changes_nothing(rig: Rig) -> None:
    before = state(rig)
    rig.generation(3)
    proposal = await rig.sidecar.reloader.plan(rig.folder / "other.yaml")
    assert [change.path for change in proposal.plan.changes] == [
        "default_route.args", "default_route.user_turn", "runtimes.a.args",
    ]  # fmt: skip
    assert state(rig) == before


def key_of(rig: Rig) -> str:
    return str(rig.sidecar.channels.get("demo")._parts.hub.key_id)  # type: ignore[union-attr]


async def test_credentials_that_were_replaced_are_used_at_once_and_those_that_fail_are_not(
    rig: Rig,
) -> None:
    file = rig.folder / "demo.json"

    def stored() -> dict[str, Any]:
        return dict(json.loads(file.read_text()))

    await until(lambda: "token" in stored())  # which it has written itself
    assert (await rig.reload()).result == "unchanged"
    assert rig.hub.connects("demo") == 1
    new = rig.hub.add_agent("demo")
    file.write_text(json.dumps(new))
    outcome = await rig.reload()
    assert outcome.result == "applied"
    assert [(one.path, one.reload) for one in outcome.plan.changes] == [
        ("channels.demo.credentials", "component")
    ]
    assert outcome.plan.unchanged["channels"] == 0
    assert (rig.hub.connects("demo"), key_of(rig)) == (2, new["keyId"])
    await until(lambda: "token" in stored())
    assert (await rig.reload()).result == "unchanged"
    strange = {**rig.hub.add_agent("other"), "agentId": "demo", "keyId": new["keyId"]}
    for broken, told in ((strange, "does not start"), ({**new, "keyId": ""}, "has no keyId")):
        file.write_text(json.dumps(broken))
        outcome = await rig.reload(limits=replace(rig.config.limits, queue_depth=len(told)))
        assert outcome.result == "degraded"
        assert told in outcome.problems[0]
        assert outcome.problems[0].startswith("channel demo: goes on with its former credentials")
        assert rig.sidecar.reloader.snapshot.config.limits.queue_depth == len(told)
        assert key_of(rig) == new["keyId"]
        await until(lambda: rig.hub.connected("demo"))
        rig.hub.owner_says("demo", told)
        await until(lambda told=told: rig.hub.sent and rig.hub.sent[-1].text == told)
    file.write_text(json.dumps(new))
    assert (await rig.reload()).result in ("applied", "unchanged")
    assert not rig.sidecar.status.degraded()


async def test_credentials_that_failed_are_tried_again_when_their_file_is_written_again(
    rig: Rig,
) -> None:
    file = rig.folder / "demo.json"

    def write(document: dict[str, Any]) -> None:
        file.write_text(json.dumps(document))
        os.utime(file, ns=(0, next(times)))

    times = iter(range(time.time_ns(), 0, -(10**9)))  # so new that the agent may become known
    await until(lambda: "token" in json.loads(file.read_text()))  # which it has written itself
    old, new = json.loads(file.read_text()), {**rig.hub.add_agent("demo"), "keyId": "k_unknown"}
    write(new)
    outcome = await rig.reload()
    assert (outcome.result, len(outcome.problems)) == ("degraded", 1)
    assert "404 key_not_found" in outcome.problems[0]
    await until(lambda: state(rig)[2])
    connection = state(rig)[2]
    again = await rig.reload(limits=replace(rig.config.limits, queue_depth=5))
    assert (again.result, again.problems) == ("degraded", outcome.problems)
    assert state(rig)[2] == connection
    write(new)
    assert (await rig.reload()).result == "degraded"
    await until(lambda: state(rig)[2] not in (None, connection))
    write(old)
    assert (await rig.reload()).result == "unchanged"
    write(rig.hub.add_agent("demo"))
    assert (await rig.reload()).result == "applied"


REFRESH = "/registry/agents/{agent}/token/refresh"


async def test_new_credentials_that_meet_a_hiccup_of_the_hub_are_tried_again_by_themselves(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, faults, history = rig.folder / "demo.json", rig.hub.faults, rig.sidecar.reloader.history
    await until(lambda: "token" in json.loads(file.read_text()))  # which it has written itself
    new = rig.hub.add_agent("demo")
    file.write_text(json.dumps(new))
    faults.add(REFRESH, status=503, times=1000)
    outcome = await rig.reload()
    assert outcome.result == "degraded"
    assert "the new ones fail for now, and are tried again after a while" in outcome.problems[0]
    await until(lambda: state(rig)[2])
    connection = state(rig)[2]
    again = await rig.reload(limits=replace(rig.config.limits, queue_depth=5))
    assert (again.result, again.problems) == ("degraded", outcome.problems)
    assert state(rig)[2] == connection
    monkeypatch.setattr(renewal, "FIRST_WAIT", 0.001)
    os.utime(file, (1.0, 1.0))
    assert (await rig.reload()).result == "degraded"
    left = faults.left
    await until(lambda: faults.left < left - 1)
    faults.clear()
    await until(lambda: history[-1].trigger == "credentials")
    assert (history[-1].result, key_of(rig)) == ("applied", new["keyId"])
    assert [one.path for one in history[-1].plan.changes] == ["channels.demo.credentials"]
    assert not rig.sidecar.status.degraded()
    # Those whose place others have taken are not tried any more.
    connects = rig.hub.connects("demo")
    await rig.sidecar._renewal._again("demo", renewal._Failed(new, "", passes=True))
    assert rig.hub.connects("demo") == connects


async def test_new_credentials_that_turn_out_to_be_refused_are_not_tried_any_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "FIRST_WAIT", 0.001)
    file, faults, history = rig.folder / "demo.json", rig.hub.faults, rig.sidecar.reloader.history
    await until(lambda: "token" in json.loads(file.read_text()))  # which it has written itself
    file.write_text(json.dumps({**rig.hub.add_agent("demo"), "keyId": "k_unknown"}))
    os.utime(file, (1.0, 1.0))  # so old that the agent will not become known
    faults.add(REFRESH, status=503, times=1000)
    assert "503" in (await rig.reload()).problems[0]
    faults.clear()
    await until(lambda: history[-1].trigger == "credentials")
    assert history[-1].result == "degraded"
    assert "tried again when their file changes: does not start" in history[-1].problems[0]
    await until(lambda: rig.hub.connected("demo"))
    await until(
        lambda: not [one for one in asyncio.all_tasks() if "credentials:" in one.get_name()]
    )


async def test_questions_about_a_disk_that_hangs_hold_up_no_turn(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()

    def digests_of(inputs: Digests) -> Digests:
        hangs.wait(PATIENCE)
        return dict.fromkeys(inputs)

    monkeypatch.setattr(status, "digests", digests_of)
    async with asyncio.TaskGroup() as group:
        for _ in range(40):  # more than there are threads
            group.create_task(rig.sidecar.status.picture())
        rig.hub.owner_says("demo", "hello")
        try:
            await until(lambda: rig.hub.sent)
        finally:
            hangs.set()
