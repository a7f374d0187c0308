import asyncio
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.errors import ChannelStopped, ChannelUnavailable, ReplyHeld, ReplyRefused
from sidecar.hubclient import http
from tests.channels.scripted_hub import raw, reset, says
from tests.patience import PATIENCE, until

SEND = "/hub/send"


def sent(world: Any) -> list[Any]:
    return [seen.body for seen in world.hub.requests(SEND)]


def extra(**changes: Any) -> dict[str, Any]:
    """What came with the message that is answered."""
    return {
        "room_id": "rm_1",
        "msg_id": "their-msg",
        "topic": "launch",
        "topic_id": "tp_1",
    } | changes


async def test_a_reply_goes_into_its_conversation_with_its_key(world: Any) -> None:
    assert await world.channel().send(world.reply(extra=extra())) == f"h_{world.reply().key}"
    (envelope,) = sent(world)
    assert envelope["to"] == "rm_1"
    assert envelope["from"] == world.agent
    assert envelope["msg_id"] == world.reply().key
    assert (envelope["type"], envelope["payload"]) == ("message", {"text": "hello"})
    assert (envelope["reply_to"], envelope["topic"]) == ("their-msg", "launch")
    assert envelope["ts"] == pytest.approx(time.time(), abs=PATIENCE)
    assert "trace_id" not in envelope


async def test_an_error_is_a_message_like_others(world: Any) -> None:
    await world.channel().send(world.reply(kind="error"))
    assert sent(world)[0]["type"] == "message"


@pytest.mark.parametrize(
    "facts", [{}, extra(room_id="rm_other"), extra(room_id=None), {"topic": 1}]
)
async def test_facts_of_another_room_are_not_sent(world: Any, facts: dict[str, Any]) -> None:
    await world.channel().send(world.reply(extra={**facts, "trace_id": "h_1"}))
    (envelope,) = sent(world)
    assert (envelope["reply_to"], envelope["topic"]) == (None, None)
    assert "trace_id" not in envelope


async def test_the_last_reply_to_the_owner_ends_the_stream(world: Any) -> None:
    facts = extra(room_id="rm_oc_1", trace_id="h_1")
    channel = world.channel()
    await channel.send(world.reply(room="rm_oc_1", extra=facts, last=False))
    await channel.send(world.reply(room="rm_oc_1", extra=facts, key="second"))
    ends = await until(lambda: world.hub.requests("/hub/stream-end"))
    assert [envelope["trace_id"] for envelope in sent(world)] == ["h_1", "h_1"]
    assert [seen.body for seen in ends] == [{"trace_id": "h_1"}]


async def test_an_old_hub_is_asked_once_for_what_it_does_not_have(world: Any) -> None:
    world.hub.old = True
    channel = world.channel()
    for key in "abc":
        facts = extra(room_id="rm_oc_1", trace_id="h_1")
        await channel.send(world.reply(room="rm_oc_1", extra=facts, key=key))
        await until(lambda: "stream-end:ch" not in {one.get_name() for one in asyncio.all_tasks()})
    assert len(world.hub.requests("/hub/stream-end")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        raw(500, b"Internal Server Error"),
        raw(502, b"<html>", Content_Type="text/html"),
        raw(202, b"<html>hello</html>"),
        raw(202, b""),
        raw(302, b""),
        raw(403, b"<html>"),
        raw(404, b""),
        reset,
        says(503, "maintenance"),
    ],
)
async def test_after_a_failure_the_very_same_envelope_is_sent_again(world: Any, fault: Any) -> None:
    world.hub.script(SEND, fault)
    channel = world.channel()
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    assert await channel.send(world.reply())
    first, second = sent(world)
    assert first == second


