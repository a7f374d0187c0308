"""A BotCord daemon's config becomes one of ours."""

from typing import Any

import pytest

from sidecar.config.rewriting.imported import convert
from sidecar.config.rewriting.imported_machine import Agent, Machine
from sidecar.config.rewriting.imported_rules import NoDaemonConfig

WORKSPACE = "~/.botcord/agents/ag_a/workspace"
KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
DEVELOPMENT = "H8lKtrtJclp+M69dh0n0avdia/kN8fy1tYUSrQFpDxY="


def source(**more: Any) -> dict[str, Any]:
    return {"agents": ["ag_a"], "defaultRoute": {"adapter": "claude-code", "cwd": "/w"}, **more}


def data(machine: Machine | None = None, **more: Any) -> dict[str, Any]:
    return convert(source(**more), machine or Machine()).data


def report(machine: Machine | None = None, **more: Any) -> str:
    return "\n".join(convert(source(**more), machine or Machine()).report)


def rule(**more: Any) -> dict[str, Any]:
    return {"match": {"accountId": "ag_a"}, "adapter": "codex", "cwd": "/x", **more}


def arguments(given: object, **more: Any) -> tuple[list[str] | None, str]:
    """What a rule's `extraArgs` become, and what is told of them."""
    rules = [rule(extraArgs=given, **more)]
    told = [line for line in report(routes=rules).splitlines() if "extraArgs" in line]
    return data(routes=rules)["routes"][0].get("args"), "\n".join(told)


def test_agents_become_channels_and_the_adapter_a_runtime() -> None:
    found = data(agents=["ag_a", "ag_b", "ag_a"])
    assert found["channels"] == {
        agent: {"type": "botcord", "credentials": f"~/.botcord/credentials/{agent}.json"}
        for agent in ("ag_a", "ag_b")
    }
    assert found["runtimes"] == {"claude-code": {"type": "claude-code"}}
    assert found["default_route"] == {"runtime": "claude-code", "trust": "trusted"}


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
    route, own = data(routes=[rule])["routes"]
    assert own["name"] == "ag_a"
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


def test_an_agent_works_as_its_credentials_file_says_and_else_in_its_workspace() -> None:
    agents = {
        "ag_a": Agent(),
        "ag_b": Agent("codex", "/b"),
        "ag_c": Agent("nope", "/gone"),
        "ag_d": Agent(cwd="/d"),
    }
    machine = Machine(agents, is_dir={WORKSPACE, "/b", "/d"}.__contains__)
    found = data(machine, agents=list(agents))
    assert [(one["name"], one["runtime"], one.get("cwd")) for one in found["routes"]] == [
        ("ag_a", "claude-code", WORKSPACE),
        ("ag_b", "codex", "/b"),
        ("ag_c", "claude-code", None),
        ("ag_d", "claude-code", "/d"),
    ]
    assert {(one["match"]["account"], one["trust"]) for one in found["routes"]} == {
        (agent, "trusted") for agent in agents
    }
    assert found["runtimes"] == {"claude-code": {"type": "claude-code"}, "codex": {"type": "codex"}}
    told = report(machine, agents=list(agents))
    assert "(agent ag_b): routes: ag_b: codex in /b\n" in told
    assert "(agent ag_c): the daemon had no runtime nope: claude-code takes its place\n" in told
    assert "(agent ag_c): not taken over: its cwd, /gone, is no folder here\n" in told
    assert "(agent ag_c): routes: ag_c: claude-code in its own folder in" in told


def test_found_agents_have_their_routes_after_those_of_the_daemons_config() -> None:
    machine = Machine({"ag_b": Agent("codex", "/b"), "ag_a": Agent()}, ["/c/x.json: is open"])
    found = data(machine, agents=[], routes=[rule()])
    assert [one["name"] for one in found["routes"]] == ["route-1", "ag_a", "ag_b"]
    assert found["routes"][2]["runtime"] == "codex"
    assert "cwd" not in found["default_route"]
    assert "(credentials): /c/x.json: is open\n" in report(machine, agents=[])


@pytest.mark.parametrize("value", ["${HOME}/$$", "$x"])
def test_a_dollar_stays_a_dollar(value: str) -> None:
    found = data(routes=[rule(cwd=value)])["routes"][0]["cwd"]
    assert found == value.replace("$", "$$")


