"""A Hub that misbehaves and strange messages: nothing crashes, nothing is lost in silence."""

import copy
from typing import Any

ERROR = {"status": 500, "body": b"Internal Server Error"}
LIMIT = {"status": 429, "headers": {"Retry-After": "1"}}
REFUSED = {"status": 401}
PAGE = {"status": 200, "body": b"<html>maintenance</html>"}
HALF = {"status": 200, "body": b'{"messages": [{"hub_msg'}
NOTHING = {"status": 200, "body": b""}
CUT = {"reset": True}


async def test_a_broken_inbox_answer_only_delays_the_message(world: Any) -> None:
    await world.start()
    said = []
    for number, fault in enumerate((ERROR, LIMIT, REFUSED, PAGE, HALF, NOTHING, CUT), 1):
        world.hub.faults.add("/hub/inbox", **fault)
        world.hub.owner_says("demo", f"say through {number}")
        said.append(f"through {number}")
        assert await world.replies(number) == said, fault


async def test_a_broken_answer_to_a_reply_only_delays_the_reply(world: Any) -> None:
    await world.start()
    said = []
    for number, fault in enumerate((ERROR, LIMIT, REFUSED, PAGE, CUT), 1):
        world.hub.faults.add("/hub/send", **fault)
        world.hub.owner_says("demo", f"say through {number}")
        said.append(f"through {number}")
        assert await world.replies(number) == said, fault


async def test_strange_messages_are_acknowledged_and_do_not_hold_up_a_good_one(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "say first")
    await world.replies(1)
    good = world.hub.last_item("demo")
    for number, change in enumerate(
        [
            {"text": None, "envelope": None},
            {"envelope": 7},
            {"room_id": None},
            {"envelope": {**good["envelope"], "type": "brand_new"}},
            {"envelope": {**good["envelope"], "payload": {}}},
            {"envelope": {**good["envelope"], "payload": {"text": "   "}}},
            {"envelope": {**good["envelope"], "payload": "x" * 1000, "type": "contact_request"}},
        ]
    ):
        world.hub.put_raw("demo", {**copy.deepcopy(good), "hub_msg_id": f"h_bad{number}", **change})
    world.hub.put_raw("demo", {**good, "hub_msg_id": None})
    world.hub.put_raw("demo", ["not", "an", "object"])
    world.hub.owner_says("demo", "say second")
    assert await world.replies(2) == ["first", "second"]
    assert world.runs == ["say first", "say second"]


async def test_a_text_of_one_mebibyte_reaches_the_agent(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", f"{'x' * (1 << 20)}\nsay got it")
    assert await world.replies(1) == ["got it"]


async def test_nul_and_half_characters_in_a_text_break_nothing(world: Any) -> None:
    await world.start()
    world.hub.owner_says("demo", "a\x00b \ud800 c\nsay fine")
    world.hub.owner_says("demo", "say next")
    assert "next" in (await world.replies(1))[-1]


async def test_it_connects_again_after_the_hub_restarts_and_misses_nothing(world: Any) -> None:
    await world.start()
    world.hub.faults.add("/hub/send", status=503, headers={"Retry-After": "600"})
    world.hub.owner_says("demo", "say before")
    await world.until(lambda: "next try in 600.0 s" in world.log.read_text())
    world.hub.drop_sockets(1012)
    world.hub.owner_says("demo", "say while away")
    assert await world.replies(2) == ["before", "while away"]
    await world.until(lambda: world.hub.connects("demo") == 2)


async def test_a_revoked_token_is_replaced(world: Any) -> None:
    await world.start()
    world.hub.revoke_token("demo")
    world.hub.drop_sockets(4001)
    world.hub.owner_says("demo", "say with a new token")
    assert await world.replies(1) == ["with a new token"]


async def test_an_agent_that_nobody_claims_stops_with_a_reason_and_a_save_tries_again(
    world: Any,
) -> None:
    await world.start()
    world.hub.unclaim("demo")
    world.hub.drop_sockets(1012)

    async def stopped() -> bool:
        told = (await world.status())["channels"]["demo"]
        return (told["state"], "agent_not_claimed" in told["reason"]) == ("stopped", True)

    await world.until(stopped)
    await world.until(lambda: "agent_not_claimed" in world.log.read_text())
