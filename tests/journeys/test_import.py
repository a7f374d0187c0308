"""Moving from a BotCord daemon."""

import json
from typing import Any


async def test_a_daemons_config_becomes_a_valid_config_that_runs(world: Any) -> None:
    daemon = world.folder / "daemon.json"
    daemon.write_text(
        json.dumps(
            {
                "agents": ["demo"],
                "defaultRoute": {"adapter": "command", "cwd": str(world.cwd)},
                "routes": [
                    {"match": {"roomPrefix": "rm_"}, "adapter": "command", "cwd": str(world.cwd)}
                ],
                "streamBlocks": True,
            }
        )
    )
    made = world.folder / "made.yaml"
    code, output = await world.run("import", str(daemon), "-o", str(made))
    assert code == 0, output
    assert "routes[0]: routes: route-1" in output
    # A runtime of type `command` needs a command, which no daemon has.
    text = made.read_text()
    assert text.startswith("# yaml-language-server: $schema=")
    text = text.replace("type: command", "type: command\n    command: [sidecar, example-agent]")
    made.write_text(text.replace("~/.botcord/credentials", str(world.folder)))
    code, output = await world.run("validate", str(made))
    assert code == 0, output
    code, output = await world.run("import", str(daemon), "-o", str(made))
    assert (code, "is there already" in output) == (1, True)


async def test_a_file_that_is_none_is_told(world: Any) -> None:
    broken = world.folder / "broken.json"
    broken.write_text("{")
    assert (await world.run("import", str(broken)))[0] == 1
    deep = 200_000
    broken.write_text(f'{{"routes": {"[" * deep}{"]" * deep}}}')
    code, output = await world.run("import", str(broken))
    assert (code, output) == (1, f"sidecar: {broken} is nested too deeply\n")
    assert (await world.run("import", str(world.folder / "missing.json")))[0] == 1
