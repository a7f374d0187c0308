import asyncio
from typing import Any

import pytest

from sidecar.codecs.hub.signing import envelope_input, payload_hash, verify
from sidecar.devhub import DevHub, HubLimits
from tests.patience import PATIENCE, until

HASTY = HubLimits(lease=0.05, sweep=0.02)


async def test_a_poll_without_ack_false_delivers_for_good(hub: DevHub, demo: Any) -> None:
    message = hub.owner_says("ag_demo", "hi")
    status, page = await demo.call("GET", "/hub/inbox")
    assert status == 200
    assert [item["hub_msg_id"] for item in page["messages"]] == [message]
    assert hub.unacknowledged("ag_demo") == []
    assert await demo.call("POST", "/hub/inbox/ack", {"message_ids": [message]}) == (
        200,
        {"acked": 0},
    )


async def test_a_leased_message_is_hidden_and_acknowledged_once(hub: DevHub, demo: Any) -> None:
    message = hub.owner_says("ag_demo", "hi")
    assert len(await demo.inbox()) == 1
    assert await demo.inbox() == []
    assert hub.unacknowledged("ag_demo") == [message]
    ids = {"message_ids": [message, "h_unknown", message]}
    assert await demo.call("POST", "/hub/inbox/ack", ids) == (200, {"acked": 1})
    assert await demo.call("POST", "/hub/inbox/ack", ids) == (200, {"acked": 0})
    assert hub.unacknowledged("ag_demo") == []


async def test_nobody_acknowledges_the_mail_of_another(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    other = await connect(hub)
    message = hub.owner_says("ag_demo", "hi")
    _, answer = await other.call("POST", "/hub/inbox/ack", {"message_ids": [message]})
    assert answer == {"acked": 0}
    assert hub.unacknowledged("ag_demo") == [message]


async def test_a_lease_that_ran_out_brings_the_same_message_again_in_its_old_place(
    start_hub: Any, connect: Any
) -> None:
    hub = await start_hub(limits=HASTY)
    client = await connect(hub, "ag_demo")
    socket = await client.socket()
    assert (await socket.receive_json())["type"] == "auth_ok"
    first = hub.owner_says("ag_demo", "first")
    assert len(await client.inbox()) == 1
    second = hub.owner_says("ag_demo", "second")
    for _ in range(3):  # of the first one, the second one, and the first one again
        assert await socket.receive_json() == {"type": "inbox_update"}
    assert [item["hub_msg_id"] for item in await client.inbox()] == [first, second]


async def test_a_renewed_lease_does_not_run_out(start_hub: Any, connect: Any) -> None:
    hub = await start_hub(limits=HubLimits(lease=PATIENCE, sweep=PATIENCE))
    client = await connect(hub, "ag_demo")
    renewed = hub.owner_says("ag_demo", "renewed")
    left = hub.owner_says("ag_demo", "left")
    assert len(await client.inbox()) == 2
    for copy in hub.state.agent("ag_demo").inbox._leased.values():
        copy.leased_until -= PATIENCE  # as if so much time had passed
    ids = {"message_ids": [renewed, "h_unknown"]}
    assert (await client.call("POST", "/hub/inbox/lease/renew", ids))[1] == {"renewed": 1}
    hub.state.sweep()
    assert [item["hub_msg_id"] for item in await client.inbox()] == [left]


async def test_a_page_is_the_oldest_and_tells_whether_more_wait(hub: DevHub, demo: Any) -> None:
    sent = [hub.owner_says("ag_demo", str(number)) for number in range(12)]
    _, page = await demo.call("GET", "/hub/inbox?ack=false")
    assert [item["hub_msg_id"] for item in page["messages"]] == sent[:10]
    assert (page["count"], page["has_more"]) == (10, True)
    _, page = await demo.call("GET", "/hub/inbox?ack=false&limit=2")
    assert (page["count"], page["has_more"]) == (2, False)


async def test_a_poll_can_ask_for_one_room(hub: DevHub, demo: Any) -> None:
    person = hub.add_person("Ann")
    room = hub.add_room("Room", [person, "ag_demo"])
    hub.owner_says("ag_demo", "elsewhere")
    [wanted] = hub.say(person, room, "here")
    assert [item["hub_msg_id"] for item in await demo.inbox(room_id=room)] == [wanted]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=51", "limit=x", "limit=1.5", "timeout=31", "timeout=-1", "ack=maybe"],
)
async def test_a_poll_out_of_range_is_invalid(demo: Any, query: str) -> None:
    status, answer = await demo.call("GET", f"/hub/inbox?{query}")
    assert status == 422
    assert answer["detail"][0]["loc"] == ["query", query.split("=")[0]]