def test_a_flag_that_codex_knows_no_more_is_left_out_and_gives_no_one_more_power() -> None:
    args, told = arguments(["--full-auto", "-m", "big"])
    assert args == ["-m", "big"]
    assert "--full-auto is left out" in told
    assert "`trust: trusted`" in told
    args, told = arguments(["--full-auto"], trustLevel="owner")
    assert args == ["--sandbox", "workspace-write"]
    assert "`--sandbox workspace-write`" in told
    assert arguments(["--full-auto"], adapter="claude-code") == (["--full-auto"], "")


def test_arguments_that_are_a_text_are_split_as_a_shell_does() -> None:
    args, told = arguments("--x 'a b' --full-auto")
    assert args == ["--x", "a b"]
    assert "into 3" in told
    args, told = arguments("--x 'a")
    assert args is None
    assert "routes[0].extraArgs: not taken over: it is no list, but a text with a quote" in told


@pytest.mark.parametrize("given", [{"a": 1}, 5, ["--x", None], [["--x"]], [True]])
def test_other_arguments_are_told(given: object) -> None:
    args, told = arguments(given)
    assert args is None
    assert "no list of texts" in told


def test_a_number_among_the_arguments_is_its_digits() -> None:
    assert arguments(["--max-turns", 5]) == (["--max-turns", "5"], "")


@pytest.mark.parametrize("match", [{"conversationKind": "odd"}, {"accountId": 5}, {"roomId": []}])
def test_a_rule_that_never_matched_is_left_out(match: dict[str, Any]) -> None:
    rules = [rule(match=match | {"senderId": "u"})]
    if match == {"roomId": []}:  # the daemon took it as not given
        assert data(routes=rules)["routes"][0]["match"] == {"sender": "u"}
    else:
        assert [one["name"] for one in data(routes=rules)["routes"]] == ["ag_a"]
        assert "routes[0]: not taken over: no message ever matched it" in report(routes=rules)


def test_with_a_login_the_control_plane_is_on() -> None:
    assert data(Machine(login=""))["control_plane"] == {"enabled": True}
    told = report(Machine(login=""))
    assert "not_managed" in told
    assert "(public key): control_plane.public_keys:" in told
    ring = Machine(login="", env={"BOTCORD_HUB_CONTROL_PUBLIC_KEY": KEY})
    assert data(ring)["control_plane"] == {"enabled": True}
    assert "BOTCORD_HUB_CONTROL_PUBLIC_KEY: counts as before" in report(ring)
    assert "(public key)" not in report(ring)


def test_a_login_or_a_key_that_cannot_be_used_leaves_it_off() -> None:
    assert "control_plane" not in data()
    assert "user-auth.json: is not there" in report()
    for machine, told in (
        (Machine(login="it is open"), "it is open"),
        (
            Machine(login="", env={"BOTCORD_HUB_CONTROL_PUBLIC_KEY": DEVELOPMENT}),
            "BOTCORD_HUB_CONTROL_PUBLIC_KEY: everybody has",
        ),
    ):
        assert data(machine)["control_plane"] == {"enabled": False}
        assert f"mend it, then set true: {told}" in report(machine)


def test_programs_that_variables_named_become_commands() -> None:
    machine = Machine(env={"BOTCORD_CODEX_BIN": "/opt/codex", "BOTCORD_CLAUDE_BIN": ""})
    assert data(machine, routes=[rule()])["runtimes"] == {
        "claude-code": {"type": "claude-code"},
        "codex": {"type": "codex", "command": "/opt/codex"},
    }
    told = report(machine, routes=[rule()])
    assert "BOTCORD_CODEX_BIN: runtimes.codex.command;" in told
    assert "BOTCORD_CLAUDE_BIN: is not set here" in told
    assert "BOTCORD_CODEX_BIN" not in report()


def test_what_an_agent_does_not_get_any_more_is_told() -> None:
    told = report()
    assert "inherit_env" in told
    assert "(sessions):" in told
    assert "(trust):" in told
    assert "CODEX_HOME" not in told
    assert "(codex): agents share your own CODEX_HOME" in report(routes=[rule()])


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
