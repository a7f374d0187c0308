"""What the control plane asks for in `provision_agent`, `revoke_agent` and `set_route`, checked.

All of it comes from outside: ids are checked before any of them becomes part of a path.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.codecs.hub.botcord import hub_url, is_safe_id
from sidecar.codecs.hub.signing import public_key, signing_key
from sidecar.codecs.loose import Record, flag_of, number_of, record_of, text_of, texts_of

LONGEST = 4096
"""Characters of one text: of a path, of a prefix, of an argument."""
MOST_ARGUMENTS = 64

_MATCHES = {
    "conversationId": "conversation",
    "roomId": "conversation",
    "conversationPrefix": "conversation_prefix",
    "roomPrefix": "conversation_prefix",
    "conversationKind": "kind",
    "senderId": "sender",
}
"""Conditions of the daemon, version 0.1.1, and ours."""


class BadRequest(ValueError):
    """A frame whose parameters cannot be used; the text tells why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What answers an agent: each None where the frame leaves it open."""

    runtime: str | None = None
    cwd: str | None = None
    model: str | None = None
    effort: str | None = None
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provision:
    """An agent to be added. `credentials` is what its file is to hold."""

    agent: str
    hub: str
    key_id: str
    credentials: Mapping[str, object] = field(repr=False)
    target: Target = Target()
    name: str | None = None
    bio: str | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """An agent to be removed, and what of it is to be deleted."""

    agent: str
    credentials: bool
    state: bool
    workspace: bool


def provision_of(params: Record, now: str) -> Provision:
    """An agent to be added; `now` is a time, ISO 8601. Raises BadRequest."""
    given = record_of(params, "credentials")
    agent = agent_of(given)
    key_id = _required(given, "keyId")
    try:
        hub = hub_url(_required(given, "hubUrl"))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    target = target_of(params)
    name = profile_text(params, "name") or profile_text(given, "displayName")
    seed, derived = _keys(given)
    record: dict[str, object] = {
        "version": 1,
        "hubUrl": hub,
        "agentId": agent,
        "keyId": key_id,
        "privateKey": seed,
        "publicKey": derived,
        "displayName": name,
        "savedAt": now,
        "runtime": target.runtime,
        "cwd": target.cwd,
        "claimUrl": _text(given, "claimUrl"),
        **_token(given),
    }
    kept = {key: value for key, value in record.items() if value is not None}
    return Provision(agent, hub, key_id, kept, target, name, profile_text(params, "bio"))


def hands_over(params: Record) -> bool:
    """Whether the credentials of the agent come with the frame; else it is to be registered."""
    return params.get("credentials") is not None


def target_of(params: Record) -> Target:
    """What is to answer the agent. Raises BadRequest."""
    given = record_of(params, "credentials")
    return Target(
        runtime=_text(params, "runtime") or _text(params, "adapter") or _text(given, "runtime"),
        cwd=_text(given, "cwd") or _text(params, "cwd"),
        model=_text(params, "runtimeModel") or _text(given, "runtimeModel"),
        effort=_text(params, "reasoningEffort") or _text(given, "reasoningEffort"),
    )


def revocation_of(params: Record) -> Revocation:
    """An agent to be removed. Raises BadRequest.

    Its state follows its credentials; its workspace goes only when that is said.
    """
    credentials = flag_of(params, "deleteCredentials")
    credentials = True if credentials is None else credentials
    state = flag_of(params, "deleteState")
    workspace = flag_of(params, "deleteWorkspace") is True
    state = workspace or (credentials if state is None else state)
    return Revocation(agent_of(params), credentials, state, workspace)


def route_of(params: Record) -> tuple[str, dict[str, object], Target]:
    """The agent of a route, its conditions besides the agent, and what answers. Raises
    BadRequest."""
    agent, route, pattern = agent_of(params), params.get("route"), _text(params, "pattern")
    if route is None and pattern is None:
        raise BadRequest("a route or a pattern has to be given")
    if route is not None and not isinstance(route, dict):
        raise BadRequest("route is not an object")
    route = route or {}
    match = _match(record_of(route, "match"))
    if pattern is not None:
        match.setdefault("conversation_prefix", pattern)
    target = Target(
        runtime=_text(route, "runtime") or _text(route, "adapter"),
        cwd=_text(route, "cwd"),
        args=tuple(_clear(one, "extraArgs") for one in _arguments(route)),
    )
    return agent, match, target


def profile_text(params: Record, name: str) -> str | None:
    """A text that an owner wrote about an agent, for people: cleaned, and cut where it is long."""
    found = text_of(params, name)
    return None if found is None else found.strip()[:LONGEST]


def agent_of(params: Record) -> str:
    """The id of an agent, good for a path. Raises BadRequest."""
    agent = params.get("agentId")
    if not isinstance(agent, str) or not agent:
        raise BadRequest("agentId is missing")
    if not is_safe_id(agent):
        raise BadRequest("agentId is no id of an agent")
    return agent


def _match(given: Record) -> dict[str, object]:
    """The conditions; of two names for one, the first. What is not known would widen the route."""
    found: dict[str, object] = {}
    for key, value in given.items():
        if key in ("accountId", "channel"):
            continue  # the route is the agent's, whatever this says
        if key == "mentioned" and isinstance(value, bool):
            found["mentioned"] = value
        elif key in _MATCHES and (text := _text(given, key)) is not None:
            found.setdefault(_MATCHES[key], text)
        else:
            raise BadRequest(f"a route cannot match by {key[:64]!r}")
    return found


def _arguments(route: Record) -> list[str]:
    given = route.get("extraArgs")
    found = texts_of(route, "extraArgs", most=MOST_ARGUMENTS)
    if given is not None and (not isinstance(given, list) or found != given):
        raise BadRequest("extraArgs is not a list of texts")
    return found


def _keys(given: Record) -> tuple[str, str]:
    """The seed and the public key, base64."""
    text = _required(given, "privateKey")
    try:
        derived = public_key(signing_key(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError) as error:
        raise BadRequest("privateKey is not 32 bytes in base64") from error
    public = _text(given, "publicKey")
    if public is not None and public != derived:
        raise BadRequest("publicKey does not belong to privateKey")
    return text, derived


def _token(given: Record) -> dict[str, object]:
    token, expires = _text(given, "token"), number_of(given, "tokenExpiresAt")
    if token is None:
        return {}
    if expires is None:
        return {"token": token}
    # Some Hubs give milliseconds; the file holds seconds.
    return {"token": token, "tokenExpiresAt": int(expires / 1000 if expires > 1e10 else expires)}


def _required(given: Record, name: str) -> str:
    found = _text(given, name)
    if found is None:
        raise BadRequest(f"{name} is missing")
    return found


def _text(given: Record, name: str) -> str | None:
    raw = given.get(name)
    if raw is None or raw == "":
        return None
    if not isinstance(raw, str):
        raise BadRequest(f"{name} is not a text")
    found = text_of(given, name)
    return None if found is None else _clear(raw, name)


def _clear(text: str, name: str) -> str:
    """A text that is one line and fits a file, as it is: what was mended would mean something
    else."""
    if len(text) > LONGEST or not text.isprintable():
        raise BadRequest(f"{name} is too long, or holds characters that cannot be shown")
    return text
