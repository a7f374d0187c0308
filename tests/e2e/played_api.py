"""The APIs of three models on loopback, which answer what a test has told them to.

They are played as far as Claude Code (Messages), Codex (Responses) and Gemini CLI
(streamGenerateContent) ask for them: whatever else is asked is answered with 404.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Event = Mapping[str, Any]
PIECE = 100
"""Characters of a text that come at once."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. `freeform`: the input is a text, as some tools of Codex take it.
    `namespace` is that of a tool server, for Codex."""

    name: str
    input: Any
    freeform: bool = False
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model: a text, calls of tools, or an error.

    `hangs`: nothing more comes after the text, until the CLI closes the connection.
    """

    text: str = ""
    calls: Sequence[Call] = ()
    hangs: bool = False
    status: int = 200
    error: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def pieces(self) -> list[str]:
        """The text as it comes: a long one not at once."""
        return [self.text[at : at + PIECE] for at in range(0, len(self.text), PIECE)]


class PlayedApi:
    """The server. `requests` are the bodies of the requests for an answer, in their order.

    Each of them takes the next of `answers`; when there are no more, `rest` answers.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: list[Answer] = []
        self.rest = Answer("played")
        self.hanging = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1beta/models/{model}:streamGenerateContent", self._gemini)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def plays(self, *answers: Answer) -> None:
        """Forget what was asked; the next requests get these answers."""
        self.requests.clear()
        self.answers = list(answers)

    @property
    def asked(self) -> str:
        """The bodies of all requests since `plays`, as one text."""
        return json.dumps(self.requests, ensure_ascii=False)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        return await self._play(request, _anthropic)

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._play(request, _openai)

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        return await self._play(request, _gemini)

    async def _play(self, request: web.Request, events: Any) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        answer = self.answers.pop(0) if self.answers else self.rest
        if answer.status != 200:
            return web.json_response(
                answer.error, status=answer.status, headers=dict(answer.headers)
            )
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        model = body.get("model") or request.match_info.get("model", "")
        with suppress(ConnectionError):
            async for event in events(answer, model):
                if event is HANG:
                    await self._hang(request)
                    break
                name = f"event: {event['type']}\n" if "type" in event else ""
                await response.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            await response.write_eof()
        return response

    async def _hang(self, request: web.Request) -> None:
        self.hanging += 1
        try:
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.01)
        finally:
            self.hanging -= 1


HANG: Event = {}
"""Stands in a stream where it stops to go on."""


async def _anthropic(answer: Answer, model: str) -> AsyncIterator[Event]:
    """https://docs.anthropic.com/en/api/messages-streaming"""
    usage = {"input_tokens": 100, "output_tokens": 1}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield {"type": "message_start", "message": message}
    blocks: list[tuple[Event, list[Event]]] = []
    if answer.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for number, call in enumerate(answer.calls):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": call.name, "input": {}}
        written = {"type": "input_json_delta", "partial_json": json.dumps(call.input)}
        blocks.append((use, [written]))
    for index, (block, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if answer.hangs:
            yield HANG
        yield {"type": "content_block_stop", "index": index}
    reason = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": reason, "usage": {**usage, "output_tokens": 20}}
    yield {"type": "message_stop"}


async def _openai(answer: Answer, model: str) -> AsyncIterator[Event]:
    """https://platform.openai.com/docs/api-reference/responses-streaming"""
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "model": model}
    yield {"type": "response.created", "response": {**response, "output": []}}
    items: list[Event] = []
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant"}
        begun = {**item, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        for piece in answer.pieces:
            yield {"type": "response.output_text.delta", **place, "delta": piece}
        if answer.hangs:
            yield HANG
        items.append({**item, "status": "completed", "content": [part]})
        yield {"type": "response.output_item.done", "output_index": 0, "item": items[-1]}
    for call in answer.calls:
        index = len(items)
        items.append(_openai_call(call, index))
        yield {"type": "response.output_item.added", "output_index": index, "item": items[-1]}
        yield {"type": "response.output_item.done", "output_index": index, "item": items[-1]}
    usage = {
        "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 5},
    }  # fmt: skip
    done = {**response, "status": "completed", "output": items, "usage": usage}
    yield {"type": "response.completed", "response": done}


def _openai_call(call: Call, index: int) -> Event:
    item = {"id": f"fc_{index}", "call_id": f"call_{index}", "name": call.name}
    if call.freeform:
        return {**item, "type": "custom_tool_call", "input": call.input, "status": "completed"}
    if call.namespace:
        item["namespace"] = call.namespace
    arguments = json.dumps(call.input)
    return {**item, "type": "function_call", "arguments": arguments, "status": "completed"}


async def _gemini(answer: Answer, model: str) -> AsyncIterator[Event]:
    """https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent"""
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}

    def part(found: Sequence[Event], **more: Any) -> Event:
        candidate = {"content": {"role": "model", "parts": found}, "index": 0, **more}
        return {"candidates": [candidate], "modelVersion": model, "usageMetadata": usage}

    if answer.text:
        for piece in answer.pieces:
            yield part([{"text": piece}])
    if answer.hangs:
        yield HANG
    if answer.calls:
        calls = [{"functionCall": {"name": c.name, "args": c.input}} for c in answer.calls]
        yield part([{**calls[0], "thoughtSignature": "c2ln"}, *calls[1:]])
    yield part([{"text": ""}], finishReason="STOP")
