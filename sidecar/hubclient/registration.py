"""A new agent, registered at a Hub with a key pair that is made here.

`POST /registry/agents` gives it an id and a challenge, and `POST /registry/agents/ID/verify` takes
the signed challenge. The Hub of daemon 0.1.1 has these routes; today's refuses the first one, as it
makes the keys itself and hands them over.
"""

import base64
import secrets
import time
from collections.abc import Mapping

from aiohttp import ClientSession

from sidecar.codecs.hub.botcord import is_safe_id
from sidecar.codecs.hub.signing import public_key, sign_challenge, signing_key
from sidecar.codecs.loose import Record, number_of, text_of
from sidecar.errors import ChannelUnavailable
from sidecar.hubclient.http import Answer, request

TIMEOUT = 10.0
"""Seconds of one request. The Hub waits half a minute for both."""
LONGEST_NAME = 128
LONGEST_BIO = 500


async def register(
    session: ClientSession, hub: str, *, name: str | None, bio: str | None
) -> Mapping[str, object]:
    """Register a new agent at the Hub with the address `hub`; its credentials, as a Hub hands them
    over. `claimUrl` in them is the page at which a person makes the agent theirs, where it is not
    theirs already.

    A key that is cut before it is kept is lost, and with it an agent that nobody has claimed.

    Raises:
        ChannelUnavailable: the Hub does not register it.
    """
    seed = secrets.token_bytes(32)
    key = signing_key(seed)
    public = public_key(key)
    label = (name or f"agent-{time.time_ns() // 1_000_000}")[:LONGEST_NAME]
    body = {
        "display_name": label,
        "pubkey": f"ed25519:{public}",
        "bio": (bio or label)[:LONGEST_BIO],  # it may not be empty
    }
    answer, made = await _post(session, f"{hub}/registry/agents", body)
    agent, key_id = text_of(made, "agent_id"), text_of(made, "key_id")
    challenge = text_of(made, "challenge")
    if not (agent and key_id and challenge and is_safe_id(agent)):
        raise ChannelUnavailable(f"{answer}: the answer is no new agent")
    try:
        proof = sign_challenge(key, challenge)
    except ValueError as error:
        raise ChannelUnavailable(f"{answer}: the challenge cannot be signed") from error
    body = {"key_id": key_id, "challenge": challenge, "sig": proof}
    _, given = await _post(session, f"{hub}/registry/agents/{agent}/verify", body)
    return {
        "agentId": agent,
        "keyId": key_id,
        "privateKey": base64.b64encode(seed).decode("ascii"),
        "publicKey": public,
        "hubUrl": hub,
        "displayName": label,
        "token": text_of(given, "agent_token") or text_of(given, "token"),
        "tokenExpiresAt": number_of(given, "expires_at"),
        "claimUrl": text_of(given, "claim_url"),
    }


async def _post(
    session: ClientSession, url: str, body: Mapping[str, object]
) -> tuple[Answer, Record]:
    answer = await request(session, "POST", url, body=body, timeout=TIMEOUT)
    if not answer.ok:
        raise ChannelUnavailable(f"{answer}", answer.wait)
    return answer, answer.body if isinstance(answer.body, dict) else {}
