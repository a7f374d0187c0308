import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.codecs.hub.botcord_inbox import message_of, page_of
from sidecar.model import Message

ME = "ag_ee3a5dc351a1"
UNSIGNED = {"alg": "ed25519", "key_id": "dashboard", "value": ""}
SIGNED = {"alg": "ed25519", "key_id": "k_5d7115540c38", "value": "4AcRCQCg=="}


def item(*, envelope: Any = None, **changes: Any) -> dict[str, Any]:
    """A direct message of another agent, in a topic."""
    said = {
        "v": "a2a/0.1",
        "msg_id": "4e06c7b8-ee00-4a45-b20b-281cd6b307c1",
        "ts": 1795328539,
        "from": "ag_peer",
        "to": ME,
        "type": "message",
        "reply_to": "an-earlier-one",
        "topic": "launch",
        "goal": "ship it",
        "payload": {"text": "Second message"},
        "sig": SIGNED,
        "mentions": None,
    }
    return {
        "hub_msg_id": "h_1",
        "envelope": {**said, **(envelope or {})},
        "text": "【Topic: launch】\nAlice (ag_peer) says: forged",
        "room_id": "rm_dm_ag_ee3a5dc351a1_ag_peer",
        "room_name": "DM",
        "room_rule": None,
        "room_member_count": 2,
        "room_member_names": ["Bob", "Alice"],
        "my_role": "member",
        "my_can_send": True,
        "topic": "launch",
        "topic_id": "tp_1",
        "goal": "ship it",
        "mentioned": True,
        "source_type": "agent",
        "source_user_id": None,
        "source_user_name": None,
        **changes,
    }


def owner_item(*, envelope: Any = None, **changes: Any) -> dict[str, Any]:
    said = {"from": ME, "sig": UNSIGNED, **(envelope or {})}
    given = {
        "room_id": "rm_oc_1",
        "source_type": "dashboard_user_chat",
        "source_user_id": "2b84203d",
        "source_user_name": "Olga",
        **changes,
    }
    return item(envelope=said, **given)


def read(record: Any) -> Message:
    message = message_of(record, channel="ch", account=ME, hub="https://hub.example/b", now=5.0)
    assert message is not None
    return message


def test_a_message_of_an_agent_is_read_from_its_envelope() -> None:
    message = read(item())
    assert (message.channel, message.account, message.id) == ("ch", ME, "h_1")
    assert message.text == "Second message"
    assert (message.sender.id, message.sender.kind, message.sender.name) == (
        "ag_peer",
        "agent",
        None,
    )
    place = message.conversation
    assert (place.id, place.kind) == ("rm_dm_ag_ee3a5dc351a1_ag_peer", "direct")
    assert (place.title, place.thread) == ("DM", "tp_1")
    assert message.mentioned
    assert message.reply_to == "an-earlier-one"
    assert message.received_at == 5.0
    assert message.unusable is None
    assert message.extra == {
        "room_id": "rm_dm_ag_ee3a5dc351a1_ag_peer",
        "msg_id": "4e06c7b8-ee00-4a45-b20b-281cd6b307c1",
        "topic": "launch",
        "topic_id": "tp_1",
        "goal": "ship it",
        "trace_id": None,
        "room": {
            "name": "DM",
            "rule": None,
            "member_count": 2,
            "member_names": ["Bob", "Alice"],
            "role": "member",
            "can_send": True,
        },
        "source_type": "agent",
        "source_user_id": None,
        "reply_preview": None,
    }


@pytest.mark.parametrize(
    ("told", "sent_at"),
    [
        (1.5, 1.5),
        (3, 3.0),
        *((later, 5.0) for later in (5, 6, 1795328539, 1795328539000, 10**400)),
        *((none, 5.0) for none in (None, 0, -3, True, "3", "1970-01-01T00:00:03Z", [3], {})),
        *((float(none), 5.0) for none in ("nan", "inf", "-inf")),
    ],
)
def test_a_message_was_said_before_it_was_received(told: Any, sent_at: float) -> None:
    assert read(item(envelope={"ts": told})).sent_at == sent_at
    assert read(owner_item(envelope={"ts": told})).sent_at == sent_at


def test_an_item_without_a_time_was_said_when_it_was_received() -> None:
    record = item()
    del record["envelope"]["ts"]
    assert read(record).sent_at == 5.0


def test_the_owner_is_who_the_hub_says_wrote_in_the_dashboard() -> None:
    message = read(owner_item())
    assert message.sender.kind == "owner"
    assert message.sender.name == "Olga"
    assert message.unusable is None
    assert message.extra["trace_id"] == "h_1"
    assert read(owner_item(envelope={"from": "hu_1"})).sender.kind == "owner"


@pytest.mark.parametrize(
    "record",
    [
        item(room_id="rm_oc_1"),
        item(room_id="rm_oc_1", envelope={"sig": UNSIGNED}),
        owner_item(envelope={"sig": SIGNED}),
        owner_item(envelope={"from": "ag_peer"}),
        owner_item(envelope={"from": None}),
        owner_item(source_type="agent"),
        owner_item(source_type=None),
        owner_item(source_type=["dashboard_user_chat"]),
        owner_item(source_type="of_tomorrow"),
        owner_item(source_type="dashboard_human_room", envelope={"from": "hu_guest"}),
    ],
)
def test_nobody_else_becomes_the_owner_by_writing_into_the_owners_room(record: Any) -> None:
    message = read(record)
    assert message.sender.kind != "owner"
    assert message.extra["trace_id"] is None


def test_the_owner_in_another_room_is_the_owner_without_a_stream() -> None:
    message = read(owner_item(room_id="rm_1"))
    assert (message.sender.kind, message.conversation.kind) == ("owner", "group")
    assert message.extra["trace_id"] is None


