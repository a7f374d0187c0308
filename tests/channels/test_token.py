import asyncio
import base64
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.channels.credentials import Credentials, read
from sidecar.errors import ChannelStopped, ChannelUnavailable
from tests.channels.scripted_hub import says
from tests.patience import PATIENCE, until
from tests.read_only import threads_that_cannot_write

REFRESH = "/registry/agents/ag_ff73a0647bbc/token/refresh"


def refreshes(world: Any) -> int:
    return len(world.hub.requests(REFRESH))


async def test_a_token_that_is_good_is_used_as_it_is(world: Any) -> None:
    world.write_credentials(token="kept", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["kept"]
    assert await world.channel().send(world.reply())
    assert refreshes(world) == 0


@pytest.mark.parametrize(
    "expiry",
    [
        {},
        {"tokenExpiresAt": 1},
        {"tokenExpiresAt": 1_000_000_000_000},
        {"token_expires_at": 1_000_000_000},
        {"tokenExpiresAt": "soon"},
    ],
)
async def test_a_token_that_ends_or_may_have_ended_is_replaced(
    world: Any, expiry: dict[str, Any]
) -> None:
    world.write_credentials(token="kept", **expiry)
    await world.channel().send(world.reply())
    assert refreshes(world) == 1
    assert [seen.token for seen in world.hub.requests("/hub/send")] == ["token-1"]


async def test_a_new_token_is_written_down_for_the_next_start(world: Any) -> None:
    world.write_credentials(note="mine", token="old", tokenExpiresAt=1)
    await world.channel().send(world.reply())
    document = json.loads(world.credentials.read_text())
    assert document["token"] == "token-1"
    assert document["tokenExpiresAt"] == 4_000_000_000
    assert document["note"] == "mine"
    assert world.credentials.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in world.folder.iterdir()] == [world.credentials.name]
    await world.channel().send(world.reply())
    assert refreshes(world) == 1


async def test_a_refused_request_is_repeated_with_the_new_token(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["newer"]
    await world.channel().send(world.reply())
    assert [seen.token for seen in world.hub.requests("/hub/send")] == ["old", "token-2"]


async def test_many_that_need_a_token_ask_for_one_together(world: Any) -> None:
    channel = world.channel()
    replies = [world.reply(key=f"key-{number}", room=f"rm_{number}") for number in range(8)]
    await asyncio.gather(*(channel.send(reply) for reply in replies))
    assert refreshes(world) == 1


async def test_many_that_were_refused_together_cause_one_refresh(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["newer"]
    channel = world.channel()
    replies = [world.reply(key=f"key-{number}", room=f"rm_{number}") for number in range(8)]
    await asyncio.gather(*(channel.send(reply) for reply in replies))
    assert refreshes(world) == 1


async def test_those_who_wait_for_a_refresh_share_its_failure(world: Any) -> None:
    world.hub.script(REFRESH, says(503, "busy", Retry_After="7"))
    channel = world.channel()
    replies = [world.reply(key=f"key-{number}", room=f"rm_{number}") for number in range(4)]
    outcomes = await asyncio.gather(
        *(channel.send(reply) for reply in replies), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ChannelUnavailable] * 4
    assert {outcome.wait for outcome in outcomes} == {7.0}  # type: ignore[union-attr]
    assert refreshes(world) == 1
    assert await channel.send(replies[0])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "signature_verification_failed"),
        (403, "key_not_active"),
        (404, "key_not_found"),
        (404, "agent_not_found"),
    ],
)
async def test_a_key_that_is_not_known_stops_the_channel(
    world: Any, status: int, code: str
) -> None:
    world.hub.script(REFRESH, says(status, code))
    error = await world.ending(world.channel())
    assert isinstance(error, ChannelStopped)
    assert code in str(error)
    assert f"put its present credentials into {world.credentials}" in str(error)


async def test_an_agent_whose_file_is_not_new_is_not_waited_for(world: Any) -> None:
    long_ago = time.time() - 61.0
    os.utime(world.credentials, (long_ago, long_ago))
    world.hub.script(REFRESH, says(404, "key_not_found"))
    error = await world.ending(world.channel(replace(world.fast, patience=60.0)))
    assert isinstance(error, ChannelStopped)
    assert refreshes(world) == 1


async def test_an_agent_that_is_just_being_made_is_waited_for(world: Any) -> None:
    world.hub.script(REFRESH, *[says(404, "key_not_found")] * 3)
    async with world.running(replace(world.fast, patience=60.0)) as channel:
        assert channel.status.state == "connected"
    assert refreshes(world) == 4


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"agent_token": "a\\nb"}'])
async def test_an_answer_without_a_token_is_no_token(world: Any, body: bytes) -> None:
    world.hub.script(REFRESH, world.raw(200, body))
    channel = world.channel()
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    assert await channel.send(world.reply())


