"""POST /hub/send: a message of an agent, checked and delivered. GET /hub/status: what became of it.

The order of the checks matters to clients: limits come first, so that a refused message uses up
the budget too; the payload is remembered before the answered message is looked up, so that the
same payload without `reply_to` is then a duplicate.
"""

import time
from collections.abc import Iterable, Mapping
from typing import cast

from aiohttp import web

from sidecar.devhub.answers import Refused, answer, read_object
from sidecar.devhub.envelopes import Envelope, check_form, check_proof, stored
from sidecar.devhub.flatten import body_of
from sidecar.devhub.ids import random_id
from sidecar.devhub.posting import Source, post
from sidecar.devhub.progress import end_traces
from sidecar.devhub.records import Posted, Sent
from sidecar.devhub.rooms import direct_room, kind_of, may_post, member_room, topic_in
from sidecar.devhub.state import Agent, Room, State, Topic
from sidecar.devhub.tokens import authenticate

LONGEST_TOPIC = 256
LONGEST_MSG_ID = 64


async def send(request: web.Request) -> web.Response:
    """Take a message over. Raises Invalid or Refused."""
    state, agent = authenticate(request)
    envelope = await read_object(request)
    check_form(envelope)
    to = cast("str", envelope["to"])
    _check_limits(state, agent, to)
    check_proof(state, agent, envelope)
    title = cast("str | None", envelope.get("topic")) or request.query.get("topic")
    if to.startswith("rm_"):
        return _send_to_room(state, agent, member_room(state, to, agent), envelope, title)
    return _send_to_agent(state, agent, to, envelope, title)


def _send_to_room(
    state: State, agent: Agent, room: Room, envelope: Envelope, title: str | None
) -> web.Response:
    if not may_post(room, agent.id):
        raise Refused(403, "only_owner_admin_can_post")
    _check_repetition(state, agent, room, envelope)
    reply_to = _reply_target(state, room, envelope)
    earlier = state.accepted.get((cast("str", envelope["msg_id"]), room.id))
    if earlier is not None:
        return _accepted(random_id("h_", 32), "queued", earlier.topic_id)
    others = (state.agents[who] for who in room.members if who in state.agents and who != agent.id)
    posted = _store(state, agent, room, envelope, others, title, reply_to)
    return _accepted(posted.id, "queued", posted.topic_id)


def _send_to_agent(
    state: State, agent: Agent, to: str, envelope: Envelope, title: str | None
) -> web.Response:
    receiver = state.agents.get(to)
    if receiver is None:
        raise Refused(404, "unknown_agent")
    contact = envelope["type"] == "contact_request"
    if contact and receiver is agent:
        raise Refused(400, "cannot_send_contact_request_to_self")
    room = None if contact else direct_room(state, agent.id, to)
    reply_to = _reply_target(state, room, envelope)
    earlier = state.accepted.get((cast("str", envelope["msg_id"]), to))
    if earlier is not None:
        return _accepted(earlier.id, _state_of(state, earlier), earlier.topic_id)
    posted = _store(state, agent, room, envelope, [receiver], title, reply_to)
    return _accepted(posted.id, "queued", posted.topic_id)


def _check_limits(state: State, agent: Agent, to: str) -> None:
    now = time.monotonic()
    for window, key, code in (
        (state.sends, agent.id, "rate_limit_exceeded"),
        (state.pairs, f"{agent.id} {to}", "conversation_rate_limit_exceeded"),
    ):
        wait = window.take(key, now)
        if wait > 0:
            raise Refused(429, code, wait=wait if state.today else None)


def _check_repetition(state: State, agent: Agent, room: Room, envelope: Envelope) -> None:
    """Slow mode, and the same payload twice in a row."""
    now = time.monotonic()
    last_hash, last_at = room.latest.get(agent.id, ("", -float("inf")))
    if room.slow_mode is not None and now < last_at + room.slow_mode:
        wait = last_at + room.slow_mode - now
        detail = f"Slow mode: wait {wait:.0f} seconds"
        raise Refused(429, "slow_mode_wait", detail=detail, wait=wait if state.today else None)
    payload = cast("str", envelope["payload_hash"])
    repeated = payload == last_hash and now < last_at + state.limits.duplicate_window
    if repeated and not (state.today and kind_of(room.id) == "owner"):
        raise Refused(429, "duplicate_content")
    room.latest[agent.id] = (payload, now)


def _reply_target(state: State, room: Room | None, envelope: Envelope) -> str | None:
    """The `msg_id` of the answered message. Today's Hub looks it up in the room."""
    reply_to = cast("str | None", envelope.get("reply_to"))
    if not state.today or not reply_to or envelope["type"] != "message":
        return reply_to
    target = state.posts.get(reply_to)
    if target is None:
        raise Refused(400, "reply_target_not_found")
    if room is None or target.room != room.id:
        raise Refused(400, "reply_target_cross_room")
    return target.msg_id


def _store(
    state: State,
    agent: Agent,
    room: Room | None,
    envelope: Envelope,
    recipients: Iterable[Agent],
    title: str | None,
    reply_to: str | None,
) -> Posted:
    msg_id = cast("str", envelope["msg_id"])
    if len(msg_id) > LONGEST_MSG_ID or len(title or "") > LONGEST_TOPIC:
        raise Refused(500, "storage_failed")  # the database of the Hub has no room for it
    topic = _topic(room, envelope, title)
    posted = post(
        state,
        room,
        stored(state, envelope, reply_to),
        Source("agent", agent.name),
        recipients,
        topic,
    )
    state.accepted[msg_id, cast("str", envelope["to"])] = posted
    trace = cast("str | None", envelope.get("trace_id"))
    room_id = room.id if room else None
    state.sent.append(
        Sent(time.monotonic(), room_id, envelope, posted.id, trace, body_of(envelope))
    )
    if room is not None and kind_of(room.id) == "owner":
        end_traces(state, agent, room, trace if state.today else None)
    state.news.tell()
    return posted


def _topic(room: Room | None, envelope: Envelope, title: str | None) -> Topic | None:
    if room is None:
        return None
    topic = topic_in(room, title, cast("str | None", envelope.get("goal")))
    if topic is not None and envelope["type"] in ("result", "error"):
        topic.status = "completed" if envelope["type"] == "result" else "failed"
    return topic


def _accepted(hub_msg_id: str, status: str, topic_id: str | None) -> web.Response:
    body: Mapping[str, object] = {
        "queued": True,
        "hub_msg_id": hub_msg_id,
        "status": status,
        "topic_id": topic_id,
    }
    return answer(body, 202)


def _state_of(state: State, posted: Posted) -> str:
    copy = state.copies.get(posted.id)
    return copy.state if copy else "delivered"


async def status(request: web.Request) -> web.Response:
    """GET /hub/status/{msg_id}: what became of a message, for its sender."""
    state, agent = authenticate(request)
    posted = state.posts.get(request.match_info["msg_id"])
    if posted is None or posted.sender != agent.id:
        raise Refused(404, "message_not_found")
    copy = state.copies.get(posted.id)
    return answer(
        {
            "msg_id": posted.msg_id,
            "state": _state_of(state, posted),
            "created_at": posted.at,
            "delivered_at": copy.delivered_at if copy else posted.at,
            "acked_at": copy.acked_at if copy else None,
            "last_error": None,
        }
    )
