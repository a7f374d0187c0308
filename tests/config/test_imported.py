"""A BotCord daemon's config becomes one of ours."""

from typing import Any

import pytest

from sidecar.config.imported import NoDaemonConfig, convert


def source(**more: Any) -> dict[str, Any]:
    return {"agents": ["ag_a"], "defaultRoute": {"adapter": "claude-code", "cwd": "/w"}, **more}


def data(**more: Any) -> dict[str, Any]:
    return convert(source(**more), lambda _: False).data


def report(**more: Any) -> str:
    return "\n".join(convert(source(**more), lambda _: False).report)


def test_agents_become_channels_and_the_adapter_a_runtime() -> None:
    found = data(agents=["ag_a", "ag_b", "ag_a"])
    assert found["channels"] == {
        agent: {"type": "botcord", "credentials": f"~/.botcord/credentials/{agent}.json"}
        for agent in ("ag_a", "ag_b")
    }
    assert found["runtimes"] == {"claude-code": {"type": "claude-code"}}
    assert found["default_route"] == {"runtime": "claude-code", "cwd": "/w", "trust": "trusted"}


def test_the_single_agent_of_older_versions_counts() -> None:
    assert list(data(agents=[], agentId="ag_1")["channels"]) == ["ag_1"]
    assert "`agents` won" in report(agentId="ag_1")


def test_without_agents_the_folder_of_credentials_is_watched() -> None:
    found = data(agents=[], agentDiscovery={"credentialsDir": "/c"})
    assert found["discovery"] == {"botcord": {"credentials_dir": "/c"}}
    assert "channels" not in found
    assert data(agents=[])["discovery"]["botcord"]["credentials_dir"] == "~/.botcord/credentials"


def test_a_rule_keeps_its_match_arguments_and_trust() -> None:
    rule = {
        "match": {"accountId": "ag_a", "roomPrefix": "rm_oc_", "mentioned": True, "senderId": ""},
        "adapter": "codex",
        "cwd": "/x",
        "extraArgs": ["-m", "big"],
        "trustLevel": "untrusted",
    }
    (route,) = data(routes=[rule])["routes"]
    assert route == {
        "name": "route-1",
        "match": {"account": "ag_a", "conversation_prefix": "rm_oc_", "mentioned": True},
        "runtime": "codex",
        "cwd": "/x",
        "args": ["-m", "big"],
        "trust": "public",
    }
    assert "routes[0].match.senderId" in report(routes=[rule])


def test_the_new_name_of_a_field_wins_over_the_old_one() -> None:
    match = {"roomId": "old", "conversationId": "new"}
    rule = {"match": match, "adapter": "codex", "cwd": "/x"}
    assert data(routes=[rule])["routes"][0]["match"] == {"conversation": "new"}
    assert "routes[0].match.roomId" in report(routes=[rule])


def test_an_agent_with_a_folder_of_its_own_keeps_working_there() -> None:
    found = convert(source(), lambda name: name == "~/.botcord/agents/ag_a/workspace").data
    assert found["routes"] == [
        {
            "name": "ag_a",
            "match": {"account": "ag_a"},
            "runtime": "claude-code",
            "cwd": "~/.botcord/agents/ag_a/workspace",
            "trust": "trusted",
        }
    ]


def test_every_field_is_accounted_for() -> None:
    rule = {"adapter": "codex", "cwd": "/x", "odd": 1, "match": {"odd": 1}}
    told = report(streamBlocks=False, odd=1, routes=[rule], agentDiscovery={"enabled": True})
    for key in ("agents", "defaultRoute", "streamBlocks", "odd", "routes[0]", "agentDiscovery"):
        assert f"{key}:" in told, key
    assert "routes[0].odd:" in told
    assert "routes[0].match.odd:" in told


@pytest.mark.parametrize(
    "more",
    [
        {"agents": [1]},
        {"agents": [], "agentDiscovery": {"enabled": False}},
        {"defaultRoute": None},
        {"defaultRoute": {"adapter": "codex"}},
        {"routes": {}},
        {"routes": [1]},
    ],
)
def test_what_the_daemon_refuses_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(NoDaemonConfig, match=":"):
        data(**more)