async def test_a_token_by_its_other_name_and_without_end_is_taken(world: Any) -> None:
    world.hub.script(REFRESH, world.raw(200, b'{"token": "other"}'))
    world.hub.tokens = ["other"]
    channel = world.channel()
    await channel.send(world.reply())
    await channel.send(world.reply(key="second"))
    assert refreshes(world) == 1


async def test_a_file_that_has_gone_is_not_written_again(world: Any) -> None:
    channel = world.channel()

    async def gone(request: Any) -> Any:
        world.credentials.unlink()
        return await world.raw(200, b'{"agent_token": "t", "expires_at": 4000000000}')(request)

    world.hub.script(REFRESH, gone)
    world.hub.tokens = ["t"]
    assert await channel.send(world.reply())
    assert not world.credentials.exists()


async def test_a_token_is_not_carried_to_where_a_redirect_leads(world: Any) -> None:
    world.hub.script("/hub/send", world.raw(307, b"", Location=f"{world.hub.url}/elsewhere"))
    with pytest.raises(ChannelUnavailable):
        await world.channel().send(world.reply())
    assert world.hub.requests("/elsewhere") == []


async def test_a_clock_that_is_wrong_by_days_does_not_ask_for_tokens_all_the_time(
    world: Any,
) -> None:
    past = world.raw(
        200,
        b'{"agent_token": "t", "expires_at": 946771200}',
        Date="Sat, 01 Jan 2000 00:00:00 GMT",
    )
    world.hub.script(REFRESH, past)
    world.hub.tokens = ["t"]
    channel = world.channel()
    await channel.send(world.reply())
    await channel.send(world.reply(key="second"))
    assert refreshes(world) == 1
    assert world.hub.requests("/hub/send")[1].body["ts"] == pytest.approx(946684800, abs=PATIENCE)


async def test_what_others_write_is_new_and_what_it_stored_itself_is_not(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=1)
    channel = world.channel()
    assert await channel.new_credentials() is None
    await channel.send(world.reply())
    stored = json.loads(world.credentials.read_text())
    assert stored["token"] == "token-1"
    other = base64.b64encode(bytes(32)).decode()
    for changes, new in (
        ({}, False),
        ({"note": "mine"}, False),
        ({"tokenExpiresAt": 5}, False),
        ({"token": "of another hand"}, True),
        ({"keyId": "k_other"}, True),
        ({"privateKey": other, "publicKey": None}, True),
        ({"hubUrl": "https://other.example"}, True),
    ):
        world.credentials.write_text(json.dumps({**stored, **changes}))
        found = await channel.new_credentials()
        assert (found is not None) is new, changes
        assert found == await channel.new_credentials()
    os.utime(world.credentials, (1.0, 1.0))
    assert found != await channel.new_credentials()  # somebody wants it to be tried again
    world.credentials.write_text("{")
    with pytest.raises(ChannelStopped, match="is not valid JSON"):
        await channel.new_credentials()
    world.credentials.unlink()
    assert await channel.new_credentials() is None


async def test_a_token_that_it_stores_while_it_looks_at_the_file_is_not_new(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = world.channel()
    await channel.send(world.reply())
    stored = world.credentials.read_text()
    has_read, has_stored = threading.Event(), threading.Event()

    def read_slowly(path: Path) -> Credentials:
        found = read(path)
        has_read.set()
        assert has_stored.wait(PATIENCE)
        return found

    monkeypatch.setattr("sidecar.channels.botcord.read", read_slowly)
    async with asyncio.TaskGroup() as group:
        looks = group.create_task(channel.new_credentials())
        await until(has_read.is_set)
        world.hub.tokens = ["newer"]
        await channel.send(world.reply(key="second"))
        assert world.credentials.read_text() != stored
        has_stored.set()
    assert looks.result() is None


async def test_a_token_that_could_not_be_stored_does_not_make_the_file_new(world: Any) -> None:
    world.write_credentials(token="old", tokenExpiresAt=1)
    channel = world.channel()
    world.folder.chmod(0o500)
    # A folder that root may write to all the same has the name of the new file taken.
    await channel.send(world.reply())
    world.folder.chmod(0o700)
    assert await channel.new_credentials() is None


async def test_where_a_secret_is_mounted_it_is_told_once_that_tokens_are_not_kept(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.write_credentials(token="old", tokenExpiresAt=1)
    before = world.credentials.read_text()
    failures = metrics.value("token_store_failures_total", channel="ch")
    caplog.set_level("INFO")
    asyncio.get_running_loop().set_default_executor(threads_that_cannot_write(world.folder))
    channel = world.channel()
    await channel.send(world.reply())
    world.hub.tokens.append("another")  # so that the first one is refused
    await channel.send(world.reply(key="second"))
    assert refreshes(world) == 2
    told = [one for one in caplog.records if "not kept" in one.getMessage()]
    assert [one.levelname for one in told] == ["INFO"]
    assert f"{world.credentials} is mounted read-only" in told[0].getMessage()
    assert world.credentials.read_text() == before
    assert metrics.value("token_store_failures_total", channel="ch") == failures
