"""Editing config.yaml and saving while it runs."""

import asyncio
import json
import signal
import time
from typing import Any


async def test_a_saved_route_takes_effect_and_the_connection_stays(world: Any) -> None:
    await world.start()
    before = (await world.status())["channels"]["demo"]["connection"]
    world.write(
        **{"trust: owner": "trust: public"}
        if "trust: owner" in world.text
        else {"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"}
    )
    await world.until(lambda: "config applied" in world.log.read_text())
    world.hub.owner_says("demo", "job trust")
    assert await world.replies(1) == ['"public"']
    assert (await world.status())["channels"]["demo"]["connection"] == before
    assert world.hub.connects("demo") == 1


async def test_a_token_that_the_sidecar_stores_is_no_save_and_a_new_key_is(world: Any) -> None:
    await world.start()
    stored = world.folder / "demo.json"
    before = stored.read_bytes()
    world.hub.revoke_token("demo")
    world.hub.owner_says("demo", "say with a new token")
    await world.replies(1)
    await world.until(lambda: stored.read_bytes() != before)
    looked = time.time()
    for _ in range(3):  # one that may have begun before, one, and one after what comes of it
        while (last := (await world.status())["watcher"]["looked_at"] or 0) <= looked:
            (world.folder / "bell").touch()
            await asyncio.sleep(0.02)
        looked = last
    assert (await world.status())["reloads"] == []
    stored.write_text(json.dumps(world.hub.add_agent("demo")))
    await world.until(lambda: world.hub.connects("demo") == 2)
    await world.until(lambda: "~ channels.demo.credentials" in world.log.read_text())
    world.config.write_text("version: [")
    await world.until(lambda: "config rejected" in world.log.read_text())
    stored.write_text(json.dumps(world.hub.add_agent("demo")))
    await world.until(lambda: world.hub.connects("demo") == 3)


async def test_a_mistake_is_told_with_its_place_and_changes_nothing(world: Any) -> None:
    await world.start()
    world.write(**{"runtime: agent": "runtime: agnet"})
    await world.until(lambda: "did you mean" in world.log.read_text())
    world.hub.owner_says("demo", "say as before")
    assert await world.replies(1) == ["as before"]
    picture = await world.status()
    assert picture["reloads"][-1]["result"] == "rejected"


