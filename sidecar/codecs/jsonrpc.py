"""JSON-RPC 2.0, one message a line, without I/O: lines to messages, and messages to lines.

See https://www.jsonrpc.org/specification. Batches are not used by anybody and are no messages.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.codecs.loose import Record, count_of, record_of, text_of
from sidecar.codecs.ndjson import parse

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601

Id = int | str
"""The id of a request, chosen by whoever sent it."""


@dataclass(frozen=True, slots=True)
class Request:
    """The other side wants an answer."""

    id: Id
    method: str
    params: Record


@dataclass(frozen=True, slots=True)
class Notification:
    """The other side tells something."""

    method: str
    params: Record


@dataclass(frozen=True, slots=True)
class Error:
    """Why a call failed. `data` is what the other side added."""

    code: int
    message: str
    data: object = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a call of ours: the result, whatever it is, or an error."""

    id: int
    method: str
    result: object = None
    error: Error | None = None


Received = Request | Notification | Response


class JsonRpc:
    """One side of a connection. `version`: whether messages carry the field `jsonrpc`; some
    programs speak the protocol without it. It is not asked of the other side."""

    def __init__(self, *, version: bool = True) -> None:
        self._head: Mapping[str, object] = {"jsonrpc": "2.0"} if version else {}
        self._calls: dict[int, str] = {}
        self._last = 0

    def call(self, method: str, params: Mapping[str, object]) -> tuple[int, bytes]:
        """A request of ours: its id, which the `Response` will have, and the line to send."""
        self._last += 1
        self._calls[self._last] = method
        return self._last, self._line({"id": self._last, "method": method, "params": params})

    def notify(self, method: str, params: Mapping[str, object]) -> bytes:
        """The line that tells something."""
        return self._line({"method": method, "params": params})

    def answer(self, request: Request, result: object) -> bytes:
        """The line that answers a request."""
        return self._line({"id": request.id, "result": result})

    def refuse(self, request: Request, code: int, message: str) -> bytes:
        """The line that answers a request by an error."""
        return self._line({"id": request.id, "error": {"code": code, "message": message}})

    def feed(self, line: bytes) -> Received | None:
        """The message of one line; None when it is none, or answers what nobody asked."""
        record = parse(line)
        if record is None:
            return None
        number, method = record.get("id"), record.get("method")
        if isinstance(method, str):
            params = record_of(record, "params")
            if isinstance(number, int | str):
                return Request(number, method, params)
            return Notification(method, params)
        if not isinstance(number, int) or number not in self._calls:
            return None
        return Response(number, self._calls.pop(number), record.get("result"), _error(record))

    def _line(self, message: Mapping[str, object]) -> bytes:
        """Pure ASCII, so that no reader can cut it wrongly, and lone surrogates are no matter."""
        return json.dumps({**self._head, **message}).encode() + b"\n"


def _error(record: Record) -> Error | None:
    error = record.get("error")
    if error is None:
        return None
    fields = record_of(record, "error")
    message = text_of(fields, "message") or (error if isinstance(error, str) else "")
    return Error(count_of(fields, "code") or 0, message, fields.get("data"))
