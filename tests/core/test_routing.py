from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.model import Match, Route
from sidecar.core.routing import Router
from sidecar.model import Conversation, Message, Sender


def route(name: str, **match: Any) -> Route:
    return Route(name, "runtime", Path("/"), Match(**match))


def message(
    conversation: str = "rm_1",
    *,
    channel: str = "demo",
    account: str = "ag_demo",
    sender: str = "ag_x",
    kind: str = "group",
    sender_kind: str = "agent",
    mentioned: bool = False,
) -> Message:
    return Message(
        channel,
        account,
        "m1",
        Conversation(conversation, kind),  # type: ignore[arg-type]
        Sender(sender, sender_kind),  # type: ignore[arg-type]
        "hello",
        0.0,
        mentioned,
    )


DEFAULT = route("default")


def test_the_first_matching_route_in_file_order_wins_whatever_it_matches_on() -> None:
    routes = [
        route("prefix", conversation_prefix=("rm_oc_",)),
        route("exact", conversation=("rm_oc_1",)),
        route("all"),
    ]
    assert Router(routes, DEFAULT).match(message("rm_oc_1")).name == "prefix"
    assert Router(routes[::-1], DEFAULT).match(message("rm_oc_1")).name == "all"
    assert Router([routes[1], routes[0]], DEFAULT).match(message("rm_oc_1")).name == "exact"


def test_all_given_conditions_must_hold() -> None:
    router = Router([route("r", conversation=("rm_1",), sender_kind=("human",))], DEFAULT)
    assert router.match(message("rm_1")).name == "default"
    assert router.match(message("rm_1", sender_kind="human")).name == "r"


def test_a_message_without_a_mention_is_not_mentioned() -> None:
    router = Router([route("quiet", mentioned=False)], DEFAULT)
    assert router.match(message()).name == "quiet"
    assert router.match(message(mentioned=True)).name == "default"


def test_no_route_and_no_default_is_no_route() -> None:
    assert Router([route("r", account=("other",))], None).match(message()) is None


NAMES = st.sampled_from(["a", "ab", "abc", "b", "rm_1", "rm_12"])
VALUES = st.none() | st.lists(NAMES, min_size=1, max_size=2).map(tuple)
MATCHES = st.builds(
    Match,
    channel=VALUES,
    account=VALUES,
    conversation=VALUES,
    conversation_prefix=st.none() | st.lists(NAMES | st.just(""), min_size=1).map(tuple),
    kind=st.none() | st.sampled_from([("group",), ("direct",)]),
    sender=VALUES,
    sender_kind=st.none() | st.sampled_from([("owner",), ("human", "agent")]),
    mentioned=st.none() | st.booleans(),
)


def holds(match: Match, said: Message) -> bool:
    """The plain reading of a match, condition by condition."""
    values = {
        "channel": said.channel,
        "account": said.account,
        "conversation": said.conversation.id,
        "kind": said.conversation.kind,
        "sender": said.sender.id,
        "sender_kind": said.sender.kind,
    }
    for name, value in values.items():
        wanted = getattr(match, name)
        if wanted is not None and value not in wanted:
            return False
    prefixes = match.conversation_prefix
    if prefixes is not None and not any(said.conversation.id.startswith(one) for one in prefixes):
        return False
    return match.mentioned is None or match.mentioned == said.mentioned


@given(
    st.lists(MATCHES, max_size=12),
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    st.sampled_from(["group", "direct"]),
    st.sampled_from(["owner", "human", "agent"]),
    st.booleans(),
)
def test_the_compiled_router_agrees_with_trying_each_route_in_order(
    matches: list[Match],
    channel: str,
    account: str,
    conversation: str,
    sender: str,
    kind: str,
    sender_kind: str,
    mentioned: bool,
) -> None:
    routes = [Route(str(n), "r", Path("/"), match) for n, match in enumerate(matches)]
    said = message(
        conversation,
        channel=channel,
        account=account,
        sender=sender,
        kind=kind,
        sender_kind=sender_kind,
        mentioned=mentioned,
    )
    expected = next((one for one in routes if holds(one.match, said)), DEFAULT)
    assert Router(routes, DEFAULT).match(said) is expected


def test_a_message_is_compared_only_with_routes_that_could_take_it() -> None:
    many = [route(f"r{n}", conversation=(f"rm_{n}",), sender_kind=("owner",)) for n in range(5000)]
    router = Router([*many, route("last", conversation_prefix=("rm_x",))], DEFAULT)
    candidates = list(router._candidates(message("rm_17")))
    assert sum(len(shelf) for shelf in candidates) == 1
