"""What the log tells of messages and turns: which belong together, and nothing that was said."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import logs
from sidecar.app.lifecycle.log_setup import LogSetup
from sidecar.config.model import Allow, Config, State
from sidecar.errors import JournalError
from tests.patience import until


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    level, found = logging.getLogger().level, io.StringIO()
    logs.configure("info", "json", found)  # type: ignore[arg-type]
    yield found
    logs.shutdown()
    logging.getLogger().setLevel(level)


async def test_secrets_of_a_config_that_is_applied_are_hidden_from_then_on(
    stream: io.StringIO, tmp_path: Path
) -> None:
    config = Config(State(tmp_path), None)
    setup, log = LogSetup(config), logging.getLogger("sidecar")
    log.warning("hunter2222")
    await setup.follow(replace(config, secrets=frozenset({"hunter2222"})))
    log.warning("hunter2222")
    await setup.follow(config)
    log.warning("hunter2222")
    await asyncio.to_thread(logs.shutdown)
    told = [json.loads(line)["msg"] for line in stream.getvalue().splitlines()]
    assert told == ["hunter2222", "***", "hunter2222"]


async def test_one_line_for_each_message_and_turn_and_their_ids_link_them(
    rig: Any, stream: io.StringIO
) -> None:
    rig.reroute(queue="coalesce")
    rig.channels["demo"] = replace(rig.channels["demo"], allow=Allow(senders=("a-owner",)))
    await rig.say("wait hunter2")
    await until(lambda: rig.agent.jobs)
    await rig.say("second hunter2")
    await rig.say("third hunter2")
    await rig.say("of a stranger hunter2", "human")
    rig.agent.go.set()
    await rig.quiet()
    await asyncio.to_thread(logs.shutdown)
    told = [
        (one["msg"].partition(" in ")[0], one["context"])
        for one in map(json.loads, stream.getvalue().splitlines())
    ]
    by_message = {
        facts["message"]: (text, facts["turn"]) for text, facts in told if "message" in facts
    }
    assert {name: text for name, (text, _) in by_message.items()} == {
        "m1": "message accepted", "m2": "message accepted", "m3": "message accepted",
        "m4": "message refused",
    }  # fmt: skip
    turns = {facts["turn"]: facts for text, facts in told if text == "turn answered"}
    first, second, third, stranger = (by_message[f"m{number}"][1] for number in (1, 2, 3, 4))
    assert turns.keys() == {first, second}
    assert turns[second]["merged"] == third
    assert all(facts["conversation"] == "room" for facts in turns.values())
    assert [facts["turn"] for text, facts in told if text.startswith("turn not run")] == [stranger]
    assert "hunter2" not in stream.getvalue()


async def test_what_a_full_disk_refuses_is_told_by_who_offers_it_or_in_a_line(
    rig: Any, stream: io.StringIO
) -> None:
    await rig.journal._writer.submit(lambda db: db.execute("pragma max_page_count = 1").fetchall())
    with pytest.raises(JournalError, match="disk is full"):
        await rig.say("x" * 1_000_000)
    async with asyncio.TaskGroup() as group:
        offering = group.create_task(rig.say("x" * 1_000_000))
        await asyncio.sleep(0)
        offering.cancel()
    await until(stream.getvalue)
    await asyncio.to_thread(logs.shutdown)
    [line] = map(json.loads, stream.getvalue().splitlines())
    assert line["msg"].startswith("messages of a channel that has stopped cannot be kept: ")
    assert line["msg"].endswith("database or disk is full")
    assert line.keys() == {"ts", "level", "logger", "msg"}
