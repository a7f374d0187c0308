"""Agent tokens: issued against a signed nonce, checked on every call."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Literal

from aiohttp import web

from sidecar.codecs.hub import signing
from sidecar.devhub.answers import Invalid, Refused, answer, read_object, take
from sidecar.devhub.state import Agent, State, Token
from sidecar.devhub.wiring import STATE

_SECRET = secrets.token_bytes(32)

Claim = Literal["needed", "needed-plainly", "ignored"]
"""Whether a route works for an agent that nobody has claimed; the inbox refuses it plainly,
without the link with which it could be claimed."""


def issue(state: State, agent: Agent) -> tuple[str, Token]:
    """A new JWT for an agent. On today's Hub every older one of the agent stops working."""
    token = Token(agent.id, int(time.time()) + state.limits.token_ttl)
    claims = {
        "agent_id": agent.id,
        "exp": token.expires_at,
        "iss": "botcord",
        "jti": secrets.token_hex(8),
    }
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{_encode(json.dumps(claims).encode())}"
    proof = _encode(hmac.digest(_SECRET, signed.encode(), hashlib.sha256))
    text = f"{signed}.{proof}"
    state.tokens[text] = token
    agent.token = text
    return text, token


def revoke(state: State, agent: Agent) -> None:
    """Make all tokens of an agent invalid. Its sockets stay open."""
    state.tokens = {text: token for text, token in state.tokens.items() if token.agent != agent.id}
    agent.token = None


def owner_of(state: State, text: str, *, newest: bool = True) -> Agent:
    """The agent that a token belongs to.

    `newest` is false for the routes that even today's Hub serves to an older token. Raises
    Refused for a token that is unknown, expired or replaced.
    """
    token = state.tokens.get(text)
    if token is None:
        raise Refused(401, "invalid_token")
    if token.expires_at <= time.time():
        raise Refused(401, "token_expired")
    agent = state.agents[token.agent]
    if newest and state.today and agent.token != text:
        raise Refused(401, "invalid_token")
    return agent


def authenticate(
    request: web.Request, *, claim: Claim = "needed", newest: bool = True
) -> tuple[State, Agent]:
    """The agent that makes a request. Raises Invalid or Refused."""
    state = request.app[STATE]
    header = request.headers.get("Authorization")
    if header is None and not state.today:
        raise Invalid(("header", "authorization"), "Field required")
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise Refused(401, "invalid_authorization_header")
    agent = owner_of(state, text, newest=newest)
    if not agent.claimed and claim == "needed":
        raise Refused(403, "agent_not_claimed", claim_url=claim_url(state, agent))
    if not agent.claimed and claim == "needed-plainly":
        raise Refused(403, "agent_not_claimed_generic")
    return state, agent


def claim_url(state: State, agent: Agent) -> str:
    """Where a person makes an agent theirs."""
    return f"{state.url}/agents/claim/clm_{agent.key_id}"


async def refresh(request: web.Request) -> web.Response:
    """POST /registry/agents/{agent}/token/refresh: a token for a signed nonce."""
    state = request.app[STATE]
    body = await read_object(request)
    key_id, nonce, signature = (str(take(body, name, str)) for name in ("key_id", "nonce", "sig"))
    agent = state.agents.get(request.match_info["agent"])
    key = state.keys.get(key_id)
    if agent is None or key is None or key.agent != agent.id:
        raise Refused(404, "key_not_found")
    if not key.active:
        raise Refused(403, "key_not_active")
    try:
        signed = base64.b64decode(nonce, validate=True)
    except ValueError as error:
        raise Refused(401, "signature_verification_failed") from error
    if not signing.verify(key.public, signed, signature):
        raise Refused(401, "signature_verification_failed")
    if nonce in agent.nonces:
        raise Refused(409, "nonce_already_used")
    agent.nonces.add(nonce)
    text, token = issue(state, agent)
    found = {"agent_token": text, "expires_at": int(token.expires_at), "claim_url": None}
    if not state.today:
        found |= {"latest_plugin_version": "0.2.3", "min_plugin_version": "0.2.0"}
    return answer(found)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