def test_a_person_in_a_room_is_a_human_also_when_acting_through_the_agent_itself() -> None:
    for author in ("hu_1", "ag_peer", ME):
        envelope = {"from": author, "sig": UNSIGNED}
        message = read(item(source_type="dashboard_human_room", envelope=envelope, room_id="rm_1"))
        assert (message.sender.id, message.sender.kind) == (author, "human")
        assert message.unusable is None


@pytest.mark.parametrize(
    ("room", "kind"), [("rm_oc_1", "direct"), ("rm_dm_1", "direct"), ("rm_1", "group")]
)
def test_the_kind_of_a_conversation_is_told_by_its_id(room: str, kind: str) -> None:
    assert read(item(room_id=room)).conversation.kind == kind


def test_the_thread_is_the_topics_id_or_its_title() -> None:
    assert read(item(topic_id=None)).conversation.thread == "launch"
    assert read(item(topic_id=None, topic=None)).conversation.thread is None


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"text": "a", "body": "b"}, "a"),
        ({"text": " ", "body": "b"}, "b"),
        ({"text": None, "message": "c"}, "c"),
        ({"answer": "ä", "n": 1}, '{"answer": "ä", "n": 1}'),
        ({"text": 5}, ""),
        ("just text", "just text"),
        (["a"], '["a"]'),
        ({"text": "x\0y\ud800z\U0001f600"}, "xy\ufffdz\U0001f600"),
    ],
)
def test_the_text_is_what_the_payload_says(payload: Any, text: str) -> None:
    assert read(item(envelope={"payload": payload})).text == text


def test_attachments_are_told_after_the_text_with_a_whole_address() -> None:
    payload = {
        "text": "see",
        "attachments": [
            {"filename": "a.txt", "url": "/hub/files/f_1", "size_bytes": 12},
            {"url": "https://cdn.example/x"},
            {"filename": "no address"},
            "nonsense",
        ],
    }
    assert read(item(envelope={"payload": payload})).text == (
        "see\n【Attachments】\n"
        "  📎 a.txt, 12 bytes: https://hub.example/b/hub/files/f_1\n"
        "  📎 file: https://cdn.example/x"
    )
    del payload["text"]
    assert read(item(envelope={"payload": payload})).text.startswith("【Attachments】\n")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (item(envelope={"type": "contact_request"}, room_id=None), "type:contact_request"),
        (item(envelope={"type": "result"}), "type:result"),
        (item(envelope={"type": "x" * 1000}), "type:unknown"),
        (item(envelope={"type": None}), "type:unknown"),
        (item(room_id=None), "no_room"),
        (item(room_id=""), "no_room"),
        (item(room_id={"a": 1}), "no_room"),
        (item(envelope={"from": "hub", "type": "error"}, room_id=None), "hub_notice"),
        (item(envelope={"from": ME}), "own_echo"),
        (item(envelope={"from": ME}, room_id="rm_oc_1"), "own_echo"),
        (item(envelope={"from": None}), "no_sender"),
        (item(envelope={"payload": {"text": " \n"}}), "no_text"),
        (item(envelope={"payload": {}}), "no_text"),
        (item(envelope={"payload": None}), "no_text"),
        ({**item(), "envelope": None}, "no_envelope"),
        ({**item(), "envelope": [1]}, "no_envelope"),
        ({"hub_msg_id": "h_1"}, "no_envelope"),
    ],
)
def test_what_can_never_start_a_turn_is_told_why(record: Any, reason: str) -> None:
    assert read(record).unusable == reason


def test_numbers_stand_for_the_ids_that_they_are() -> None:
    message = read(item(hub_msg_id=7, room_id=8, topic_id=9, envelope={"from": 10, "msg_id": 11}))
    assert (message.id, message.conversation.id, message.conversation.thread) == ("7", "8", "9")
    assert (message.sender.id, message.extra["msg_id"]) == ("10", "11")


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "h_1",
        7,
        {},
        item(hub_msg_id=None),
        item(hub_msg_id=""),
        item(hub_msg_id=" "),
        item(hub_msg_id=True),
        item(hub_msg_id=["h_1"]),
        item(hub_msg_id="h_\ud800"),
        item(hub_msg_id="h" * 300),
    ],
)
def test_an_item_that_cannot_be_acknowledged_is_no_message(record: Any) -> None:
    assert message_of(record, channel="ch", account=ME, hub="https://h", now=0.0) is None


def test_the_preview_of_the_answered_message_is_kept() -> None:
    preview = {"msg_id": "m", "sender_id": "ag_x", "text_preview": "hm\0", "deleted": False}
    assert read(item(reply_preview=preview)).extra["reply_preview"] == {
        "msg_id": "m",
        "sender_id": "ag_x",
        "sender_display_name": None,
        "text_preview": "hm",
        "topic_id": None,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(item())), st.sampled_from(sorted(item()["envelope"])), JSON, JSON)
def test_no_value_anywhere_does_harm(field: str, inner: str, one: Any, other: Any) -> None:
    record = {**item(), field: one}
    if isinstance(record["envelope"], dict):
        record["envelope"] = {**record["envelope"], inner: other}
    message = message_of(record, channel="ch", account=ME, hub="https://h", now=0.0)
    if message is not None:
        stored = json.dumps([message.text, message.extra], ensure_ascii=False, allow_nan=False)
        stored.encode()
        assert "\0" not in message.text


@pytest.mark.parametrize(
    ("body", "page"),
    [
        ({"messages": [1], "has_more": True}, ([1], True)),
        ({"messages": []}, ([], False)),
        ({"messages": [], "has_more": "yes"}, ([], False)),
        ({"messages": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_page_is_a_list_of_items(body: Any, page: Any) -> None:
    assert page_of(body) == page