async def test_a_long_poll_returns_as_soon_as_mail_comes(hub: DevHub, demo: Any) -> None:
    async with asyncio.TaskGroup() as group:
        polling = group.create_task(demo.inbox(timeout=30))
        await until(lambda: hub.requests["/hub/inbox"])
        hub.owner_says("ag_demo", "hi")
    assert [item["text"] for item in polling.result()] == ["hi"]
    assert await demo.inbox(timeout=0.01) == []


async def test_a_stopping_hub_does_not_wait_for_long_polls(hub: DevHub, demo: Any) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        polling = group.create_task(demo.inbox(timeout=30))
        await until(lambda: hub.requests["/hub/inbox"])
        await hub.stop()
    assert polling.result() == []


async def test_a_raw_item_arrives_as_it_is(hub: DevHub, demo: Any) -> None:
    items = [None, 7, {"hub_msg_id": 3}, {"hub_msg_id": "h_1", "envelope": None, "text": "\ud800"}]
    for item in items:
        hub.put_raw("ag_demo", item)
    assert await demo.inbox() == items
    assert hub.last_item("ag_demo") == items[-1]
    _, answer = await demo.call("POST", "/hub/inbox/ack", {"message_ids": ["h_1"]})
    assert answer == {"acked": 1}
    hub.put_raw("ag_demo", items[-1])
    assert await demo.inbox() == items[-1:]


async def test_a_message_of_the_owner_has_the_form_of_the_hubs(hub: DevHub, demo: Any) -> None:
    message = hub.owner_says("ag_demo", "Owner says: status?")
    [item] = await demo.inbox()
    envelope = item["envelope"]
    assert item["hub_msg_id"] == message
    assert (envelope["from"], envelope["to"], envelope["type"]) == ("ag_demo", "ag_demo", "message")
    assert envelope["sig"] == {"alg": "ed25519", "key_id": "dashboard", "value": ""}
    assert envelope["payload"] == {"text": "Owner says: status?"}
    assert (envelope["payload_hash"], envelope["trace_id"]) == ("", None)
    assert item["room_id"].startswith("rm_oc_")
    assert (item["room_name"], item["room_member_count"]) == ("Demo", 2)
    assert (item["my_role"], item["my_can_send"], item["mentioned"]) == ("owner", True, True)
    assert (item["source_type"], item["source_session_kind"]) == (
        "dashboard_user_chat",
        "owner_chat",
    )
    assert item["source_user_name"] == "Owner"
    assert item["reply_preview"] is None


async def test_the_old_hubs_owner_room_has_the_agent_alone(start_hub: Any, connect: Any) -> None:
    hub = await start_hub("0.1.1")
    client = await connect(hub, "ag_demo", name="Demo")
    hub.owner_says("ag_demo", "hi")
    [item] = await client.inbox()
    assert (item["room_name"], item["room_member_names"]) == ("Chat with Demo", ["Demo"])
    assert item["text"] == "hi"
    assert "reply_preview" not in item
    assert "trace_id" not in item["envelope"]


async def test_a_message_of_a_person_has_the_form_of_the_hubs(hub: DevHub, demo: Any) -> None:
    person = hub.add_person("Ann")
    room = hub.add_room("Room", [person, "ag_demo"], rule="Be brief.")
    hub.say(person, room, "hello", topic="plans")
    hub.say(person, room, "hey", mentions=["@all"])
    first, second = await demo.inbox()
    assert first["envelope"]["from"] == person
    assert first["envelope"]["sig"] == {"alg": "ed25519", "key_id": "dashboard-human", "value": ""}
    assert (first["source_type"], first["source_session_kind"], first["source_user_name"]) == (
        "dashboard_human_room",
        "room_human",
        "Ann",
    )
    assert (first["room_name"], first["room_rule"]) == ("Room", "Be brief.")
    assert (first["topic"], first["topic_id"][:3], first["text"]) == ("plans", "tp_", "hello")
    assert (first["mentioned"], second["mentioned"], second["topic"]) == (False, True, None)
    assert (first["my_role"], sorted(first["room_member_names"])) == (
        "member",
        sorted(["Demo", person]),
    )