async def test_a_running_turn_finishes_as_it_began(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"})
    await world.until(lambda: "config applied" in world.log.read_text())
    world.touch("go")
    assert await world.replies(1) == ["waited for go"]


async def test_a_removed_channel_is_closed_and_a_new_one_is_opened(world: Any) -> None:
    await world.start()
    world.write(
        **{
            "channels:\n  demo:": "channels:\n  demo2:",
            "    type: botcord\n": ("    type: botcord\n    agent: demo\n"),
        }
    )
    await world.until(lambda: world.hub.connects("demo") == 2)
    world.hub.owner_says("demo", "say from the new one")
    assert await world.replies(1) == ["from the new one"]
    assert world.hub.connected("demo") == 1


async def test_a_credentials_file_in_the_discovery_folder_becomes_a_channel_live(
    world: Any,
) -> None:
    folder = world.folder / "found"
    folder.mkdir()
    world.write(
        **{"runtimes:": f"discovery: {{botcord: {{credentials_dir: {folder}}}}}\nruntimes:"}
    )
    await world.start()
    file = folder / "other.json"
    file.touch(0o600)
    file.write_text(json.dumps(world.hub.add_agent("other")))
    await world.until(lambda: world.hub.connected("other") == 1)
    world.hub.owner_says("other", "say found")
    assert await world.replies(1) == ["found"]
    file.unlink()
    await world.until(lambda: world.hub.connected("other") == 0)


async def test_a_secret_that_a_save_brings_is_kept_out_of_the_log(world: Any) -> None:
    secret = world.folder / "secret"
    secret.write_text("hunter2hunter2")
    await world.start()
    world.write(**{"protocol: ndjson}": f"protocol: ndjson, args: ['${{file:{secret}}}']}}"})
    await world.until(lambda: "config applied" in world.log.read_text())
    world.hub.owner_says("demo", "exit hunter2hunter2")
    await world.replies(1)
    await world.until(lambda: "***" in world.log.read_text())
    assert "hunter2hunter2" not in world.log.read_text()


async def test_the_log_level_changes_with_a_save(world: Any) -> None:
    await world.start()

    def told() -> int:
        return world.log.read_text().count("turn answered")

    world.hub.owner_says("demo", "say loud")
    await world.until(lambda: told() == 1)
    for level in ("error", "debug"):
        world.write(**{"level: debug": f"level: {level}"})
        assert (await world.run("reload", str(world.config)))[0] == 0
        world.hub.owner_says("demo", f"say {level}")
        await world.until(lambda level=level: world.hub.sent[-1].text == level)
    await world.until(lambda: told() > 1)
    assert told() == 2


ALIASES = b"a: &a [x]\n" + b"".join(
    f"{name}: &{name} [{', '.join(9 * ['*' + last])}]\n".encode()
    for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)


async def test_rubbish_of_every_kind_is_told_and_changes_nothing(world: Any) -> None:
    template = world.folder / "hello.j2"
    template.write_text("{{ message.text }}")
    world.text = f"reload: {{debounce: 20ms}}\n{world.text}"
    world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, user_turn: {{file: {template}}}"})
    good = world.config.read_bytes()
    await world.start()
    connection = (await world.status())["channels"]["demo"]["connection"]
    config, beside = world.config, world.folder / "beside"

    def put(content: bytes) -> None:
        beside.write_bytes(content)
        beside.replace(config)

    def link(target: str) -> None:
        beside.symlink_to(target)
        beside.replace(config)

    def last() -> str:
        return str(world.log.read_text()).rpartition("config rejected")[2]

    # What cannot be read follows what can be: from one to another, nothing has changed.
    for save, told in (
        (lambda: put(b""), "the file is empty"),
        (config.unlink, "No such file"),
        (lambda: put(bytes(range(256)) * 999), "is not UTF-8"),
        (lambda: link("config.yaml"), "Too many levels of symbolic links"),
        (lambda: put(b"#" * 11_000_000), "is larger than 10 MiB"),
        (lambda: link(str(world.cwd)), "It is no file"),  # no folder itself takes its place at once
        (lambda: put(b"a: " + b"[" * 1000), "levels deep"),
        (lambda: link("/dev/zero"), "It is no file"),
        (lambda: put(ALIASES), "aliases add more than"),
        (lambda: put(good + b'cut: "off'), "while scanning"),
    ):
        save()
        # A save may be looked at while it is under way, and so be rejected twice.
        await world.until(lambda told=told: told in last())
    put(good)
    await world.until(lambda: "config unchanged (file): it is valid again" in world.log.read_text())
    template.unlink()
    await world.until(lambda: "hello.j2' cannot be read" in world.log.read_text())
    later = world.folder / "later.j2"
    put(good.replace(b"hello.j2", b"later.j2"))
    await world.until(lambda: "later.j2' cannot be read" in world.log.read_text())
    beside.write_text("{{ message.text }}")
    beside.replace(later)  # an empty one would be in force, too
    await world.until(lambda: "config applied" in world.log.read_text())
    world.hub.owner_says("demo", "say as before")
    assert await world.replies(1) == ["as before"]
    assert (await world.status())["channels"]["demo"]["connection"] == connection


async def test_a_mistake_is_told_once_and_again_when_a_signal_asks(world: Any) -> None:
    await world.start()
    world.write(**{"runtime: agent": "runtime: agnet"})
    await world.until(lambda: "config rejected (file)" in world.log.read_text())
    world.process.send_signal(signal.SIGHUP)
    await world.until(lambda: "config rejected (SIGHUP)" in world.log.read_text())
    world.write()
    await world.until(lambda: "config unchanged (file)" in world.log.read_text())
    world.process.send_signal(signal.SIGHUP)
    await world.until(lambda: "config unchanged (SIGHUP)" in world.log.read_text())
    triggers = [one["trigger"] for one in (await world.status())["reloads"]]
    assert triggers == ["file", "SIGHUP", "file", "SIGHUP"]


HANGS_UP = """\
import os, signal
from sidecar.app.checking.load import Loading
from sidecar.cli import main

start = Loading._start

def hang_up(loading, path):
    os.kill(os.getpid(), signal.SIGHUP)
    return start(loading, path)

Loading._start = hang_up
raise SystemExit(main())
"""
"""The sidecar, to which a SIGHUP comes while it checks its config."""


async def test_a_hangup_during_the_start_is_a_reload_after_it_and_a_warning_is_a_line_of_the_log(
    world: Any,
) -> None:
    route = f"match: {{}}, runtime: agent, cwd: {world.cwd}"
    late = f"{{name: first, {route}}}, {{name: late, {route}}}"
    world.write(**{"default_route:": f"routes: [{late}]\ndefault_route:"})
    world.program = ("-c", HANGS_UP)
    await world.start()
    await world.until(lambda: "config unchanged (SIGHUP)" in world.log.read_text())

    def told() -> list[Any]:
        whole = [json.loads(line) for line in world.log.read_text().split("\n")[:-1]]
        return [one for one in whole if "never reached" in json.dumps(one)]

    await world.until(told)
    [warning] = told()
    assert warning["level"] == "warning"


async def test_what_waits_is_routed_anew_and_what_runs_keeps_its_route(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])
    world.hub.say(person, room, "wait go")
    await world.until(lambda: world.runs)
    world.hub.say(person, room, "job trust")
    await world.until(lambda: not world.hub.unacknowledged("demo"))
    world.write(**{"cwd: " + str(world.cwd): f"cwd: {world.cwd}, trust: public"})
    await world.until(lambda: "config applied" in world.log.read_text())
    world.touch("go")
    assert await world.replies(2) == ["waited for go", '"public"']
