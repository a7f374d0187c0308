"""The routes with which a machine logs in: device code, install token, refresh."""

import secrets
import time

from aiohttp import web

from sidecar.devhub.answers import Refused, answer, read_object, take
from sidecar.devhub.control import Code
from sidecar.devhub.ids import random_id
from sidecar.devhub.state import State
from sidecar.devhub.wiring import STATE


async def device_code(request: web.Request) -> web.Response:
    """POST /daemon/auth/device-code: a code that a person approves."""
    state = request.app[STATE]
    control = state.control
    user = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
    code = Code(random_id("dc_", 32), user, time.time() + control.code_ttl)
    control.codes[code.device] = code
    if control.approves:
        control.approve(user)
    page = f"{state.url}/activate"
    return answer(
        {
            "device_code": code.device,
            "user_code": user,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={user}",
            "expires_in": control.code_ttl,
            "interval": control.interval,
        }
    )


async def device_token(request: web.Request) -> web.Response:
    """POST /daemon/auth/device-token: the login, once somebody has approved the code."""
    state = request.app[STATE]
    body = await read_object(request)
    if state.control.answers:
        status, given = state.control.answers.pop(0)
        return answer(given, status)
    code = state.control.codes.get(str(take(body, "device_code", str, 64)))
    if code is None:
        raise _plain(400, "invalid_device_code")
    if code.consumed:
        raise _plain(400, "device_code_already_consumed")
    if code.expires_at <= time.time():
        raise _plain(410, "device_code_expired")
    if code.instance is None:
        return answer({"status": "pending"})
    code.consumed = True
    return answer(state.control.grant(code.instance, state.url))


async def install_token(request: web.Request) -> web.Response:
    """POST /daemon/auth/install-token: the login for a token that can be used once."""
    state = request.app[STATE]
    token = str(take(await read_object(request), "install_token", str, 256))
    if token not in state.control.install_tokens:
        raise _plain(401, "invalid_install_token")
    state.control.install_tokens.discard(token)
    return answer(state.control.grant(state.control.add_instance(), state.url))


async def refresh(request: web.Request) -> web.Response:
    """POST /daemon/auth/refresh: new tokens; the refresh token that was used is dead at once."""
    state: State = request.app[STATE]
    token = str(take(await read_object(request), "refresh_token", str, 256))
    found = [one for one in state.control.instances.values() if one.refresh == token]
    if not found:
        raise _plain(401, "invalid_refresh_token")
    if found[0].revoked:
        raise _plain(401, "daemon_revoked")
    found[0].refreshes += 1
    return answer(state.control.grant(found[0], state.url))


def _plain(status: int, code: str) -> Refused:
    return Refused(status, code, detail=code, plain=True)
