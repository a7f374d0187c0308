"""How requests find the Hub's state, and what surrounds each of them: counting and faults."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from sidecar import metrics
from sidecar.devhub.answers import Invalid, Refused, answer, crash, refusal
from sidecar.devhub.state import State

STATE: web.AppKey[State] = web.AppKey("state", State)

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request, let an ordered fault happen, and answer refusals in the Hub's form."""
    state = request.app[STATE]
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else request.path
    state.requests[route] += 1
    state.news.tell()
    fault = state.faults.take(route)
    if fault is None:
        return await _answer(request, handler)
    own = await _answer(request, handler) if fault.after else None
    await state.news.until(lambda: state.closing, fault.delay)
    if fault.answers:
        return fault.response(request)
    return own or await _answer(request, handler)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (Refused, Invalid) as refused:
        return refused.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        body = refusal(error.status, error.reason, error.reason, plain=True)
        return answer(body, error.status, {"Allow": error.headers.get("Allow", "")})
    except ConnectionError:
        raise  # the client is gone
    except Exception:  # a defect must look like one, not end the Hub
        metrics.count("devhub_crashes_total")
        log.exception("%s %s failed", request.method, request.path)
        return crash()
