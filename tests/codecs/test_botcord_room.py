"""What the Hub tells about a room, and of which rooms it is asked."""

import pytest

from sidecar.codecs.hub.botcord_room import MOST_MEMBERS, is_shared, room_of
from sidecar.model import Member, Room


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        ("rm_d52c429394af", True),
        ("rm_dm_ag_1_ag_2", False),
        ("rm_oc_1", False),
        ("../me", False),
        ("rm_1?x=y", False),
        ("", False),
    ],
)
def test_only_rooms_of_several_people_are_asked_for(room: str, expected: bool) -> None:
    assert is_shared(room) is expected


def test_a_room_with_its_members() -> None:
    body = {
        "room_id": "rm_1", "name": "Launch", "description": "Where", "rule": None,
        "visibility": "private", "join_policy": "invite_only", "member_count": 3,
        "members": [
            {"agent_id": "ag_1", "display_name": "Al", "role": "owner"},
            {"agent_id": "hu_1", "display_name": None, "role": "member"},
        ],
    }  # fmt: skip
    members = (Member("ag_1", "Al", "owner"), Member("hu_1", None, "member"))
    expected = Room("rm_1", "Launch", "Where", "", "private", "invite_only", members, 3)
    assert room_of(body, "rm_1") == expected


def test_what_has_a_wrong_type_is_left_out() -> None:
    body = {"name": ["x"], "members": [1, {"agent_id": {}, "role": 2.5}], "member_count": "many"}
    assert room_of(body, "rm_1") == Room("rm_1", members=(Member("unknown"),), member_count=1)
    assert room_of(None, "rm_1") is None
    many = {"members": [{"agent_id": "ag_1"}] * (MOST_MEMBERS + 1)}
    found = room_of(many, "rm_1")
    assert found is not None
    assert len(found.members) == MOST_MEMBERS
