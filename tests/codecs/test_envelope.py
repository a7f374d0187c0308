import json
from pathlib import Path
from typing import Any

from sidecar.codecs.hub.envelope import signed_message, text_payload
from sidecar.codecs.hub.signing import signing_key

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "hub-vectors.json").read_text("utf-8")
)
KEY = signing_key(bytes.fromhex(VECTORS["seed_hex"]))


def message(**changes: Any) -> dict[str, object]:
    given = {
        "key": KEY,
        "key_id": "k_00112233aabb",
        "sender": "ag_ff73a0647bbc",
        "to": "rm_0a1b2c3d4e5f",
        "msg_id": "3f2b8c1e-6f0d-4a55-9d7e-0123456789ab",
        "ts": 1767225600,
        "payload": {"text": "Hello"},
        "reply_to": "h_00000000000000000000000000000001",
        "topic": "launch",
        **changes,
    }
    return signed_message(**given)


def test_an_envelope_equals_the_one_of_the_reference_client() -> None:
    assert message() == VECTORS["env1"]["envelope"]


def test_the_trace_stands_beside_what_is_signed() -> None:
    assert message(trace_id="h_1") == {**VECTORS["env1"]["envelope"], "trace_id": "h_1"}


def test_a_topic_that_the_hub_cannot_store_is_left_out() -> None:
    assert message(topic="x" * 256)["topic"] == "x" * 256
    assert message(topic="x" * 257)["topic"] is None


def test_another_attempt_has_another_payload() -> None:
    assert text_payload("hi\0\ud800", 1) == {"text": "hi\ufffd"}
    assert text_payload("hi", 2) == {"text": "hi", "attempt": 2}