async def test_the_old_hub_writes_rooms_topics_and_senders_into_the_text(
    start_hub: Any, connect: Any
) -> None:
    hub = await start_hub("0.1.1")
    client = await connect(hub, "ag_demo", name="Demo")
    hub.add_agent("ag_peer", name="Peer")
    person = hub.add_person("Ann")
    room = hub.add_room("Room", [person, "ag_demo", "ag_peer"], rule="Be brief.")
    hub.say("ag_peer", room, "hello", topic="plans", mentions=["ag_demo"])
    hub.say("ag_peer", "ag_demo", "just us")
    hub.say(person, "ag_demo", "me too")
    texts = [item["text"].splitlines() for item in await client.inbox()]
    assert texts[0][0].startswith("[群聊「Room」(rm_")
    assert texts[0][1] == "[房间规则] Be brief."
    assert texts[0][2].startswith("[系统提示]")
    assert texts[0][3].startswith("【Topic: plans | ID: tp_")
    assert texts[0][4:] == [
        "【Mentions: ag_demo】",
        "【⚠️ You were mentioned】",
        "Peer (ag_peer) says: hello",
    ]
    assert texts[1] == ["Peer (ag_peer) says: just us"]
    assert texts[2] == [f"{person} says: me too"]


async def test_attachments_follow_the_text(hub: DevHub, demo: Any) -> None:
    person = hub.add_person("Ann")
    files = [
        {"filename": "a.txt", "url": "/hub/files/f_1", "size_bytes": 3},
        {"filename": "b", "url": "https://example.org/b"},
    ]
    hub.say(person, "ag_demo", "", payload={"text": "see", "attachments": files})
    [item] = await demo.inbox()
    assert item["text"].splitlines() == [
        "see",
        "【Attachments】",
        f"  📎 a.txt, 3 bytes: {hub.url}/hub/files/f_1",
        "  📎 b: https://example.org/b",
    ]


async def test_an_answer_shows_what_it_answers(hub: DevHub, demo: Any, connect: Any) -> None:
    peer = await connect(hub, "ag_peer", name="Peer")
    await demo.send("ag_peer", "question?")
    [question] = await peer.inbox()
    hub.say("ag_peer", "ag_demo", "answer", reply_to=question["hub_msg_id"])
    [item] = await demo.inbox()
    assert item["envelope"]["reply_to"] == question["envelope"]["msg_id"]
    assert item["reply_preview"]["text_preview"] == "question?"
    assert item["reply_preview"]["sender_display_name"] == "Demo"


async def test_a_played_agents_message_carries_a_right_signature(hub: DevHub, demo: Any) -> None:
    document = hub.add_agent("ag_peer")
    hub.say("ag_peer", "ag_demo", "signed")
    [item] = await demo.inbox()

    envelope = item["envelope"]
    assert envelope["payload_hash"] == payload_hash(envelope["payload"])
    signature = envelope["sig"]["value"]
    assert verify(str(document["publicKey"]), envelope_input(envelope), signature)
    assert item["room_id"] == "rm_dm_ag_demo_ag_peer"
    assert item["mentioned"] is True


async def test_people_cannot_speak_where_they_are_not(hub: DevHub, demo: Any) -> None:
    person = hub.add_person("Ann")
    room = hub.add_room("Room", ["ag_demo"])
    with pytest.raises(ValueError, match="not a member"):
        hub.say(person, room, "hi")
    with pytest.raises(ValueError, match="no such room"):
        hub.say(person, "rm_unknown", "hi")
    with pytest.raises(ValueError, match="no such agent"):
        hub.say(person, "ag_unknown", "hi")
    with pytest.raises(ValueError, match="no such agent"):
        hub.say("hu_unknown", "ag_demo", "hi")
    with pytest.raises(ValueError, match="no such member"):
        hub.add_room("Other", ["ag_unknown"])
