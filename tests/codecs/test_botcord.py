import pytest

from sidecar.codecs.hub import botcord


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.botcord.chat", "https://api.botcord.chat"),
        (" https://hub.example/base/ ", "https://hub.example/base"),
        ("http://127.0.0.1:8811/", "http://127.0.0.1:8811"),
        ("http://[::1]:8811", "http://[::1]:8811"),
        ("http://hub.localhost", "http://hub.localhost"),
    ],
)
def test_an_address_of_a_hub_is_taken_without_its_last_slash(given: str, base: str) -> None:
    assert botcord.hub_url(given) == base


@pytest.mark.parametrize(
    "given",
    [
        "",
        "hub.example",
        "ftp://hub.example",
        "https://",
        "http://hub.example",
        "http://127.0.0.1.evil.example",
        "https://user:secret@hub.example",
        "https://hub.example?token=1",
        "https://hub.example:port",
        "https://[hub",
    ],
)
def test_an_address_that_is_unsafe_or_none_is_refused(given: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- some words are the library's
        botcord.hub_url(given)
    assert "secret" not in str(caught.value)


def test_the_socket_lies_below_the_base_address() -> None:
    assert botcord.socket_url("https://h.example/base", "/hub/ws") == "wss://h.example/base/hub/ws"
    assert botcord.socket_url("http://localhost:1", "/hub/ws") == "ws://localhost:1/hub/ws"


@pytest.mark.parametrize("agent", ["ag_1", "a" * 128, "0-_"])
def test_ids_of_agents_can_be_file_names(agent: str) -> None:
    assert botcord.is_safe_id(agent)


@pytest.mark.parametrize(
    "agent", ["", ".", "..", "../x", "a/b", "a b", "a\0", "a\n", "_a", "-a", "ä", "a" * 129]
)
def test_ids_that_could_lead_elsewhere_are_not_safe(agent: str) -> None:
    assert not botcord.is_safe_id(agent)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"type":"inbox_update"}', "inbox_update"),
        ('{"type":7}', None),
        ('{"type":null}', None),
        ("[1]", None),
        ('"text"', None),
        ("{", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_frames_that_make_no_sense_have_no_type(data: str, kind: str | None) -> None:
    assert botcord.frame_type(data) == kind


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (4001, "refresh"),
        (4010, "stop"),
        (4002, "reconnect"),
        (1006, "reconnect"),
        (1012, "reconnect"),
        (None, "reconnect"),
    ],
)
def test_the_close_code_tells_what_to_do(code: int | None, action: str) -> None:
    assert botcord.close_action(code) == action


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "blocked", "detail": "You are blocked"}, "blocked"),
        ({"detail": "daemon_revoked", "error": "daemon_revoked"}, "daemon_revoked"),
        ({"detail": {"code": "agent_not_found"}}, "agent_not_found"),
        ({"error": "slow_down"}, "slow_down"),
        ({"detail": "Not Found"}, ""),
        ({"detail": "您已被屏蔽"}, ""),
        ({"detail": [{"type": "missing"}]}, ""),
        ({"code": 7}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
        ("blocked", ""),
    ],
)
def test_errors_are_known_by_their_key_and_never_by_a_sentence(body: object, code: str) -> None:
    assert botcord.error_code(body) == code


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (202, "", "accepted"),
        (429, "duplicate_content", "duplicate"),
        (429, "rate_limit_exceeded", "limited"),
        (429, "conversation_rate_limit_exceeded", "room_limited"),
        (429, "slow_mode_wait", "room_limited"),
        (429, "", "limited"),
        (400, "timestamp_out_of_range", "clock"),
        (400, "reply_target_not_found", "target"),
        (400, "reply_target_cross_room", "target"),
        (400, "payload_hash_mismatch", "refused"),
        (403, "not_a_member", "refused"),
        (403, "a_code_of_tomorrow", "refused"),
        (404, "room_not_found", "refused"),
        (413, "", "refused"),
        (422, "", "refused"),
        (403, "", "failed"),
        (404, "", "failed"),
        (302, "", "failed"),
        (401, "invalid_token", "failed"),
        (500, "", "failed"),
        (503, "", "failed"),
    ],
)
def test_what_became_of_a_message(status: int, code: str, verdict: str) -> None:
    assert botcord.verdict(status, code) == verdict


def test_only_a_person_can_mend_an_unclaimed_or_unknown_agent() -> None:
    assert botcord.is_final(403, "agent_not_claimed")
    assert botcord.is_final(404, "key_not_found")
    assert not botcord.is_final(403, "not_a_member")
    assert not botcord.is_final(500, "agent_not_claimed")


def test_an_old_hub_is_told_from_an_unknown_room() -> None:
    assert botcord.is_missing_route(404, "")
    assert botcord.is_missing_route(405, "")
    assert not botcord.is_missing_route(404, "room_not_found")
