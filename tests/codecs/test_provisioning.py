"""What the control plane asks for, and what of it is refused."""

import base64
from typing import Any

import pytest

from sidecar.codecs.hub.attention import attention_of
from sidecar.codecs.hub.provisioning import BadRequest, provision_of, revocation_of, route_of
from sidecar.codecs.hub.waking import owner_room, wake_message
from sidecar.model import Attention

GIVEN: dict[str, object] = {
    "agentId": "ag_1",
    "keyId": "k_1",
    "privateKey": base64.b64encode(bytes(range(32))).decode(),
    "hubUrl": "https://hub.example/",
}


def test_credentials_are_written_as_the_daemon_does_and_milliseconds_become_seconds() -> None:
    given = {**GIVEN, "token": "t", "tokenExpiresAt": 1795415030000, "unknown": 1}
    found = provision_of({"credentials": given, "name": "Lazy", "bio": "a\nb"}, "now")
    assert found.credentials["tokenExpiresAt"] == 1795415030
    assert found.credentials["hubUrl"] == "https://hub.example"
    assert "unknown" not in found.credentials
    assert (found.name, found.bio) == ("Lazy", "a\nb")
    assert str(GIVEN["privateKey"]) not in repr(found)


def test_the_cwd_and_the_runtime_are_found_wherever_a_hub_puts_them() -> None:
    given = {**GIVEN, "runtime": "codex", "cwd": "/inner"}
    found = provision_of({"credentials": given, "adapter": "gemini", "cwd": "/outer"}, "now")
    assert (found.target.runtime, found.target.cwd) == ("gemini", "/inner")


@pytest.mark.parametrize(
    "change",
    [
        {"agentId": "../x"},
        {"agentId": 5},
        {"keyId": None},
        {"privateKey": "AAAA"},
        {"publicKey": base64.b64encode(bytes(32)).decode()},
        {"hubUrl": "http://hub.example"},
        {"hubUrl": "file:///etc"},
        {"cwd": "a\nb"},
        {"cwd": "x" * 5000},
        {"cwd": ["/"]},
        {"runtime": {}},
    ],
)
def test_credentials_that_cannot_be_used_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as error:
        provision_of({"credentials": {**GIVEN, **change}}, "now")
    assert str(GIVEN["privateKey"]) not in str(error.value)


def test_without_credentials_nothing_is_provisioned() -> None:
    with pytest.raises(BadRequest):
        provision_of({"name": "Lazy"}, "now")


@pytest.mark.parametrize(
    ("params", "deleted"),
    [
        ({}, (True, True, False)),
        ({"deleteCredentials": False}, (False, False, False)),
        ({"deleteCredentials": False, "deleteState": True}, (False, True, False)),
        ({"deleteWorkspace": "yes"}, (True, True, False)),
        ({"deleteState": False, "deleteWorkspace": True}, (True, True, True)),
    ],
)
def test_the_state_follows_the_credentials_and_the_workspace_only_a_plain_yes(
    params: dict[str, object], deleted: tuple[bool, bool, bool]
) -> None:
    found = revocation_of({"agentId": "ag_1", **params})
    assert (found.credentials, found.state, found.workspace) == deleted


def test_a_route_has_the_conditions_of_the_daemon_and_is_of_its_agent() -> None:
    match = {"roomPrefix": "rm_x", "senderId": "hu_1", "accountId": "ag_other", "mentioned": True}
    agent, found, target = route_of(
        {"agentId": "ag_1", "pattern": "rm_y", "route": {"match": match, "extraArgs": ["-v"]}}
    )
    assert agent == "ag_1"
    assert found == {"conversation_prefix": "rm_x", "sender": "hu_1", "mentioned": True}
    assert target.args == ("-v",)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"route": []},
        {"route": {"match": {"colour": "red"}}},
        {"route": {"match": {"senderId": 5.5}}},
        {"route": {"extraArgs": "x"}},
        {"route": {"extraArgs": ["a", 5]}},
        {"route": {"extraArgs": ["a"] * 65}},
    ],
)
def test_a_route_that_would_take_more_than_it_says_is_refused(params: Any) -> None:
    with pytest.raises(BadRequest):
        route_of({"agentId": "ag_1", **params})


def test_the_room_of_an_owner_follows_from_the_user_and_the_agent() -> None:
    user = "2b84203d-e850-4b2e-ac75-e09a31c784c7"
    assert owner_room(user, "ag_ff73a0647bbc") == "rm_oc_9a8986d5272fe445"
    message = wake_message({"message": "go", "dedupe_key": "d"}, "c", "ag_1", user, 1.0)
    assert (message.id, message.conversation.kind) == ("wake:d", "direct")
    assert message.sender.kind == "agent"
    with pytest.raises(BadRequest):
        wake_message({"message": "go"}, "c", "ag_1", user, 1.0)


def test_an_attention_policy_is_read_and_an_unknown_mode_wakes() -> None:
    told = {"mode": "keyword", "keywords": ["a", 5, " "], "muted_until": 2000}
    assert attention_of(told) == Attention("keyword", ("a",), (), 2.0)
    assert attention_of({"mode": "dance"}) == Attention()
    assert attention_of(None) is None
    assert attention_of({"keywords": ["a"]}) is None
