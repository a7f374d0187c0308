"""Agent accounts, made anew or registered from the credentials of an earlier run."""

import base64
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from sidecar.codecs.hub import signing
from sidecar.devhub import rooms, tokens
from sidecar.devhub.ids import random_id, stable_id
from sidecar.devhub.records import Changed
from sidecar.devhub.state import Agent, Key, Person, State

_SPELLINGS = {
    "hubUrl": ("hubUrl", "hub_url", "hub"),
    "agentId": ("agentId", "agent_id"),
    "keyId": ("keyId", "key_id"),
    "privateKey": ("privateKey", "private_key"),
    "publicKey": ("publicKey", "public_key"),
    "displayName": ("displayName", "display_name"),
    "savedAt": ("savedAt", "saved_at"),
    "token": ("token",),
    "tokenExpiresAt": ("tokenExpiresAt", "token_expires_at"),
}
_READ = frozenset(name for names in _SPELLINGS.values() for name in names)

Credentials = Mapping[str, object]


def register(
    state: State, agent: str | None, name: str | None, credentials: Credentials | None
) -> Agent:
    """Make an agent known, or one more key of an agent that is. Raises ValueError."""
    given = credentials or {}
    seed = _seed(given) if credentials is not None else secrets.token_bytes(32)
    signer = signing.signing_key(seed)
    public = signing.public_key(signer)
    agent_id = agent or _text(given, "agentId") or signing.agent_id(public)
    if _text(given, "agentId") not in ("", agent_id):
        raise ValueError(f"the credentials belong to {_text(given, 'agentId')}, not to {agent_id}")
    key_id = _text(given, "keyId") or random_id("k_", 12)
    key = state.keys.setdefault(key_id, Key(agent_id, public))
    if (key.agent, key.public) != (agent_id, public):
        raise ValueError(f"the key id {key_id} belongs to another key")
    label = name or _text(given, "displayName") or agent_id
    known = state.agents.setdefault(agent_id, Agent(agent_id, label, key_id))
    known.key_id, known.signer = key_id, signer
    if name:
        known.name = name
    return known


def retire(state: State, agent: Agent) -> None:
    """Nobody runs an agent any more: it has no tokens and is in no group room. It can be made
    known again."""
    del state.agents[agent.id]
    tokens.revoke(state, agent)
    for room in state.rooms.values():
        if rooms.kind_of(room.id) == "group":
            room.members.pop(agent.id, None)
    state.emit(Changed())


def credentials_of(state: State, agent: Agent, given: Credentials) -> dict[str, object]:
    """The document of an agent's credentials file; unknown keys of `given` stay in it."""
    if agent.signer is None:
        raise ValueError(f"the private key of {agent.id} is not known")
    document: dict[str, object] = {
        "version": 1,
        "hubUrl": state.url,
        "agentId": agent.id,
        "keyId": agent.key_id,
        "privateKey": base64.b64encode(bytes(agent.signer)).decode(),
        "publicKey": signing.public_key(agent.signer),
        "displayName": agent.name,
        "savedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return document | {key: value for key, value in given.items() if key not in _READ}


def _seed(given: Credentials) -> bytes:
    try:
        return base64.b64decode(_text(given, "privateKey"), validate=True)
    except ValueError as error:
        raise ValueError("the private key in the credentials is not base64") from error


def _text(given: Credentials, key: str) -> str:
    """The first spelling of a key that says something; empty where none does."""
    for name in _SPELLINGS[key]:
        value = given.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def add_person(state: State, name: str) -> str:
    """Make a person known. Their id follows from the name, so that it outlives a restart."""
    person_id = stable_id("hu_", 12, name)
    if person_id in state.people:
        person_id = random_id("hu_", 12)
    user_id = f"00000000-0000-4000-8000-{person_id.removeprefix('hu_')}"
    state.people[person_id] = Person(person_id, name, user_id)
    return person_id
