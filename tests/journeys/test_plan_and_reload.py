"""Asking what a config would change, and asking for a reload, at the terminal."""

import asyncio
import json
import os
from typing import Any

from tests import starting


async def test_a_plan_against_the_running_sidecar_tells_changes_and_turns_and_applies_nothing(
    world: Any,
) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    same = f"{world.config}"
    assert await world.run("plan", same) == (
        0, "nothing would change\n= unchanged: 1 channel, 1 runtime\n",
    )  # fmt: skip
    other = world.folder / "other.yaml"
    other.write_text(
        world.text.replace("ndjson}", "ndjson, env: {TOKEN: hunter2hunter2}}")
        .replace("level: debug", "level: info")
        .replace("type: botcord", "type: botcord\n    grant: {human: owner}")
    )
    code, text = await world.run("plan", f"{other}")
    assert code == 0, text
    *lines, turns = text.splitlines()
    assert lines == [
        "~ log.level                  at once",
        "~ channels.demo.grant.human  at once",
        "~ runtimes.agent.env.TOKEN   starts anew",
    ]
    assert turns.startswith("1 turn(s) end on their old runtime first: ")
    code, text = await world.run("plan", f"{other}", "--json")
    told = json.loads(text)
    assert (told["running"], len(told["turns"]), len(told["plan"]["changes"])) == (True, 1, 3)
    assert "hunter2" not in text
    assert (await world.status())["generation"] == 1
    world.touch("go")
    assert await world.replies(1) == ["waited for go"]


async def test_a_plan_reads_any_file_and_standard_input_as_if_it_were_the_config(
    world: Any,
) -> None:
    (world.folder / "t.j2").write_text("{{ message.text }}")
    world.text = world.text.replace("cwd: ", "user_turn: {file: t.j2}, cwd: ")
    world.write()
    await world.start()
    other = world.folder / "elsewhere" / "new.yaml"
    other.parent.mkdir()
    same = (0, "nothing would change\n= unchanged: 1 channel, 1 runtime\n")
    other.write_text(world.text)
    assert await world.run("plan", f"{other}") == same

    async def piped(text: str) -> tuple[int, str]:
        env = {**os.environ, "PYTHONPATH": str(starting.ROOT)}
        given: dict[str, Any] = {"given": text.encode(), "cwd": other.parent, "env": env}
        command = ("-m", "sidecar", "plan", "-")
        code, out, err = await asyncio.to_thread(lambda: starting.said(*command, **given))
        return code, (out + err).decode()

    assert await piped(world.text) == same
    code, text = await piped(world.text.replace("level: debug", "level: info"))
    assert (code, text.splitlines()[0]) == (0, "~ log.level  at once")
    code, text = await piped(world.text.replace("t.j2", "gone.j2"))
    assert code == 2
    assert text.startswith("<stdin>:")
    assert f"'{world.folder}/gone.j2' cannot be read" in text
    assert "sidecar init" not in text
    assert list((world.folder / "state").glob(".plan*")) == []


async def test_a_plan_of_a_broken_config_shows_its_problems(world: Any) -> None:
    await world.start()
    other = world.folder / "other.yaml"
    other.write_text(world.text.replace("runtime: agent", "runtime: agnet"))
    code, text = await world.run("plan", f"{other}")
    assert code == 2
    assert "other.yaml" in text
    assert "did you mean 'agent'?" in text
    other.write_text(world.text)
    other.chmod(0o646)
    code, text = await world.run("plan", f"{other}")
    assert (code, text) == (2, "only a file of the sidecar's user is planned\n")


async def test_a_plan_without_a_running_sidecar_tells_what_would_start(world: Any) -> None:
    code, text = await world.run("plan", f"{world.config}")
    assert code == 0
    first, *lines = text.splitlines()
    assert first.startswith(f"no sidecar runs with the state folder {world.folder}/state (one that")
    assert first.endswith("; this would start:")
    assert lines == ["+ default_route", "+ server", "+ channels.demo", "+ runtimes.agent"]
    world.write(**{"runtime: agent": "runtime: agnet"})
    code, text = await world.run("plan", f"{world.config}")
    assert code == 2
    assert "did you mean 'agent'?" in text


async def test_a_reload_by_command_tells_what_came_of_it(world: Any) -> None:
    await world.start()
    code, text = await world.run("reload", f"{world.config}")
    assert code == 0
    assert text.startswith("unchanged in ")
    world.write(**{"runtime: agent": "runtime: agnet"})
    code, text = await world.run("reload", f"{world.config}")
    assert code == 2
    assert "rejected, the previous config stays in force" in text
    assert "config.yaml:" in text
    other = world.folder / "other.yaml"
    other.write_text(world.text)
    code, text = await world.run("reload", f"{other}")
    assert code == 1
    assert f"uses {world.config}" in text
    world.write(**{"level: debug": "level: info"})
    code, text = await world.run("reload", f"{world.config}", "--json")
    assert code == 0
    assert json.loads(text)["result"] in ("applied", "unchanged")  # the watch may have been faster
    code, text = await world.run("status", f"{world.config}")
    assert (await world.status())["reloads"][-1]["digest"] in text
    assert await world.stop() == 0
    code, text = await world.run("reload", f"{world.config}")
    assert code == 1
    assert text.startswith(f"sidecar: no sidecar runs with the state folder {world.folder}/state (")


async def test_a_reload_can_wait_for_channels_and_for_turns_with_the_old_config(
    world: Any,
) -> None:
    await world.start()
    world.hub.owner_says("demo", "wait go")
    await world.until(lambda: world.runs)
    world.write(**{"level: debug": "level: info"})
    code, text = await world.run("reload", f"{world.config}", "--wait", "0.2")
    assert code == 1
    assert "still runs with an older config" in text
    world.touch("go")
    code, text = await world.run("reload", f"{world.config}", "--wait", "--json")
    assert code == 0, text
    assert json.loads(text)["late"] == []
    assert await world.replies(1) == ["waited for go"]
    world.write(**{"    type: botcord\n": "    type: botcord\n    hub_url: http://127.0.0.1:9\n"})
    code, text = await world.run("reload", f"{world.config}", "--wait")
    assert code == 1
    assert "channel demo: waiting " in text


async def test_status_shows_what_the_last_save_changed_and_what_waits_for_a_restart(
    world: Any,
) -> None:
    await world.start()
    world.write(**{"s.sock": "other.sock", "level: debug": "level: info"})

    def applied() -> list[str]:
        whole, _, _ = world.log.read_text().rpartition("\n")
        return [line for line in whole.splitlines() if "config applied" in line]

    await world.until(applied)
    line = applied()[0]
    told = json.loads(line)
    assert told["msg"] == "config applied (file): ~ server.listen, ~ log.level"
    assert told["context"]["changed"] == "~ server.listen, ~ log.level"
    assert told["context"]["old"] != told["context"]["new"]
    assert [told["context"][name] for name in ("trigger", "result")] == ["file", "applied"]
    assert (told["context"]["generation"], type(told["context"]["ms"])) == (2, int)
    code, text = await world.run("status", f"{world.config}")
    assert code == 0
    assert "takes effect after a restart: server.listen" in text
    assert "  ~ log.level" in text


async def test_a_config_that_is_not_there_is_told(world: Any) -> None:
    world.config.unlink()
    for command in ("plan", "reload"):
        code, text = await world.run(command, f"{world.config}")
        assert code == 2
        assert "config.yaml" in text
