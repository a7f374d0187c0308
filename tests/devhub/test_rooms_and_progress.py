from typing import Any

import pytest

from sidecar.devhub import DevHub, HubLimits
from tests.patience import PATIENCE

BLOCK = {"kind": "assistant", "seq": 1, "payload": {"text": "hi"}}


async def stream(client: Any, trace: str, seq: int = 1) -> int:
    body = {"trace_id": trace, "seq": seq, "block": BLOCK}
    status, _ = await client.call("POST", "/hub/stream-block", body)
    return int(status)


async def test_a_room_is_shown_to_its_members(hub: DevHub, demo: Any) -> None:
    person = hub.add_person("Ann")
    room = hub.add_room("Launch", [person, "ag_demo"], rule="Be brief.", description="Where")
    status, found = await demo.call("GET", f"/hub/rooms/{room}")
    assert status == 200
    assert (found["room_id"], found["name"], found["rule"]) == (room, "Launch", "Be brief.")
    assert (found["description"], found["owner_id"], found["member_count"]) == ("Where", person, 2)
    ann, agent = found["members"]
    assert (ann["agent_id"], ann["display_name"], ann["role"]) == (person, None, "owner")
    assert (agent["agent_id"], agent["display_name"], agent["role"]) == (
        "ag_demo",
        "Demo",
        "member",
    )
    assert (agent["online"], agent["participant_type"]) == (False, "agent")
    socket = await demo.socket()
    await socket.receive_json()
    _, found = await demo.call("GET", f"/hub/rooms/{room}")
    assert found["members"][1]["online"] is True


async def test_other_rooms_are_not_shown(hub: DevHub, demo: Any) -> None:
    room = hub.add_room("Strange", [hub.add_person("Ann")])
    status, answer = await demo.call("GET", f"/hub/rooms/{room}")
    assert (status, answer["code"]) == (403, "not_a_member")
    status, answer = await demo.call("GET", "/hub/rooms/rm_unknown")
    assert (status, answer["code"]) == (404, "room_not_found")
    status, answer = await demo.call("GET", f"/hub/rooms/{room}/messages")
    assert (status, answer["code"]) == (403, "not_a_member")


async def test_two_rooms_and_two_people_of_one_name_are_two(hub: DevHub, demo: Any) -> None:
    assert hub.add_room("Room", ["ag_demo"]) != hub.add_room("Room", ["ag_demo"])
    assert hub.add_person("Ann") != hub.add_person("Ann")


async def test_the_history_of_a_room_is_newest_first_and_can_be_paged(
    hub: DevHub, demo: Any
) -> None:
    person = hub.add_person("Ann")
    room = hub.add_room("Room", [person, "ag_demo"])
    ids = [hub.say(person, room, str(number), topic="t")[0] for number in range(4)]
    await demo.send(room, "mine")

    async def texts(query: str) -> tuple[list[str], bool]:
        _, page = await demo.call("GET", f"/hub/rooms/{room}/messages?{query}")
        return [item["text"] for item in page["messages"]], page["has_more"]

    assert await texts("limit=2") == (["mine", "3"], True)
    assert await texts(f"before={ids[2]}") == (["1", "0"], False)
    assert await texts(f"after={ids[2]}") == (["mine", "3"], False)
    assert await texts("sender_id=ag_demo") == (["mine"], False)
    _, page = await demo.call("GET", f"/hub/rooms/{room}/messages?sender_id={person}&limit=1")
    [item] = page["messages"]
    assert (item["hub_msg_id"], item["from"], item["from_name"]) == (ids[3], person, "Ann")
    assert (item["type"], item["topic_title"]) == ("message", "t")
    assert (await texts(f"topic_id={item['topic_id']}"))[0] == ["3", "2", "1", "0"]
    status, _ = await demo.call("GET", f"/hub/rooms/{room}/messages?limit=51")
    assert status == 422


async def test_blocks_of_the_owners_message_are_shown_until_the_reply(
    hub: DevHub, demo: Any
) -> None:
    trace = hub.owner_says("ag_demo", "hi")
    [item] = await demo.inbox()
    assert await stream(demo, trace, 1) == 204
    assert await stream(demo, trace, 2) == 204
    assert [(block.trace_id, block.seq) for block in hub.blocks] == [(trace, 1), (trace, 2)]
    assert (hub.blocks[0].agent, hub.blocks[0].room, hub.blocks[0].block) == (
        "ag_demo",
        item["room_id"],
        BLOCK,
    )
    await demo.send(item["room_id"], "reply", trace_id=trace)
    assert hub.ended == [trace]
    assert await stream(demo, trace, 3) == 204
    assert len(hub.blocks) == 2


async def test_a_reply_ends_the_stream_that_it_names_and_all_when_it_names_none(
    hub: DevHub, demo: Any
) -> None:
    first, second, third = (hub.owner_says("ag_demo", text) for text in "abc")
    room = (await demo.inbox())[0]["room_id"]
    await demo.send(room, "to the second", trace_id=second)
    assert hub.ended == [second]
    await demo.send(room, "to whom?")
    assert hub.ended[0] == second
    assert set(hub.ended[1:]) == {first, third}


async def test_a_stream_can_end_without_a_reply(hub: DevHub, demo: Any) -> None:
    trace = hub.owner_says("ag_demo", "hi")
    for _ in range(2):
        assert (await demo.call("POST", "/hub/stream-end", {"trace_id": trace}))[0] == 204
    assert (await demo.call("POST", "/hub/stream-end", {"trace_id": "h_unknown"}))[0] == 204
    assert hub.ended == [trace]
    await stream(demo, trace)
    assert hub.blocks == []


