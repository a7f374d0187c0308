"""The check-up of a machine."""

import asyncio
import json
import signal
import sys
from typing import Any

from tests.held_port import held_port


async def findings(world: Any, code: int) -> dict[str, dict[str, str]]:
    found, output = await world.run("doctor", str(world.config), "--json")
    assert found == code, output
    told: dict[str, dict[str, str]] = {}
    for one in json.loads(output):
        if told.get(one["part"], {"level": "ok"})["level"] == "ok":
            told[one["part"]] = one
    return told


async def test_all_is_well_with_a_sidecar_that_runs_and_its_token_stays_good(world: Any) -> None:
    await world.start()
    told = await findings(world, 0)
    assert {one["level"] for one in told.values()} == {"ok"}
    assert "answers at" in told["sidecar"]["text"]
    assert "answers" in told["channel demo"]["text"]
    assert {"config", "state", "watch", "runtime agent"} <= told.keys()
    world.hub.owner_says("demo", "say still here")
    assert await world.replies(1) == ["still here"]
    assert world.hub.connects("demo") == 1


async def test_an_agent_whose_login_expired_is_told_everywhere_until_it_answers(world: Any) -> None:
    world.text = world.text.replace("type: botcord\n", "type: botcord\n    notices: true\n")
    world.write()
    await world.start()
    world.hub.owner_says("demo", "logged-out")
    [error] = await world.replies(1)
    assert "not logged in" in error
    [remark] = (await world.status())["remarks"]
    assert "runtime agent: not logged in since " in remark
    await world.until(lambda: world.hub.notices == [f"⚠️ {remark}"])
    assert f"ok\n{remark}\n" == await world.get("/readyz?strict")
    down = 'sidecar_runtime_unavailable{kind="auth",runtime="agent"}'
    assert f"{down} 1.0" in await world.get("/metrics")
    _, output = await world.run("status", str(world.config))
    assert f"\n{remark}\n" in output
    told = await findings(world, 1)
    assert "not logged in since" in told["runtime agent"]["text"]
    assert told["runtime agent"]["remedy"] == "log it in again, or give its key in `env`"
    world.hub.owner_says("demo", "say again")
    await world.replies(2)
    picture = await world.status()
    assert (picture["remarks"], picture["outages"]) == ([], {})
    assert f"{down} 0.0" in await world.get("/metrics")


async def test_what_does_not_work_is_told_with_what_to_do(world: Any) -> None:
    (world.folder / "demo.json").chmod(0o644)
    world.write(**{"type: command, command: [": "type: command, command: [no-such-program, "})
    code, output = await world.run("doctor", str(world.config))
    assert code == 1
    assert "✗ config: config.yaml:" in output
    assert "the command 'no-such-program' is not found" in output
    assert "→ chmod 600" in output


async def test_a_hub_that_is_down_is_told(world: Any) -> None:
    with held_port() as port:
        nobody = f"type: botcord\n    hub_url: http://127.0.0.1:{port}"
        world.write(**{"type: botcord": nobody})
        told = await findings(world, 1)
    assert told["channel demo"]["level"] == "failure"
    assert told["channel demo"]["remedy"]


async def test_a_broken_config_is_told_with_its_place(world: Any) -> None:
    world.config.write_text("version: 1\nchannels: [\n")
    told = await findings(world, 1)
    assert told["config"]["text"].startswith("config.yaml:3:1: ")


async def test_status_tells_by_its_exit_code_whether_all_is_well(world: Any) -> None:
    token = world.folder / "token"
    token.write_text("first")
    world.text = world.text.replace("listen: ", "token: '${file:token}', listen: ")
    world.write()
    assert (await world.run("status", str(world.config)))[0] == 1
    await world.start()
    assert (await world.run("status", str(world.config)))[0] == 0
    beside = token.with_name("new")
    beside.write_text("second")
    beside.replace(token)
    await world.until(lambda: "config applied" in world.log.read_text())
    assert (await world.run("status", str(world.config)))[0] == 0
    watching = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "status", "--watch", str(world.config),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watching.stdout is not None
    assert (await watching.stdout.readline()).startswith(b"sidecar ")
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 0
    (world.folder / "demo.json").write_text("{}")
    world.write(**{"type: botcord": "type: botcord\n    stream: false"})
    await world.until(lambda: "stopped" in world.log.read_text())

    async def told() -> bool:  # it is tried with the old config, too
        code, output = await world.run("status", str(world.config))
        return code == 1 and "stopped" in output

    await world.until(told)