async def test_the_hub_says_how_long_to_wait(world: Any) -> None:
    world.hub.script(SEND, says(503, "maintenance", Retry_After="17"))
    with pytest.raises(ChannelUnavailable) as caught:
        await world.channel().send(world.reply())
    assert caught.value.wait == 17.0


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("5", 5, 5),
        ("0", 0, 0),
        ("99999999999999", 3600, 3600),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("soon", None, None),
        ("-5", None, None),
        ("²", None, None),
    ],
)
async def test_every_form_of_retry_after_is_understood(
    world: Any, header: str, least: float | None, most: float | None
) -> None:
    world.hub.script(SEND, says(503, "maintenance", Retry_After=header))
    with pytest.raises(ChannelUnavailable) as caught:
        await world.channel().send(world.reply())
    assert caught.value.wait == least == most


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "payload_hash_mismatch"),
        (403, "not_a_member"),
        (403, "only_owner_admin_can_post"),
        (403, "blocked"),
        (403, "not_in_contacts"),
        (403, "agent_senders_disabled"),
        (404, "unknown_agent"),
        (404, "room_not_found"),
        (413, ""),
        (422, ""),
    ],
)
async def test_what_the_hub_never_takes_is_refused_for_good(
    world: Any, status: int, code: str
) -> None:
    world.hub.script(SEND, says(status, code))
    with pytest.raises(ReplyRefused, match=f"HTTP {status} {code}".strip()):
        await world.channel().send(world.reply())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "signing_key_not_found_or_inactive"),
        (400, "key_does_not_belong_to_sender"),
        (403, "agent_not_claimed"),
        (403, "sender_does_not_match_token"),
    ],
)
async def test_what_a_person_has_to_mend_stops(world: Any, status: int, code: str) -> None:
    world.hub.script(SEND, says(status, code))
    with pytest.raises(ChannelStopped, match=code):
        await world.channel().send(world.reply())


async def test_a_message_that_had_arrived_before_is_delivered(world: Any) -> None:
    world.hub.stored[world.reply().key] = {}
    world.hub.script(SEND, says(429, "duplicate_content"))
    assert await world.channel().send(world.reply()) is None
    assert len(sent(world)) == 1


async def test_saying_the_same_again_arrives_all_the_same(world: Any) -> None:
    world.hub.script(SEND, says(429, "duplicate_content"))
    assert await world.channel().send(world.reply())
    first, second = sent(world)
    assert second["payload"] == {"text": "hello", "attempt": 2}
    assert first["msg_id"] == second["msg_id"]


async def test_a_doubt_that_cannot_be_settled_now_is_settled_later(world: Any) -> None:
    world.hub.script(SEND, *[says(429, "duplicate_content")] * 2)
    world.hub.script(f"/hub/status/{world.reply().key}", says(500, "broken"), method="GET")
    channel = world.channel()
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    assert await channel.send(world.reply())
    assert [envelope["payload"].get("attempt") for envelope in sent(world)] == [None, None, 2]


@pytest.mark.parametrize("code", ["reply_target_not_found", "reply_target_cross_room"])
async def test_an_answer_to_what_the_hub_forgot_is_sent_without_it(world: Any, code: str) -> None:
    world.hub.script(SEND, says(400, code))
    assert await world.channel().send(world.reply(extra=extra()))
    first, second = sent(world)
    assert (first["reply_to"], second["reply_to"]) == ("their-msg", None)
    assert second["payload"] == {"text": "hello", "attempt": 2}


async def test_a_wrong_clock_is_set_by_the_hubs(world: Any) -> None:
    there = says(400, "timestamp_out_of_range", Date="Sat, 01 Jan 2000 00:00:00 GMT")
    world.hub.script(SEND, there)
    channel = world.channel()
    assert await channel.send(world.reply())
    assert await channel.send(world.reply(key="second"))
    times = [envelope["ts"] for envelope in sent(world)]
    assert times[0] == pytest.approx(time.time(), abs=PATIENCE)
    assert times[1:] == [pytest.approx(946684800, abs=PATIENCE)] * 2


async def test_a_clock_that_was_set_meanwhile_is_used_at_once(world: Any) -> None:
    date = "Sat, 01 Jan 2000 00:00:00 GMT"
    token = raw(200, b'{"agent_token": "t", "expires_at": 946771200}', Date=date)
    world.hub.script("/registry/agents/ag_ff73a0647bbc/token/refresh", token)
    world.hub.tokens = ["t"]
    world.hub.script(SEND, says(400, "timestamp_out_of_range", Date=date))
    assert await world.channel().send(world.reply())
    assert sent(world)[1]["ts"] == pytest.approx(946684800, abs=PATIENCE)


async def test_an_envelope_that_became_too_old_is_signed_anew_under_its_id(world: Any) -> None:
    ahead = formatdate(time.time() + 600, usegmt=True)
    channel = world.channel()
    world.hub.script(SEND, says(503, "busy"), says(400, "timestamp_out_of_range", Date=ahead))
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    await channel.send(world.reply(key="another"))
    await channel.send(world.reply())
    first, *_, last = sent(world)
    assert (last["msg_id"], last["payload"]) == (first["msg_id"], first["payload"])
    assert last["ts"] == pytest.approx(first["ts"] + 600, abs=PATIENCE)


