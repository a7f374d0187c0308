"""The Hub's error answers (three shapes), and reading of request bodies."""

import json
import math
from collections.abc import Mapping

from aiohttp import web

JSON = "application/json"


class Refused(Exception):
    """A request that the Hub refuses. `code` is the stable key that clients match on.

    `plain` is for the few answers that have no code; `wait` becomes `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        detail: str | None = None,
        wait: float | None = None,
        plain: bool = False,
        claim_url: str | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail or code.replace("_", " ").capitalize()
        self.wait = wait
        self.plain = plain
        self.claim_url = claim_url

    def response(self) -> web.Response:
        """The answer on the wire."""
        if self.status >= 500:
            return crash(self.status)
        body = refusal(self.status, self.code, self.detail, plain=self.plain)
        if self.claim_url:
            body["claim_url"] = self.claim_url
        headers = {} if self.wait is None else {"Retry-After": str(max(1, math.ceil(self.wait)))}
        return answer(body, self.status, headers)


class Invalid(Exception):
    """A request that does not have the form that the route asks for: 422."""

    def __init__(self, place: tuple[str | int, ...], message: str, found: object = None) -> None:
        super().__init__(message)
        self.place = place
        self.message = message
        self.found = found

    def response(self) -> web.Response:
        """The answer on the wire."""
        item = {
            "type": "value_error",
            "loc": list(self.place),
            "msg": self.message,
            "input": self.found,
        }
        return answer({"detail": [item]}, 422)


def refusal(status: int, code: str, detail: str, *, plain: bool = False) -> dict[str, object]:
    """The body of an error: with its code, or in the form of plain HTTP errors without one."""
    named: dict[str, object] = (
        {"detail": detail, "error": detail} if plain else {"detail": detail, "code": code}
    )
    return {**named, "hint": None, "retryable": status >= 500}


def answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=data, status=status, headers=headers, content_type=JSON)


def crash(status: int = 500) -> web.Response:
    """What a defect of the Hub looks like: plain text, and the connection ends."""
    response = web.Response(text="Internal Server Error", status=status)
    response.force_close()
    return response


async def read_object(request: web.Request) -> dict[str, object]:
    """The JSON object in the body. Raises Invalid."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Invalid(("body",), "JSON decode error") from error
    if not isinstance(body, dict):
        raise Invalid(("body",), "Input should be a valid object", body)
    return body


def take(body: Mapping[str, object], key: str, kind: type, longest: int | None = None) -> object:
    """A required member of a body, with its JSON type. Raises Invalid."""
    if key not in body:
        raise Invalid(("body", key), "Field required", dict(body))
    value = body[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Invalid(("body", key), f"Input should be a valid {kind.__name__}", value)
    if longest is not None and isinstance(value, str) and len(value) > longest:
        raise Invalid(("body", key), f"String should have at most {longest} characters", value)
    return value


def take_ids(body: Mapping[str, object], key: str) -> list[str]:
    """A required list of texts. Raises Invalid."""
    value = take(body, key, list)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Invalid(("body", key), "Input should be a list of strings", value)
    return value


def take_number(request: web.Request, key: str, default: float, least: float, most: float) -> float:
    """A number from the query, within its bounds. Raises Invalid."""
    text = request.query.get(key)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        message = f"Input should be a number from {least:g} to {most:g}"
        raise Invalid(("query", key), message, text)
    return number
