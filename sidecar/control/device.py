"""Logging in: with a code that a person approves in a browser, or with an install token."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import ClientSession

from sidecar.codecs.hub.botcord import error_code
from sidecar.codecs.loose import Record, number_of, text_of
from sidecar.control.login import Login, granted
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.hubclient.http import Answer, request

DEFAULT_HUB = "https://api.botcord.chat"
"""Where agents live unless a person says otherwise."""
TIMEOUT = 10.0
"""Seconds of one request."""
SLOWER = 10.0
"""Seconds between two looks after a `slow_down` that names none."""

_WAITING = ("pending", "authorization_pending")
_REFUSALS = {
    "invalid_device_code": "the Hub does not know the code",
    "device_code_already_consumed": "the code was used already",
    "device_code_denied": "the login was refused",
    "device_code_expired": "nobody approved the code in time",
    "invalid_install_token": "the Hub does not know the install token",
    "install_token_expired": "the install token is too old",
    "install_token_consumed": "the install token was used already",
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a person needs to approve a login: a page and a code, for `seconds`."""

    page: str
    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Code:
    device: str
    invitation: Invitation
    interval: float


async def log_in(
    session: ClientSession,
    hub: str,
    *,
    label: str | None,
    invite: Callable[[Invitation], None],
    least: float = 1.0,
) -> Login:
    """Get a code, show it with `invite`, and wait until somebody has approved it.

    `least` is the shortest time between two looks, in seconds, whatever the Hub says.

    Raises:
        ChannelStopped: it was refused, or nobody approved it in time.
        ChannelUnavailable: the Hub gives no code.
    """
    code = await _ask_code(session, hub, label)
    invite(code.invitation)
    interval = max(code.interval, least)
    clock = asyncio.get_running_loop().time
    ends = clock() + code.invitation.seconds
    while clock() < ends:
        body = {"device_code": code.device} | _named(label)
        try:
            answer = await _post(session, f"{hub}/daemon/auth/device-token", body)
        except ChannelUnavailable:  # the next look may get through
            answer = None
        if answer is not None:
            said, wait = _said(answer)
            if said == "granted":
                return granted(answer.body, hub, time.time())
            if said == "slow_down":
                interval = max(interval, wait)
        await asyncio.sleep(min(interval, max(0.0, ends - clock())))
    raise ChannelStopped(_REFUSALS["device_code_expired"])


async def redeem(session: ClientSession, hub: str, token: str, *, label: str | None) -> Login:
    """Log in with a token that can be used once.

    Raises:
        ChannelStopped: the Hub refuses it.
        ChannelUnavailable: the Hub does not answer.
    """
    body = {"install_token": token} | _named(label)
    answer = await _post(session, f"{hub}/daemon/auth/install-token", body)
    if not answer.ok:
        raise _failure(answer)
    return granted(answer.body, hub, time.time())


async def _ask_code(session: ClientSession, hub: str, label: str | None) -> _Code:
    answer = await _post(session, f"{hub}/daemon/auth/device-code", _named(label))
    if not answer.ok:
        raise _failure(answer)
    record: Record = answer.body if isinstance(answer.body, dict) else {}
    device, user = text_of(record, "device_code"), text_of(record, "user_code")
    page = text_of(record, "verification_uri_complete") or text_of(record, "verification_uri")
    if not device or not user or not page or not page.startswith(("https://", "http://")):
        raise ChannelUnavailable(f"{answer}: the answer is no device code")
    seconds = number_of(record, "expires_in") or 600.0
    interval = number_of(record, "interval") or 5.0
    shown = Invitation(_printable(page), _printable(user), min(max(seconds, 0.0), 3600.0))
    return _Code(device, shown, min(interval, 60.0))


def _said(answer: Answer) -> tuple[str, float]:
    """What a look found: `granted`, `wait` or `slow_down`, and the interval from then on.

    Raises:
        ChannelStopped: it is of no use to look again.
    """
    record: Record = answer.body if isinstance(answer.body, dict) else {}
    named = (text_of(record, name) for name in ("status", "state", "error", "code"))
    said = next(filter(None, named), "")
    if answer.status in (200, 400, 428):
        if said in _WAITING:
            return "wait", 0.0
        if said == "slow_down":
            return said, min(number_of(record, "interval") or SLOWER, 60.0)
    if answer.ok:
        return "granted", 0.0
    if answer.status == 429 or answer.status >= 500:
        return "slow_down", answer.wait or SLOWER
    raise _failure(answer)


def _failure(answer: Answer) -> ChannelStopped | ChannelUnavailable:
    if answer.status == 429 or answer.status >= 500:
        return ChannelUnavailable(f"{answer}", answer.wait)
    return ChannelStopped(_REFUSALS.get(error_code(answer.body), f"the Hub refuses: {answer}"))


async def _post(session: ClientSession, url: str, body: Mapping[str, object]) -> Answer:
    return await request(session, "POST", url, body=body, timeout=TIMEOUT)


def _named(label: str | None) -> dict[str, object]:
    return {"label": label} if label else {}


def _printable(text: str) -> str:
    """The text without what could steer a terminal."""
    return "".join(filter(str.isprintable, text))
