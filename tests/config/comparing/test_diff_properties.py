"""A plan tells every place at which two configs differ, and no other one."""

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sidecar.config.comparing.diff import difference
from sidecar.config.model import Config
from tests.proofs.conftest import LONG


def some(**options: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=options)


TRUST = st.sampled_from(["owner", "trusted", "public"])
TIME = st.sampled_from(["1s", "10m", "1h"])
RATE = st.sampled_from([None, {"per_sender": "1/1m"}, {"per_sender": "2/1m"}])
CHANNEL = st.builds(
    lambda more: {"type": "botcord", "credentials": "/c.json", **more},
    some(
        grant=some(owner=TRUST, human=TRUST, senders=some(x=TRUST, y=TRUST)),
        allow=some(senders=st.sampled_from([["x"], ["x", "y"]])),
        rate_limit=RATE,
        loop_guard=st.none() | some(turns=st.integers(1, 3)),
        hub_url=st.sampled_from(["https://a", "https://b"]),
    ),
)
RUNTIME = st.builds(
    lambda more: {"type": "command", "command": ["claude"], **more},
    some(args=st.sampled_from([[], ["-a"]]), env=some(A=st.sampled_from(["1", "2"]))),
)
PLACE = some(
    trust=TRUST,
    queue=st.sampled_from(["serial", "coalesce"]),
    args=st.sampled_from([[], ["-a"]]),
    turn_timeout=TIME,
    user_turn=st.sampled_from(["a", "b"]),
)
TEXTS = st.sampled_from([["a"], ["b"], ["a", "b"]])
ROUTE = st.builds(
    lambda more, match: {"runtime": "r1", "cwd": ".", **more, "match": match},
    PLACE,
    some(conversation=TEXTS, sender_kind=st.sampled_from(["owner", "human"])),
)
DOCUMENT = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "runtimes": st.fixed_dictionaries({"r1": RUNTIME}, optional={"r2": RUNTIME}),
        "default_route": st.builds(lambda more: {"runtime": "r1", "cwd": ".", **more}, PLACE),
    },
    optional={
        "channels": st.dictionaries(st.sampled_from(["c1", "c2", "c3"]), CHANNEL),
        "routes": st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True).flatmap(
            lambda names: st.tuples(
                *(st.builds(lambda one, name=name: {"name": name, **one}, ROUTE) for name in names)
            ).map(list)
        ),
        "limits": some(
            queue_depth=st.integers(1, 3), turn_timeout=TIME, concurrent_turns=st.just(2)
        ),
        "context": some(activity=some(window=TIME), env=TEXTS),
        "log": some(level=st.sampled_from(["info", "debug"])),
        "state": some(session_ttl=st.sampled_from(["1d", "2d"])),
    },
)


def holder(document: Any, steps: list[str]) -> Any:
    """What holds the last step of a path, made where it is not there."""
    for step in steps[:-1]:
        document = document.setdefault(step, {})
        if document is None:
            return {}
    return document


def take(document: Any, other: Any, path: str) -> None:
    """Make the place of a path what it is in another document."""
    steps = path.split(".")
    if steps[0] == "routes":
        for side in (document, other):  # routes go by their names
            side["routes"] = {one["name"]: one for one in side.get("routes", [])}
    here, there = holder(document, steps), holder(copy.deepcopy(other), steps)
    if steps[-1] in there:
        here[steps[-1]] = there[steps[-1]]
    else:
        here.pop(steps[-1], None)
    if steps[0] == "routes":
        for side in (document, other):
            side["routes"] = list(side["routes"].values())


@settings(
    max_examples=3000 if LONG else 15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(old=DOCUMENT, new=DOCUMENT)
def test_what_a_plan_names_makes_one_config_of_the_other(
    old: dict[str, Any], new: dict[str, Any], check: Callable[[str], Any]
) -> None:
    before, after = (_config(check, document) for document in (old, new))
    assert difference(before, before).changes == ()
    plan = difference(before, after)
    assert (plan.changes == ()) == (before == after)
    made = copy.deepcopy(old)
    for change in plan.changes:
        if change.action != "moved":
            take(made, new, change.path)
    moved = {change.path for change in plan.changes if change.action in ("moved", "added")}
    order = [one["name"] for one in new.get("routes", [])]
    if any(path.startswith("routes.") for path in moved):
        made["routes"].sort(key=lambda one: order.index(one["name"]))
    assert _config(check, made) == after


def _config(check: Callable[[str], Any], document: dict[str, Any]) -> Config:
    found = check(json.dumps(document))
    assert found.config is not None, found.problems
    config: Config = found.config
    return config
