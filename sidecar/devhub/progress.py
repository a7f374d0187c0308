"""Signs of progress: blocks of the owner's streams, the end of a stream, and typing."""

import time
from typing import cast

from aiohttp import web

from sidecar.devhub.answers import Invalid, Refused, read_object, take
from sidecar.devhub.records import Block, Ended, Typing
from sidecar.devhub.rooms import member_room
from sidecar.devhub.state import Agent, Room, State, Trace
from sidecar.devhub.tokens import authenticate

LONGEST_TRACE_ID = 48


async def stream_block(request: web.Request) -> web.Response:
    """POST /hub/stream-block: show a block to the owner.

    What cannot be shown (any more) is dropped without a word: unknown streams, ended ones, those
    of other agents, and blocks beyond the limit.
    """
    state, agent = authenticate(request, claim="ignored", newest=False)
    body = await read_object(request)
    trace_id = cast("str", take(body, "trace_id", str, longest=LONGEST_TRACE_ID))
    seq = cast("int", take(body, "seq", int))
    block = cast("dict[str, object]", take(body, "block", dict))
    if seq < 1:
        raise Invalid(("body", "seq"), "Input should be at least 1", seq)
    trace = _trace(state, agent, trace_id)
    if trace is None or not trace.open or trace.blocks >= state.limits.blocks_per_trace:
        return web.Response(status=204)
    trace.blocks += 1
    shown = Block(time.monotonic(), agent.id, trace.room, trace_id, seq, block)
    state.blocks.append(shown)
    state.emit(shown)
    state.news.tell()
    return web.Response(status=204)


async def stream_end(request: web.Request) -> web.Response:
    """POST /hub/stream-end: the agent's turn has ended, with a reply or without."""
    state, agent = authenticate(request, claim="ignored", newest=False)
    body = await read_object(request)
    trace_id = cast("str", take(body, "trace_id", str, longest=LONGEST_TRACE_ID))
    trace = _trace(state, agent, trace_id)
    if trace is not None:
        _end(state, trace_id, trace)
    return web.Response(status=204)


def end_traces(state: State, agent: Agent, room: Room, trace_id: str | None) -> None:
    """End the stream that a reply names; all streams of the room when it names none."""
    named = _trace(state, agent, trace_id) if trace_id else None
    if trace_id and named is not None and named.room == room.id:
        _end(state, trace_id, named)
        return
    for found in tuple(room.streams):
        _end(state, found, state.traces[found])


async def typing(request: web.Request) -> web.Response:
    """POST /hub/typing: tell the others in a room that an answer is being written."""
    state, agent = authenticate(request)
    body = await read_object(request)
    room = member_room(state, cast("str", take(body, "room_id", str)), agent)
    now = time.monotonic()
    if state.typings.take(agent.id, now) > 0:
        raise Refused(429, "Typing rate limit exceeded", plain=True)
    seen = Typing(now, agent.id, room.id)
    state.typing.append(seen)
    if now >= state.shown_typing.get((agent.id, room.id), -1e9) + state.limits.typing_interval:
        state.shown_typing[agent.id, room.id] = now
        _show_typing(state, agent, room, seen)
    state.news.tell()
    return web.Response(status=204)


def _show_typing(state: State, agent: Agent, room: Room, seen: Typing) -> None:
    frame = {
        "type": "typing",
        "agent_id": agent.id,
        "room_id": room.id,
        "sender_name": agent.name,
    }
    for member in room.members:
        peer = state.agents.get(member)
        if peer is not None and peer is not agent:
            for socket in peer.sockets:
                socket.push(frame)
    state.emit(seen)


def _trace(state: State, agent: Agent, trace_id: str) -> Trace | None:
    trace = state.traces.get(trace_id)
    return trace if trace is not None and trace.agent == agent.id else None


def _end(state: State, trace_id: str, trace: Trace) -> None:
    if not trace.open:
        return
    trace.open = False
    state.rooms[trace.room].streams.discard(trace_id)
    state.ended.append(trace_id)
    state.emit(Ended(trace.agent, trace.room, trace_id))
    state.news.tell()