async def test_blocks_of_no_or_of_another_agents_stream_vanish(
    hub: DevHub, demo: Any, connect: Any
) -> None:
    other = await connect(hub, "ag_other")
    trace = hub.owner_says("ag_demo", "hi")
    assert await stream(other, trace) == 204
    assert await stream(demo, "h_unknown") == 204
    person = hub.add_person("Ann")
    assert await stream(demo, hub.say(person, "ag_demo", "no owner")[0]) == 204
    assert hub.blocks == []


async def test_blocks_beyond_the_limit_vanish(start_hub: Any, connect: Any) -> None:
    hub = await start_hub(limits=HubLimits(blocks_per_trace=2))
    client = await connect(hub, "ag_demo")
    trace = hub.owner_says("ag_demo", "hi")
    for seq in (1, 2, 3):
        assert await stream(client, trace, seq) == 204
    assert [block.seq for block in hub.blocks] == [1, 2]


@pytest.mark.parametrize(
    "change", [{"seq": 0}, {"seq": "1"}, {"block": []}, {"trace_id": "h" * 49}, {"trace_id": None}]
)
async def test_a_block_of_the_wrong_form_is_invalid(demo: Any, change: dict[str, Any]) -> None:
    body = {"trace_id": "h_1", "seq": 1, "block": BLOCK} | change
    assert (await demo.call("POST", "/hub/stream-block", body))[0] == 422


async def test_typing_is_told_to_the_other_agents_of_a_room(start_hub: Any, connect: Any) -> None:
    hub = await start_hub(limits=HubLimits(typing_interval=PATIENCE))
    demo, peer = await connect(hub, "ag_demo", name="Demo"), await connect(hub, "ag_peer")
    room = hub.add_room("Room", ["ag_demo", "ag_peer"])
    socket = await peer.socket()
    assert (await socket.receive_json())["type"] == "auth_ok"
    for _ in range(2):
        assert (await demo.call("POST", "/hub/typing", {"room_id": room}))[0] == 204
    hub.say("ag_demo", room, "done")
    assert await socket.receive_json() == {
        "type": "typing",
        "agent_id": "ag_demo",
        "room_id": room,
        "sender_name": "Demo",
    }
    assert await socket.receive_json() == {"type": "inbox_update"}
    assert [(typing.agent, typing.room) for typing in hub.typing] == [("ag_demo", room)] * 2


async def test_typing_has_a_limit_without_a_code_and_wants_membership(
    start_hub: Any, connect: Any
) -> None:
    hub = await start_hub(limits=HubLimits(typing_per_minute=1))
    client = await connect(hub, "ag_demo")
    room = hub.add_room("Room", ["ag_demo"])
    assert (await client.call("POST", "/hub/typing", {"room_id": room}))[0] == 204
    status, answer = await client.call("POST", "/hub/typing", {"room_id": room})
    assert status == 429
    assert "code" not in answer
    assert answer["detail"] == answer["error"]
    strange = hub.add_room("Strange", [hub.add_person("Ann")])
    assert (await client.call("POST", "/hub/typing", {"room_id": strange}))[0] == 403


async def test_a_notice_is_shown_to_the_owner_and_is_in_no_inbox(
    start_hub: Any, connect: Any
) -> None:
    hub = await start_hub(limits=HubLimits(notices_per_minute=2))
    client = await connect(hub, "ag_demo")
    for text, status in (("", 422), ("x" * 8001, 422), ("one", 204), ("two", 204), ("three", 429)):
        told, _ = await client.call("POST", "/hub/notify-owner", {"text": text})
        assert told == status, text
    assert hub.notices == ["one", "two"]
    [room] = [room for id_, room in hub.state.rooms.items() if id_.startswith("rm_oc_")]
    assert [(post.author, post.text) for post in room.posts] == [("agent", "one"), ("agent", "two")]
    _, inbox = await client.call("GET", "/hub/inbox?ack=false")
    assert inbox["messages"] == []


async def test_the_attention_policy_is_always(demo: Any) -> None:
    status, answer = await demo.call("GET", "/hub/attention-policy?room_id=rm_1")
    assert status == 200
    assert answer == {"mode": "always", "keywords": [], "allowedSenderIds": []}


async def test_the_old_hub_lacks_the_newer_routes(start_hub: Any, connect: Any) -> None:
    hub = await start_hub("0.1.1")
    client = await connect(hub)
    for method, path in (
        ("POST", "/hub/inbox/lease/renew"),
        ("POST", "/hub/stream-end"),
        ("GET", "/hub/attention-policy"),
    ):
        status, answer = await client.call(method, path, {} if method == "POST" else None)
        assert status == 404
        assert answer == {
            "detail": "Not Found",
            "error": "Not Found",
            "hint": None,
            "retryable": False,
        }


async def test_nobody_registers_and_wrong_methods_are_refused(demo: Any) -> None:
    assert (await demo.call("POST", "/registry/agents", {}))[0] == 405
    async with await demo.raw("DELETE", "/hub/send") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
    assert (await demo.call("GET", "/hub/memory/default"))[0] == 404
    assert await demo.call("GET", "/health", token=None) == (200, {"status": "ok"})
