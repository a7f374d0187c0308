"""One request to the Hub and its answer, and what time it is over there."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, hdrs

from sidecar.codecs.hub.botcord import error_code
from sidecar.codecs.loose import clean
from sidecar.errors import ChannelUnavailable

LARGE_BODY = 256 * 1024
"""Bytes from which on a body is parsed in a thread, so that nothing else has to wait for it."""
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of the largest body that is read: a page of fifty long messages has less."""
LONGEST_WAIT = 3600.0
"""Seconds that we wait at most when the Hub asks us to wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Hub answered. `body` is the JSON of it, None where there is none."""

    what: str
    status: int
    body: object
    retry_after: str | None = None
    date: str | None = None
    request_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the request was successful."""
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """The stable key of an error, empty where there is none."""
        return error_code(self.body)

    @property
    def wait(self) -> float | None:
        """Seconds that the Hub asks us to wait, None where it does not."""
        if self.retry_after is None:
            return None
        if self.retry_after.isdecimal():
            wait = float(self.retry_after[:9])
        elif (at := _http_time(self.retry_after)) is not None:
            wait = at - (_http_time(self.date) or time.time())
        else:
            return None
        return min(max(wait, 0.0), LONGEST_WAIT)

    def __str__(self) -> str:
        text = f"{self.what}: HTTP {self.status} {self.code}".rstrip()
        # Never the body: it can hold what others wrote, and secrets.
        return f"{text} (request {clean(self.request_id)[:64]})" if self.request_id else text


class AnswerTooLarge(ChannelUnavailable):
    """An answer was not read to its end."""


class HubClock:
    """The Hub's time: ours, corrected by what its answers say."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._offset

    def learn(self, answer: Answer) -> bool:
        """Set the clock by an answer; False when there is nothing new to learn."""
        there = _http_time(answer.date)
        if there is None or abs(there - self.now()) < 2.0:  # it has only whole seconds
            return False
        self._offset = there - time.time()
        return True


async def request(
    session: ClientSession,
    method: str,
    url: str,
    *,
    body: Mapping[str, object] | None = None,
    token: str | None = None,
    timeout: float,
) -> Answer:
    """Send one request, at most `timeout` seconds long, and read the whole answer.

    Raises:
        AnswerTooLarge: there is more of an answer than anybody wants.
        ChannelUnavailable: there is no answer.
    """
    headers = {hdrs.ACCEPT: "application/json"}
    if token is not None:
        headers[hdrs.AUTHORIZATION] = f"Bearer {token}"
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers[hdrs.CONTENT_TYPE] = "application/json"
    what = f"{method} {url}"
    try:
        async with session.request(
            method,
            url,
            data=data,
            headers=headers,
            timeout=ClientTimeout(total=timeout),
            allow_redirects=False,  # the token is for this Hub
        ) as response:
            raw = await _read(response, what)
    except (ClientError, OSError) as error:  # TimeoutError is an OSError
        raise ChannelUnavailable(f"{what}: {str(error) or type(error).__name__}") from error
    return Answer(
        what=what,
        status=response.status,
        body=await asyncio.to_thread(_json, raw) if len(raw) > LARGE_BODY else _json(raw),
        retry_after=response.headers.get(hdrs.RETRY_AFTER),
        date=response.headers.get(hdrs.DATE),
        request_id=response.headers.get("X-BotCord-Request-ID"),
    )


async def _read(response: ClientResponse, what: str) -> bytes:
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > LARGEST_BODY:
            raise AnswerTooLarge(f"{what}: the answer has more than {LARGEST_BODY >> 20} MiB")
    return bytes(raw)


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _http_time(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