async def test_a_hub_that_does_not_agree_on_the_time_at_all_is_tried_later(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_credentials(token="kept", tokenExpiresAt=4_000_000_000)
    world.hub.tokens = ["kept"]
    now = time.time()  # which stands still, so that both have the same
    monkeypatch.setattr(http, "time", SimpleNamespace(time=lambda: now))
    there = formatdate(now, usegmt=True)
    world.hub.script(SEND, says(400, "timestamp_out_of_range", Date=there))
    with pytest.raises(ChannelUnavailable):
        await world.channel().send(world.reply())
    assert len(sent(world)) == 1


async def test_a_hub_that_wants_it_different_each_time_is_tried_later(world: Any) -> None:
    world.hub.script(SEND, *[says(429, "duplicate_content")] * 100)
    with pytest.raises(ChannelUnavailable):
        await world.channel().send(world.reply())
    assert len(sent(world)) == 4


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "conversation_rate_limit_exceeded", ""])
async def test_a_limit_is_waited_out(world: Any, code: str) -> None:
    world.hub.script(SEND, says(429, code, Retry_After="41"))
    with pytest.raises(ChannelUnavailable) as caught:
        await world.channel().send(world.reply())
    assert caught.value.wait == 41.0


async def test_a_limit_without_an_end_is_waited_out_in_parts(world: Any) -> None:
    world.hub.script(SEND, says(429, "rate_limit_exceeded"))
    with pytest.raises(ChannelUnavailable) as caught:
        await world.channel().send(world.reply())
    assert 10 < caught.value.wait < 20


async def test_after_a_limit_the_next_reply_waits_by_itself(world: Any) -> None:
    world.hub.script(SEND, says(429, "slow_mode_wait"))
    channel = world.channel(send_rate={"per_conversation": "1/100ms"})
    started = time.monotonic()
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    await channel.send(world.reply())
    assert time.monotonic() - started > 0.1


async def test_a_reply_that_a_limit_keeps_back_for_long_is_handed_back_unsent(world: Any) -> None:
    world.hub.script(SEND, says(429, "rate_limit_exceeded", Retry_After="3600"))
    channel = world.channel()
    with pytest.raises(ChannelUnavailable):
        await channel.send(world.reply())
    for room in ("rm_1", "rm_2"):
        with pytest.raises(ReplyHeld, match="no room") as caught:
            await channel.send(world.reply(room=room))
        assert 3600 - PATIENCE < caught.value.wait <= 3600
    assert len(sent(world)) == 1


async def test_what_cannot_be_written_as_unicode_is_mended(world: Any) -> None:
    await world.channel().send(world.reply("a\ud800b\0c"))
    assert sent(world)[0]["payload"] == {"text": "a\ufffdbc"}


async def test_a_long_answer_is_one_message(world: Any) -> None:
    text = "x" * 1_000_000
    await world.channel().send(world.reply(text))
    assert sent(world)[0]["payload"] == {"text": text}


async def test_a_reply_is_sent_while_the_channel_does_not_run(world: Any) -> None:
    channel = world.channel()
    async with world.running():
        pass
    assert await channel.send(world.reply())


async def test_no_answer_of_the_hub_ends_in_an_error_text(world: Any) -> None:
    world.hub.script(SEND, raw(500, b"secret in a body", X_BotCord_Request_ID="req-1"))
    with pytest.raises(ChannelUnavailable) as caught:
        await world.channel().send(world.reply())
    assert "secret" not in str(caught.value)
    assert "token-1" not in str(caught.value)
    assert "req-1" in str(caught.value)


async def test_the_owner_is_told_what_belongs_to_no_turn(world: Any) -> None:
    path, channel = "/hub/notify-owner", world.channel()
    await channel.tell_owner("saved")
    await channel.tell_owner("x" * 9000)
    told = [seen.body["text"] for seen in world.hub.requests(path)]
    assert told == ["saved", f"{'x' * 7999}…"]
    world.hub.script(path, says(429, "rate_limit", **{"Retry-After": "7"}))
    with pytest.raises(ChannelUnavailable) as caught:
        await channel.tell_owner("too much")
    assert caught.value.wait == 7
