import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.devhub import DevHub, HubLimits
from tests.patience import PATIENCE

VECTORS = Path(__file__).parents[1] / "data" / "hub-vectors.json"


@pytest.fixture
def room(hub: DevHub, demo: Any) -> str:
    return hub.add_room("Room", [hub.add_person("Ann"), "ag_demo"])


async def test_an_accepted_message_is_recorded_and_delivered(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    envelope = demo.envelope("ag_peer", "hello", trace_id="h_trace")
    begin = time.monotonic()
    status, answer = await demo.call("POST", "/hub/send", envelope)
    assert status == 202
    assert (answer["queued"], answer["status"], answer["topic_id"]) == (True, "queued", None)
    [sent] = await hub.wait_sent(timeout=PATIENCE)
    assert sent.envelope == envelope
    assert (sent.room, sent.text, sent.trace_id) == ("rm_dm_ag_demo_ag_peer", "hello", "h_trace")
    assert begin <= sent.at <= time.monotonic()
    [item] = await peer.inbox()
    assert item["hub_msg_id"] == answer["hub_msg_id"] == sent.hub_msg_id
    assert item["envelope"] | {"mentions": None} == envelope | {"mentions": None}
    assert (item["mentioned"], item["source_type"]) == (True, "agent")


async def test_a_message_to_a_room_reaches_every_other_agent(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peers = [await connect(hub, name) for name in ("ag_b", "ag_c")]
    room = hub.add_room("Room", ["ag_demo", "ag_b", "ag_c"])
    _, answer = await demo.send(room, "all", mentions=["ag_c"])
    items = [(await peer.inbox())[0] for peer in peers]
    assert [item["mentioned"] for item in items] == [False, True]
    assert answer["hub_msg_id"] in {item["hub_msg_id"] for item in items}
    assert await demo.inbox() == []


async def test_a_message_to_the_direct_rooms_id_mentions_nobody(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    await peer.send("ag_demo", "hello")
    [item] = await demo.inbox()
    assert (await demo.send(item["room_id"], "hello back"))[0] == 202
    [back] = await peer.inbox()
    assert (back["mentioned"], back["room_id"]) == (False, item["room_id"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"ts": 1}, 400, "timestamp_out_of_range"),
        ({"payload_hash": "sha256:00"}, 400, "payload_hash_mismatch"),
        ({"payload": {"text": "x", "n": 2**60}, "payload_hash": "x"}, 400, "payload_hash_mismatch"),
        ({"sig": {"alg": "ed25519", "key_id": "k_0", "value": ""}}, 400,
         "signing_key_not_found_or_inactive"),
        ({"from": "ag_other"}, 400, "key_does_not_belong_to_sender"),
        ({"type": "system"}, 400, "send_invalid_type"),
        ({"to": "ag_unknown"}, 404, "unknown_agent"),
        ({"to": "rm_unknown"}, 404, "room_not_found"),
        ({"type": "contact_request", "to": "ag_demo"}, 400, "cannot_send_contact_request_to_self"),
        ({"reply_to": "h_unknown"}, 400, "reply_target_not_found"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_message_is_told_by_code(
    hub: DevHub, demo: Any, room: str, changes: dict[str, Any], status: int, code: str
) -> None:
    envelope = demo.envelope(room)
    if "payload" in changes:
        envelope |= changes
    else:
        envelope = demo.envelope(**{"to": room, **changes})
    found, answer = await demo.call("POST", "/hub/send", envelope)
    assert (found, answer["code"]) == (status, code)
    assert answer["retryable"] is False
    assert answer["hint"] is None
    assert hub.sent == []


async def test_a_changed_envelope_has_a_wrong_signature(demo: Any, room: str) -> None:
    for change in ({"ttl_sec": 60}, {"reply_to": "h_1"}, {"msg_id": "\ud800"}):
        envelope = demo.envelope(room) | change
        status, answer = await demo.call("POST", "/hub/send", envelope)
        assert (status, answer["code"]) == (400, "signature_verification_failed")


async def test_the_envelopes_of_the_reference_client_are_accepted(
    start_hub: Any, connect: Any
) -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))
    first, second = vectors["env1"]["envelope"], vectors["env2"]["envelope"]
    hub = await start_hub("0.1.1", HubLimits(clock_skew=1e12))
    credentials = {"keyId": first["sig"]["key_id"], "privateKey": vectors["seed_b64"]}
    client = await connect(hub, credentials=credentials)
    assert client.id == vectors["agent_id"]
    hub.add_agent(second["to"])
    assert (await client.call("POST", "/hub/send", second))[0] == 202
    later = {"v": "a2a/0.2", "goal": "ship"}
    later["sig"] = first["sig"] | {"value": vectors["env_v02"]["sig"]}
    for envelope in (first, first | later):
        status, answer = await client.call("POST", "/hub/send", envelope)
        assert (status, answer["code"]) == (404, "room_not_found")


async def test_topic_and_mentions_are_not_signed(demo: Any, room: str) -> None:
    envelope = demo.envelope(room) | {"topic": "plans", "mentions": ["@all"], "goal": "ship"}
    assert (await demo.call("POST", "/hub/send", envelope))[0] == 202


async def test_a_later_version_signs_topic_and_goal_too(demo: Any, room: str) -> None:
    envelope = demo.envelope(room, v="a2a/0.2")
    status, answer = await demo.call("POST", "/hub/send", envelope)
    assert (status, answer["code"]) == (400, "signature_verification_failed")


@pytest.mark.parametrize(
    "change",
    [
        {"ttl_sec": 0},
        {"ts": "now"},
        {"ts": True},
        {"payload": "text"},
        {"sig": {}},
        {"type": "unknown"},
        {"mentions": "@all"},
        {"reply_to": 5},
    ],
)
async def test_a_message_of_the_wrong_form_is_invalid(
    demo: Any, room: str, change: dict[str, Any]
) -> None:
    status, answer = await demo.call("POST", "/hub/send", demo.envelope(room) | change)
    assert status == 422
    assert answer["detail"][0]["loc"][0] == "body"
    envelope = demo.envelope(room)
    del envelope["msg_id"]
    assert (await demo.call("POST", "/hub/send", envelope))[0] == 422


async def test_a_body_that_is_no_json_object_is_invalid(demo: Any) -> None:
    assert (await demo.call("POST", "/hub/send", [1]))[0] == 422
    headers = {"Authorization": f"Bearer {demo.token}"}
    for data in (b"{", b"\xff", b"[" * 100_000):
        async with demo.http.post(f"{demo.url}/hub/send", data=data, headers=headers) as response:
            assert response.status == 422


async def test_another_agents_token_cannot_send(hub: DevHub, demo: Any, connect: Any) -> None:
    other = await connect(hub, "ag_other")
    status, answer = await other.call("POST", "/hub/send", demo.envelope("ag_other"))
    assert (status, answer["code"]) == (403, "sender_does_not_match_token")


async def test_only_members_post_and_only_owners_where_the_room_says_so(
    hub: DevHub, demo: Any
) -> None:
    hub.add_agent("ag_other")
    strange = hub.add_room("Strange", ["ag_other"])
    status, answer = await demo.send(strange)
    assert (status, answer["code"]) == (403, "not_a_member")
    quiet = hub.add_room("Quiet", ["ag_other", "ag_demo"], default_send=False)
    status, answer = await demo.send(quiet)
    assert (status, answer["code"]) == (403, "only_owner_admin_can_post")
    own = hub.add_room("Own", ["ag_demo", "ag_other"], default_send=False)
    assert (await demo.send(own))[0] == 202


async def test_an_agent_has_a_budget_of_messages_which_refused_ones_use_up(
    start_hub: Any, connect: Any
) -> None:
    limits = HubLimits(sends_per_minute=3, sends_per_pair=100)
    hub = await start_hub(limits=limits)
    client = await connect(hub)
    hub.add_agent("ag_peer")
    assert (await client.send("ag_peer", ts=1))[0] == 400
    assert (await client.send("ag_peer", "1"))[0] == 202
    assert (await client.send("ag_peer", "2"))[0] == 202
    async with await client.raw("POST", "/hub/send", client.envelope("ag_peer", ts=1)) as response:
        assert response.status == 429
        assert (await response.json())["code"] == "rate_limit_exceeded"
        assert 0 < int(response.headers["Retry-After"]) <= 60
    [times] = hub.state.sends._times.values()
    times[0] -= limits.rate_window  # as if so much time had passed
    assert (await client.send("ag_peer", "3"))[0] == 202
    assert (await client.send("ag_peer", "4"))[0] == 429


async def test_a_target_has_a_budget_of_its_own(start_hub: Any, connect: Any) -> None:
    hub = await start_hub(limits=HubLimits(sends_per_pair=1))
    client = await connect(hub, "ag_demo")
    hub.add_agent("ag_peer")
    assert (await client.send("ag_peer", "1"))[0] == 202
    status, answer = await client.send("ag_peer", "2")
    assert (status, answer["code"]) == (429, "conversation_rate_limit_exceeded")
    assert (await client.send("rm_dm_ag_demo_ag_peer", "2"))[0] == 202


async def test_the_old_hub_never_says_when_to_try_again(start_hub: Any, connect: Any) -> None:
    hub = await start_hub("0.1.1", HubLimits(sends_per_pair=1))
    client = await connect(hub)
    hub.add_agent("ag_peer")
    await client.send("ag_peer", "1")
    async with await client.raw("POST", "/hub/send", client.envelope("ag_peer")) as response:
        assert response.status == 429
        assert "Retry-After" not in response.headers


async def test_slow_mode_spaces_messages(hub: DevHub, demo: Any) -> None:
    room = hub.add_room("Slow", ["ag_demo"], slow_mode=30)
    began = time.monotonic()
    assert (await demo.send(room, "1"))[0] == 202
    async with await demo.raw("POST", "/hub/send", demo.envelope(room, "2")) as response:
        assert response.status == 429
        assert (await response.json())["code"] == "slow_mode_wait"
        assert 30 - (time.monotonic() - began) <= int(response.headers["Retry-After"]) <= 30


async def test_the_same_payload_twice_in_a_row_is_a_duplicate(
    hub: DevHub, demo: Any, room: str
) -> None:
    assert (await demo.send(room, "same"))[0] == 202
    async with await demo.raw("POST", "/hub/send", demo.envelope(room, "same")) as response:
        assert response.status == 429
        assert (await response.json())["code"] == "duplicate_content"
        assert "Retry-After" not in response.headers
    assert (await demo.send(room, "other"))[0] == 202
    assert (await demo.send(room, "same"))[0] == 202
    hub.add_agent("ag_peer")
    for _ in range(2):
        assert (await demo.send("ag_peer", "same"))[0] == 202


async def test_a_duplicate_is_allowed_again_after_its_window(start_hub: Any, connect: Any) -> None:
    hub = await start_hub(limits=HubLimits(duplicate_window=0.0, sends_per_pair=9))
    client = await connect(hub, "ag_demo")
    room = hub.add_room("Room", ["ag_demo"])
    for _ in range(2):
        assert (await client.send(room, "same"))[0] == 202


@pytest.mark.parametrize(("generation", "status"), [("0.1.1", 429), ("today", 202)])
async def test_only_the_old_hub_refuses_duplicates_to_the_owner(
    start_hub: Any, connect: Any, generation: Any, status: int
) -> None:
    hub = await start_hub(generation)
    client = await connect(hub, "ag_demo")
    hub.owner_says("ag_demo", "hi")
    [item] = await client.inbox()
    assert (await client.send(item["room_id"], "same"))[0] == 202
    assert (await client.send(item["room_id"], "same"))[0] == status


async def test_the_same_envelope_to_an_agent_is_accepted_once(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    envelope = demo.envelope("ag_peer")
    _, first = await demo.call("POST", "/hub/send", envelope)
    _, page = await peer.call("GET", "/hub/inbox")
    status, again = await demo.call("POST", "/hub/send", envelope)
    assert (status, again) == (202, {**first, "status": "delivered"})
    assert page["count"] == 1
    assert await peer.inbox() == []
    assert len(hub.sent) == 1


async def test_the_same_envelope_to_a_room_is_stored_once(
    hub: DevHub, demo: Any, room: str
) -> None:
    envelope = demo.envelope(room, "one")
    _, first = await demo.call("POST", "/hub/send", envelope)
    status, answer = await demo.call("POST", "/hub/send", envelope)
    assert (status, answer["code"]) == (429, "duplicate_content")
    await demo.send(room, "two")
    status, answer = await demo.call("POST", "/hub/send", envelope)
    assert status == 202
    assert answer["hub_msg_id"] != first["hub_msg_id"]
    assert [sent.text for sent in hub.sent] == ["one", "two"]


async def test_an_answer_may_name_either_id_of_a_message_of_the_same_room(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    room = hub.add_room("Room", ["ag_peer", "ag_demo"])
    await peer.send(room, "question")
    [item] = await demo.inbox()
    for target in (item["hub_msg_id"], item["envelope"]["msg_id"]):
        assert (await demo.send(room, f"re {target}", reply_to=target))[0] == 202
    targets = {item["envelope"]["reply_to"] for item in await peer.inbox()}
    assert targets == {item["envelope"]["msg_id"]}
    other = hub.add_room("Other", ["ag_demo"])
    status, answer = await demo.send(other, "x", reply_to=item["hub_msg_id"])
    assert (status, answer["code"]) == (400, "reply_target_cross_room")


async def test_a_payload_with_a_wrong_answered_message_counts_for_duplicates(
    demo: Any, room: str
) -> None:
    assert (await demo.send(room, "x", reply_to="h_unknown"))[0] == 400
    status, answer = await demo.send(room, "x")
    assert (status, answer["code"]) == (429, "duplicate_content")
    assert (await demo.send(room, payload={"text": "x", "attempt": 2}))[0] == 202


async def test_the_old_hub_does_not_look_at_what_is_answered(start_hub: Any, connect: Any) -> None:
    hub = await start_hub("0.1.1")
    client = await connect(hub, "ag_demo")
    peer = await connect(hub, "ag_peer")
    assert (await client.send("ag_peer", reply_to="h_unknown"))[0] == 202
    [item] = await peer.inbox()
    assert item["envelope"]["reply_to"] == "h_unknown"


async def test_topics_are_found_by_title_in_their_room(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    room = hub.add_room("Room", ["ag_demo", "ag_peer"])
    _, first = await demo.send(room, "1", topic="plans")
    envelope = demo.envelope(room, "2")
    _, second = await demo.call("POST", "/hub/send?topic=plans", envelope)
    envelope = demo.envelope(room, "3", topic="other")
    _, third = await demo.call("POST", "/hub/send?topic=plans", envelope)
    assert first["topic_id"] == second["topic_id"] != third["topic_id"]
    _, by_id = await demo.send(room, "4", topic=first["topic_id"])
    assert by_id["topic_id"] != first["topic_id"]
    items = await peer.inbox()
    assert [item["topic"] for item in items] == ["plans", "plans", "other", first["topic_id"]]


async def test_results_close_topics_and_goals_open_them_again(
    hub: DevHub, demo: Any, room: str
) -> None:
    topics = hub.state.rooms[room].topics
    await demo.send(room, "1", topic="plans")
    await demo.send(room, "2", topic="plans", type="result")
    assert topics["plans"].status == "completed"
    error = {"error": {"code": "agent_error", "message": "broke"}}
    await demo.send(room, topic="plans", type="error", payload=error)
    assert topics["plans"].status == "failed"
    assert hub.sent[-1].text == "broke"
    await demo.send(room, "3", topic="plans", goal="ship it")
    assert (topics["plans"].status, topics["plans"].goal) == ("open", "ship it")


async def test_a_contact_request_belongs_to_no_room(hub: DevHub, demo: Any, connect: Any) -> None:
    peer = await connect(hub, "ag_peer")
    status, _ = await demo.send("ag_peer", type="contact_request", payload={"message": "hi"})
    assert status == 202
    [item] = await peer.inbox()
    assert (item["room_id"], item["room_name"], item["text"]) == (None, None, "hi")


async def test_what_the_hubs_database_has_no_room_for_breaks_it(demo: Any, room: str) -> None:
    for changes in ({"msg_id": "m" * 65}, {"topic": "t" * 257}):
        status, answer = await demo.send(room, str(changes), **changes)
        assert (status, answer) == (500, "Internal Server Error")
    async with await demo.raw("POST", "/hub/send", demo.envelope(room, msg_id="x" * 65)) as found:
        assert found.content_type == "text/plain"
        assert found.headers["Connection"] == "close"


async def test_a_text_of_one_mebibyte_is_accepted(hub: DevHub, demo: Any, room: str) -> None:
    body = io.BytesIO(json.dumps(demo.envelope(room, "x" * (1 << 20))).encode())
    headers = {"Authorization": f"Bearer {demo.token}"}
    async with demo.http.post(f"{demo.url}/hub/send", data=body, headers=headers) as response:
        assert response.status == 202
    assert len(hub.sent[0].text) == 1 << 20


async def test_the_status_of_a_message_is_told_to_its_sender(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    peer = await connect(hub, "ag_peer")
    envelope = demo.envelope("ag_peer")
    path = f"/hub/status/{envelope['msg_id']}"
    status, answer = await demo.call("GET", path)
    assert (status, answer["code"]) == (404, "message_not_found")
    await demo.call("POST", "/hub/send", envelope)
    _, answer = await demo.call("GET", path)
    assert (answer["state"], answer["delivered_at"], answer["last_error"]) == ("queued", None, None)
    [item] = await peer.inbox()
    assert (await demo.call("GET", path))[1]["state"] == "processing"
    await peer.call("POST", "/hub/inbox/ack", {"message_ids": [item["hub_msg_id"]]})
    _, answer = await demo.call("GET", path)
    assert (answer["state"], answer["acked_at"] >= answer["created_at"]) == ("acked", True)
    assert (await peer.call("GET", path))[0] == 404


async def test_waiting_for_messages_can_be_particular(hub: DevHub, demo: Any, room: str) -> None:
    await demo.send(room, "one")
    async with asyncio.TaskGroup() as group:
        wanted = hub.wait_sent(matching=lambda sent: sent.text == "two", timeout=PATIENCE)
        waiting = group.create_task(wanted)
        await demo.send(room, "two")
    assert [sent.text for sent in waiting.result()] == ["two"]
    with pytest.raises(TimeoutError, match="/hub/send"):
        await hub.wait_sent(3, timeout=0.01)
