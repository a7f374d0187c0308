import base64
from typing import Any

import pytest
from aiohttp import ClientSession
from nacl.signing import SigningKey

from sidecar.devhub import DevHub, HubLimits


async def test_a_signed_nonce_gives_a_token_that_works(demo: Any) -> None:
    status, answer = await demo.refresh()
    assert status == 200
    assert answer["claim_url"] is None
    assert answer["agent_token"].count(".") == 2
    assert (await demo.call("GET", "/hub/inbox"))[0] == 200


async def test_a_nonce_works_once(demo: Any) -> None:
    nonce = bytes(32)
    proof = {"nonce": base64.b64encode(nonce).decode(), "sig": demo.sign(nonce)}
    assert (await demo.refresh(**proof))[0] == 200
    status, answer = await demo.refresh(**proof)
    assert (status, answer["code"]) == (409, "nonce_already_used")


async def test_a_wrong_signature_or_key_gives_no_token(hub: DevHub, demo: Any) -> None:
    other = SigningKey.generate()
    wrong = base64.b64encode(other.sign(bytes(32)).signature).decode()
    nonce = base64.b64encode(bytes(32)).decode()
    status, answer = await demo.refresh(nonce=nonce, sig=wrong)
    assert (status, answer["code"]) == (401, "signature_verification_failed")
    status, answer = await demo.refresh(sig="no base64!")
    assert (status, answer["code"]) == (401, "signature_verification_failed")
    status, answer = await demo.refresh(nonce="no base64!")
    assert (status, answer["code"]) == (401, "signature_verification_failed")
    status, answer = await demo.refresh(key_id="k_000000000000")
    assert (status, answer["code"]) == (404, "key_not_found")
    hub.revoke_key("ag_demo")
    status, answer = await demo.refresh()
    assert (status, answer["code"]) == (403, "key_not_active")


async def test_today_only_the_newest_token_works_but_for_stream_blocks(demo: Any) -> None:
    old = demo.token
    await demo.refresh()
    status, answer = await demo.call("GET", "/hub/inbox", token=old)
    assert (status, answer["code"]) == (401, "invalid_token")
    block = {"trace_id": "h_1", "seq": 1, "block": {}}
    assert (await demo.call("POST", "/hub/stream-block", block, token=old))[0] == 204


async def test_the_old_hub_takes_every_token_that_has_not_expired(
    start_hub: Any, connect: Any
) -> None:
    client = await connect(await start_hub("0.1.1"))
    old = client.token
    _, answer = await client.refresh()
    assert answer["min_plugin_version"] == "0.2.0"
    assert (await client.call("GET", "/hub/inbox", token=old))[0] == 200


async def test_an_expired_or_revoked_token_is_refused(start_hub: Any, connect: Any) -> None:
    client = await connect(await start_hub(limits=HubLimits(token_ttl=-1.0)))
    status, answer = await client.call("GET", "/hub/inbox")
    assert (status, answer["code"]) == (401, "token_expired")
    hub = await start_hub()
    client = await connect(hub)
    hub.revoke_token(client.id)
    status, answer = await client.call("GET", "/hub/inbox")
    assert (status, answer["code"]) == (401, "invalid_token")
    await client.refresh()
    assert (await client.call("GET", "/hub/inbox"))[0] == 200


@pytest.mark.parametrize(("generation", "status"), [("0.1.1", 422), ("today", 401)])
async def test_a_request_without_a_token_is_refused(
    start_hub: Any, connect: Any, generation: Any, status: int
) -> None:
    client = await connect(await start_hub(generation))
    found, answer = await client.call("GET", "/hub/inbox", token=None)
    assert found == status
    if status == 401:
        assert answer["code"] == "invalid_authorization_header"
    else:
        assert answer["detail"][0]["loc"] == ["header", "authorization"]


async def test_an_unclaimed_agent_is_refused_where_the_hub_refuses_it(
    hub: DevHub, demo: Any
) -> None:
    hub.unclaim("ag_demo")
    status, answer = await demo.send("ag_demo")
    assert (status, answer["code"]) == (403, "agent_not_claimed")
    assert "/agents/claim/clm_" in answer["claim_url"]
    status, answer = await demo.call("GET", "/hub/inbox")
    assert (status, answer["code"]) == (403, "agent_not_claimed_generic")
    assert "claim_url" not in answer
    block = {"trace_id": "h_1", "seq": 1, "block": {}}
    assert (await demo.call("POST", "/hub/stream-block", block))[0] == 204
    assert (await demo.refresh())[0] == 200
    socket = await demo.socket()
    assert (await socket.receive_json())["type"] == "auth_ok"
    await socket.close()


async def test_credentials_of_an_earlier_run_are_registered_again(
    http: ClientSession, start_hub: Any, connect: Any
) -> None:
    first = await start_hub()
    document = {**first.add_agent("demo", name="Demo"), "token": "old", "runtime": "claude-code"}
    room = first.add_room("Room", ["demo"])
    second = await start_hub()
    again = second.add_agent("demo", credentials=document)
    assert again["hubUrl"] == second.url
    assert again["runtime"] == "claude-code"
    assert "token" not in again
    same = ("agentId", "keyId", "privateKey", "publicKey", "displayName")
    assert {key: again[key] for key in same} == {key: document[key] for key in same}
    assert second.add_agent("demo", credentials=again).keys() == again.keys()
    client = await connect(second, credentials=document)
    assert (await client.call("GET", "/hub/inbox"))[0] == 200
    assert second.add_room("Room", ["demo"]) == room


async def test_credentials_in_the_older_spelling_are_registered_too(hub: DevHub) -> None:
    seed = base64.b64encode(bytes(range(32))).decode()
    old = {"hub": "http://x", "private_key": seed, "display_name": "Old", "key_id": "k_1"}
    document = hub.add_agent(credentials=old)
    assert document["agentId"] == "ag_ff73a0647bbc"
    assert document["displayName"] == "Old"
    assert document["keyId"] == "k_1"
    assert "hub" not in document


async def test_credentials_that_do_not_fit_are_refused(hub: DevHub) -> None:
    document = hub.add_agent("demo")
    with pytest.raises(ValueError, match="belong to demo"):
        hub.add_agent("other", credentials=document)
    with pytest.raises(ValueError, match="bytes"):
        hub.add_agent("demo", credentials={})
    with pytest.raises(ValueError, match="another key"):
        hub.add_agent("demo", credentials={**document, "privateKey": "A" * 43 + "="})
    with pytest.raises(ValueError, match="base64"):
        hub.add_agent("demo", credentials={**document, "privateKey": "?"})


async def test_a_hub_that_was_not_started_gives_no_credentials() -> None:
    with pytest.raises(RuntimeError, match="start the Hub"):
        DevHub().add_agent("demo")
