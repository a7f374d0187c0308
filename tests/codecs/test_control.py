"""Frames of the control socket: what is let through, and what is told about the rest."""

import json
from typing import Any

import pytest

from sidecar.codecs.hub import signing
from sidecar.codecs.hub.control import Done, Failed, Frame, Refused, ack, event, verify

SEED = bytes(range(32))
KEY = signing.signing_key(SEED)
KEYS = (signing.public_key(KEY),)
NOW = 1767225600.0


def frame(**changes: Any) -> dict[str, Any]:
    """A signed frame, with what is changed changed before it is signed."""
    made = {"id": "f1", "type": "ping", "params": {"a": "\u00e9"}, "ts": int(NOW * 1000), **changes}
    made = {name: value for name, value in made.items() if value is not None}
    return {**made, "sig": signing.sign(KEY, signing.control_input(made))}


def check(made: object, *, keys: tuple[str, ...] = KEYS, now: float = NOW) -> object:
    text = made if isinstance(made, bytes) else json.dumps(made).encode()
    return verify(text, keys, now)


def refusal(made: object, **others: Any) -> tuple[str, str | None]:
    found = check(made, **others)
    assert isinstance(found, Refused)
    return found.code, found.id


def test_the_reference_clients_signatures_are_right() -> None:
    hub = "H8lKtrtJclp+M69dh0n0avdia/kN8fy1tYUSrQFpDxY="
    id_, ts = "11111111-2222-4333-8444-555555555555", 1767225600123
    sig = "ZB1VyfKehB9yEuO7jNsVydto4H/ytiuf2f1WVX/4lMgL7+cpqth2V1Wgf9NH7WHaNxdKzPwykdTJcyP9B2t+AQ=="
    params = {"pattern": "rm_oc_", "agentId": "ag_ffeeddccbbaa"}
    sent = {"id": id_, "type": "set_route", "params": params, "ts": ts, "sig": sig}
    found = check(sent, keys=(hub,))
    assert found == Frame(id_, "set_route", params, ts / 1000)


@pytest.mark.parametrize("params", [{"x": [1, 2.5, None, "\U0001f600"]}, {}, None])
def test_a_signed_frame_is_let_through(params: Any) -> None:
    found = check(frame(params=params))
    assert found == Frame("f1", "ping", params or {}, NOW)


def test_any_key_of_the_ring_will_do() -> None:
    other = signing.public_key(signing.signing_key(bytes(32)))
    assert isinstance(check(frame(), keys=(other, *KEYS)), Frame)
    assert refusal(frame(), keys=(other,)) == ("bad_signature", "f1")


def test_fields_that_are_not_signed_change_nothing() -> None:
    assert check({**frame(), "type2": "revoke", "extra": 1}) == Frame("f1", "ping", {"a": "é"}, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "revoke"},
        {"id": "f2"},
        {"params": {"a": "e"}},
        {"params": {}},
        {"ts": int(NOW * 1000) + 1},
        {"sig": ""},
        {"sig": "AAAA"},
        {"sig": "\u00e9"},
    ],
)
def test_whatever_was_changed_on_the_way_is_refused(change: dict[str, Any]) -> None:
    made = {**frame(), **change}
    assert refusal(made) == ("bad_signature", made["id"])


@pytest.mark.parametrize("sig", [None, 7, ["x"]])
def test_a_frame_without_a_signature_is_refused(sig: Any) -> None:
    assert refusal({**frame(), "sig": sig}) == ("unsigned", "f1")


def test_without_a_key_nothing_is_let_through() -> None:
    assert refusal(frame(), keys=()) == ("no_control_key", "f1")


@pytest.mark.parametrize("seconds", [-301, 301, 1e9])
def test_a_frame_of_another_time_is_refused(seconds: float) -> None:
    assert refusal(frame(), now=NOW + seconds) == ("stale_ts", "f1")


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_clocks_may_differ_a_little(seconds: float) -> None:
    assert isinstance(check(frame(), now=NOW + seconds), Frame)


@pytest.mark.parametrize("ts", [None, "1767225600000", True])
def test_a_signed_frame_without_a_time_is_refused(ts: Any) -> None:
    assert refusal(frame(ts=ts)) == ("stale_ts", "f1")


def test_a_stranger_does_not_learn_whether_their_time_is_right() -> None:
    assert refusal({**frame(), "sig": "AAAA"}, now=NOW + 1e6) == ("bad_signature", "f1")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": 5, "type": "ping"}',
        b'{"type": "ping"}',
        b'{"id": "", "type": "ping"}',
        json.dumps({"id": "x" * 129, "type": "ping"}).encode(),
        json.dumps({"id": "a\nb", "type": "ping"}).encode(),
    ],
)
def test_what_is_no_frame_is_refused_and_cannot_be_answered(text: bytes) -> None:
    assert refusal(text) == ("malformed", None)


@pytest.mark.parametrize("change", [{"type": 5}, {"type": ""}, {"params": [1]}, {"params": "x"}])
def test_a_malformed_frame_with_an_id_is_answered(change: dict[str, Any]) -> None:
    assert refusal({**frame(), **change}) == ("malformed", "f1")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", str(2**70)])
def test_numbers_that_cannot_be_signed_are_refused(value: str) -> None:
    text = json.dumps({**frame(), "params": {"n": "N"}}).replace('"N"', value).encode()
    assert refusal(text) == ("bad_signature", "f1")


def test_a_frame_that_is_too_large_is_refused_before_its_signature_is_looked_at() -> None:
    assert refusal(frame(params={"a": "x" * (1 << 20)})) == ("too_large", "f1")


def test_the_hubs_acks_are_no_frames() -> None:
    assert check({"id": "f1", "ok": True}) is None
    assert check({"id": "f1", "ok": False, "error": {"code": "bad_params"}}) is None


def test_reprs_hold_no_secrets_and_refusals_quote_nothing() -> None:
    found = check(frame(params={"credentials": {"privateKey": "hunter2"}}))
    assert "hunter2" not in repr(found)
    bad = check({**frame(), "type": "hunter2\n", "params": {"a": "hunter2"}})
    assert "hunter2" not in repr(bad)


def test_acks_and_events_have_the_form_that_the_hub_tells_them_apart_by() -> None:
    assert json.loads(ack("f1", Done({"pong": True}))) == {
        "id": "f1",
        "ok": True,
        "result": {"pong": True},
    }
    assert json.loads(ack("f1", Done())) == {"id": "f1", "ok": True}
    assert json.loads(ack("f1", Failed("no", "why"))) == {
        "id": "f1",
        "ok": False,
        "error": {"code": "no", "message": "why"},
    }
    told = json.loads(event("pong", id_="e1", now=1.5))
    assert told == {"id": "e1", "type": "pong", "ts": 1500}
    assert json.loads(event("x", {"a": 1}, id_="e1", now=1.0))["params"] == {"a": 1}
