"""The routes with which an agent registers itself, as the Hub of daemon 0.1.1 has them."""

import base64
import secrets
import time

from aiohttp import web

from sidecar.codecs.hub import signing
from sidecar.devhub.answers import Invalid, Refused, answer, read_object, take
from sidecar.devhub.ids import random_id
from sidecar.devhub.records import Changed
from sidecar.devhub.state import Agent, Challenge, Key, State
from sidecar.devhub.tokens import claim_url, issue
from sidecar.devhub.wiring import STATE

CHALLENGE_TTL = 300.0
"""Seconds in which a challenge has to be signed."""
_PREFIX = "ed25519:"


async def register(request: web.Request) -> web.Response:
    """POST /registry/agents: a challenge for whoever holds a key; today's Hub has no such route."""
    state = request.app[STATE]
    if state.today:
        raise Refused(405, "Method Not Allowed", detail="Method Not Allowed", plain=True)
    body = await read_object(request)
    name, public = str(take(body, "display_name", str, 128)), _public(body)
    if not take(body, "bio", str, 500):
        raise Invalid(("body", "bio"), "String should have at least 1 character", "")
    key_id = next((id_ for id_, key in state.keys.items() if key.public == public), None)
    if key_id is None:
        key_id = random_id("k_", 12)
        state.keys[key_id] = Key(signing.agent_id(public), public, active=False)
    agent_id = state.keys[key_id].agent
    agent = state.agents.setdefault(agent_id, Agent(agent_id, name, key_id, claimed=False))
    agent.name = name
    challenge = base64.b64encode(secrets.token_bytes(32)).decode()
    state.challenges[challenge] = Challenge(key_id, time.time() + CHALLENGE_TTL)
    return answer({"agent_id": agent_id, "key_id": key_id, "challenge": challenge}, 201)


async def verify(request: web.Request) -> web.Response:
    """POST /registry/agents/{agent}/verify: the key counts once its challenge is signed."""
    state = request.app[STATE]
    body = await read_object(request)
    key_id, text, signature = (str(take(body, one, str)) for one in ("key_id", "challenge", "sig"))
    key, challenge = state.keys.get(key_id), state.challenges.get(text)
    if key is None or key.agent != request.match_info["agent"]:
        raise Refused(404, "key_not_found")
    if challenge is None or challenge.key_id != key_id:
        raise Refused(404, "challenge_not_found")
    if challenge.used:
        raise Refused(400, "challenge_already_used")
    if challenge.expires_at <= time.time():
        raise Refused(400, "challenge_expired")
    if not signing.verify(key.public, base64.b64decode(text), signature):
        raise Refused(401, "signature_verification_failed")
    challenge.used = key.active = True
    return answer(_let_in(state, state.agents[key.agent]))


def _let_in(state: State, agent: Agent) -> dict[str, object]:
    agent.claimed = agent.claimed or state.control.claims
    state.emit(Changed())
    text, token = issue(state, agent)
    return {
        "agent_token": text,
        "expires_at": int(token.expires_at),
        "claim_url": None if agent.claimed else claim_url(state, agent),
        "latest_plugin_version": None,
        "min_plugin_version": None,
    }


def _public(body: dict[str, object]) -> str:
    text = str(take(body, "pubkey", str))
    if not text.startswith(_PREFIX):
        raise Refused(400, "pubkey_must_start_with_ed25519")
    public = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(public, validate=True)
    except ValueError as error:
        raise Refused(400, "pubkey_base64_invalid") from error
    if len(raw) != 32:
        raise Refused(400, "pubkey_must_be_32_bytes")
    return public
