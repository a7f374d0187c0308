"""The channels of a config."""

from sidecar.config.building.options import can_use, options
from sidecar.config.building.part import Part
from sidecar.config.model import Allow, Channel, Grant, LoopGuard, Rate
from sidecar.config.problems import Position
from sidecar.config.schemas.schema import Schema

DEFAULT_RATE = Rate(20, 60.0)
"""Messages of one sender that are accepted: 20 in a minute."""


def channels(root: Part, schema: Schema) -> dict[str, Channel]:
    """The channels by id. Two with one account are a problem: both would answer."""
    found: dict[str, Channel] = {}
    accounts: dict[tuple[str, object], Position] = {}
    for part in root.parts("channels"):
        type_ = part.get("type")
        if not type_ or not can_use(part, schema, "channel", type_, part.value_at("type")):
            continue
        channel = _channel(part, schema)
        found[channel.id] = channel
        for key, told in schema.options("channel", channel.type).items():
            if "x-account" in told:
                _check_account(part, key, (channel.type, channel.options[key]), accounts)
    return found


def _channel(part: Part, schema: Schema) -> Channel:
    return Channel(
        id=str(part.place[-1]),
        type=part.data["type"],
        options=options(part, schema, "channel", part.data["type"]),
        grant=_grant(part.part("grant")),
        allow=Allow(part.part("allow").texts("senders"), part.part("allow").texts("conversations")),
        rate_limit=_rate_limit(part),
        loop_guard=_loop_guard(part),
        notices=part.get("notices", False),
        managed=part.is_managed,
    )


def _grant(part: Part) -> Grant:
    default = Grant()
    return Grant(
        owner=part.get("owner", default.owner),
        human=part.get("human", default.human),
        agent=part.get("agent", default.agent),
        senders=dict(part.get("senders", {})),
    )


def _rate_limit(part: Part) -> Rate | None:
    if part.get("rate_limit", {}) is None:
        return None
    return part.part("rate_limit").rate("per_sender", DEFAULT_RATE)


def _loop_guard(part: Part) -> LoopGuard | None:
    if part.get("loop_guard", {}) is None:
        return None
    guard, default = part.part("loop_guard"), LoopGuard()
    return LoopGuard(
        turns=int(guard.get("turns", default.turns)),
        window=guard.duration("window", default.window),
    )


def _check_account(
    part: Part, key: str, account: tuple[str, object], known: dict[tuple[str, object], Position]
) -> None:
    position = part.value_at(key) if part.has(key) else part.key_at()
    first = known.setdefault(account, position)
    if first is not position:
        message = "two channels speak as one account"
        hint = "one channel takes the messages of all conversations of its account"
        part.problem("duplicate-account", message, key, hint=hint, related=first, at=position)
