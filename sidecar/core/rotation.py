"""When a session is left for a fresh one."""

from sidecar.config.model import SessionBounds


def bounds(route: SessionBounds, runtime: SessionBounds) -> SessionBounds:
    """The bounds of a route; what it does not tell is taken from its runtime."""
    return SessionBounds(
        max_turns=runtime.max_turns if route.max_turns is None else route.max_turns,
        max_tokens=runtime.max_tokens if route.max_tokens is None else route.max_tokens,
        idle=runtime.idle if route.idle is None else route.idle,
    )


def worn(limits: SessionBounds, *, turns: int, tokens: int, idle: float) -> str | None:
    """Which bound a session has reached: `max_turns`, `max_tokens` or `idle`; None if none.

    `turns` were finished in it, `tokens` they used together, the last one `idle` seconds ago.
    """
    if limits.max_turns is not None and turns >= limits.max_turns:
        return "max_turns"
    if limits.max_tokens is not None and tokens >= limits.max_tokens:
        return "max_tokens"
    if limits.idle is not None and idle >= limits.idle:
        return "idle"
    return None
