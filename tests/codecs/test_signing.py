import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.codecs.hub import signing

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "hub-vectors.json").read_text("utf-8")
)
KEY = signing.signing_key(bytes.fromhex(VECTORS["seed_hex"]))


def test_a_key_pair_and_the_agent_id_follow_from_the_seed() -> None:
    assert base64.b64decode(VECTORS["seed_b64"]) == bytes.fromhex(VECTORS["seed_hex"])
    assert bytes(KEY.verify_key).hex() == VECTORS["pub_hex"]
    assert signing.public_key(KEY) == VECTORS["pub_b64"]
    assert signing.agent_id(VECTORS["pub_b64"]) == VECTORS["agent_id"]


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        signing.signing_key(bytes(31))


def test_a_challenge_is_signed_as_the_bytes_it_stands_for() -> None:
    assert signing.sign_challenge(KEY, VECTORS["challenge_b64"]) == VECTORS["challenge_sig"]
    with pytest.raises(ValueError, match="base64"):
        signing.sign_challenge(KEY, "not base64!")


@pytest.mark.parametrize("name", ["env1", "env2"])
def test_an_envelope_is_hashed_and_signed_as_the_hub_does(name: str) -> None:
    vector = VECTORS[name]
    envelope = vector["envelope"]
    assert signing.payload_hash(envelope["payload"]) == envelope["payload_hash"]
    data = signing.envelope_input(envelope)
    assert data.decode() == vector["signing_input"]
    assert data.hex() == vector["signing_input_hex"]
    assert signing.sign(KEY, data) == envelope["sig"]["value"]
    assert signing.verify(VECTORS["pub_b64"], data, envelope["sig"]["value"])


@pytest.mark.parametrize("name", ["env1", "env2"])
def test_the_canonical_form_of_a_payload_is_that_of_the_vectors(name: str) -> None:
    payload = VECTORS[name]["envelope"]["payload"]
    same = json.loads(VECTORS[name]["payload_jcs"])
    assert signing.payload_hash(payload) == signing.payload_hash(same)


def test_a_later_version_signs_topic_and_goal_too() -> None:
    vector = VECTORS["env_v02"]
    envelope = {**VECTORS["env1"]["envelope"], "v": "a2a/0.2", "topic": "launch", "goal": "ship"}
    assert signing.envelope_input(envelope).decode() == vector["signing_input"]
    assert signing.sign(KEY, signing.envelope_input(envelope)) == vector["sig"]


def test_what_was_changed_after_signing_is_not_verified() -> None:
    envelope = VECTORS["env1"]["envelope"]
    changed = signing.envelope_input({**envelope, "to": "rm_other"})
    assert not signing.verify(VECTORS["pub_b64"], changed, envelope["sig"]["value"])


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "ä", VECTORS["pub_b64"]])
def test_a_signature_that_is_none_is_not_verified(signature: str) -> None:
    assert not signing.verify(VECTORS["pub_b64"], b"data", signature)
    assert not signing.verify(signature, b"data", VECTORS["challenge_sig"])


def test_a_payload_without_canonical_form_is_refused() -> None:
    for payload in ({"n": 2**60}, {"text": "\ud800"}, {"n": float("nan")}):
        with pytest.raises(ValueError):  # noqa: PT011 -- the words are the library's
            signing.payload_hash(payload)


def test_control_frames_are_verified_with_any_key_of_the_ring() -> None:
    control = VECTORS["control"]
    frame = {**control["frame"], "sig": control["sig"]}
    assert signing.control_input(frame).decode() == control["canonical"]
    assert signing.verify_control_frame(frame, [VECTORS["pub_b64"], control["hub_pub_b64"]])
    assert not signing.verify_control_frame(frame, [VECTORS["pub_b64"]])
    assert not signing.verify_control_frame(frame, [])


@pytest.mark.parametrize("params", [{}, None])
def test_a_control_frame_without_params_is_signed_with_empty_ones(params: object) -> None:
    control = VECTORS["control"]
    frame = {**control["frame"], "type": "ping", "params": params, "sig": control["ping_sig"]}
    assert signing.control_input(frame).decode() == control["ping_canonical"]
    assert signing.verify_control_frame(frame, [control["hub_pub_b64"]])


def test_a_control_frame_that_makes_no_sense_is_not_verified() -> None:
    control = VECTORS["control"]
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for change in ({"sig": None}, {"ts": 0}, {"params": {"n": 2**60}}, {"params": {"n": deep}}):
        frame = {**control["frame"], "sig": control["sig"], **change}
        assert not signing.verify_control_frame(frame, [control["hub_pub_b64"]])
