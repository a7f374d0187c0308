"""Agents that register themselves at the Hub of daemon 0.1.1."""

import base64
from typing import Any

import pytest

from sidecar.codecs.hub.signing import agent_id, public_key, sign_challenge, signing_key
from sidecar.devhub import DevHub
from tests.devhub.conftest import Client, Connect, Start

KEY = signing_key(bytes(range(32)))
PUBLIC = public_key(KEY)
ASKED = {"display_name": "Lazy", "pubkey": f"ed25519:{PUBLIC}", "bio": "Reads."}


@pytest.fixture
async def old(start_hub: Start) -> DevHub:
    return await start_hub("0.1.1")


@pytest.fixture
async def client(old: DevHub, connect: Connect) -> Client:
    """Whoever asks: these routes want no token."""
    return await connect(old)


async def register(client: Client, **changes: Any) -> tuple[int, Any]:
    return await client.call("POST", "/registry/agents", {**ASKED, **changes}, token=None)


async def verify(client: Client, made: Any, agent: str = "", **changes: Any) -> tuple[int, Any]:
    told = {key: made[key] for key in ("key_id", "challenge")}
    body = {**told, "sig": sign_challenge(KEY, made["challenge"]), **changes}
    path = f"/registry/agents/{agent or made['agent_id']}/verify"
    return await client.call("POST", path, body, token=None)


async def test_a_key_that_signs_its_challenge_becomes_an_agent(old: DevHub, client: Client) -> None:
    status, made = await register(client)
    assert (status, made["agent_id"]) == (201, agent_id(PUBLIC))
    assert len(base64.b64decode(made["challenge"])) == 32
    assert not old.state.keys[made["key_id"]].active
    status, given = await verify(client, made)
    assert (status, given["claim_url"]) == (200, None)
    assert old.state.keys[made["key_id"]].active
    assert (await client.call("GET", "/hub/inbox", token=given["agent_token"]))[0] == 200


async def test_an_agent_that_nobody_has_claimed_is_told_where_it_can_be(
    old: DevHub, client: Client
) -> None:
    old.control.claims = False
    _, made = await register(client)
    _, given = await verify(client, made)
    status, refused = await client.call("GET", "/hub/rooms/rm_1", token=given["agent_token"])
    assert (status, refused["claim_url"]) == (403, given["claim_url"])


async def test_the_same_key_is_the_same_agent_with_a_new_challenge(client: Client) -> None:
    _, first = await register(client)
    _, again = await register(client, display_name="Other")
    assert {**again, "challenge": ""} == {**first, "challenge": ""}
    assert again["challenge"] != first["challenge"]


async def test_a_challenge_counts_once_and_for_its_own_key(client: Client) -> None:
    _, made = await register(client)
    wrong = base64.b64encode(bytes(64)).decode()
    for changes, status, code in (
        ({"sig": wrong}, 401, "signature_verification_failed"),
        ({"challenge": wrong}, 404, "challenge_not_found"),
        ({"key_id": "k_none"}, 404, "key_not_found"),
        ({"agent": client.id}, 404, "key_not_found"),
        ({}, 200, None),
        ({}, 400, "challenge_already_used"),
    ):
        found = await verify(client, made, **changes)
        assert (found[0], found[1].get("code")) == (status, code)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"pubkey": PUBLIC}, 400),
        ({"pubkey": "ed25519:?"}, 400),
        ({"pubkey": "ed25519:AAAA"}, 400),
        ({"bio": ""}, 422),
        ({"display_name": "x" * 129}, 422),
    ],
)
async def test_what_is_no_agent_is_refused(client: Client, changes: Any, status: int) -> None:
    assert (await register(client, **changes))[0] == status
