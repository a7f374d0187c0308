"""No secret reaches a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.redact import Redactor

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZ18xIn0.c2lnbmF0dXJl-_x"


def test_secrets_of_the_configuration_are_hidden_wherever_they_stand() -> None:
    redactor = Redactor({"hunter2", "hunter2-and-more", "s3cr.t*"})
    assert (
        redactor.redact("a hunter2-and-more b hunter2c s3cr.t* s3crxt") == "a *** b ***c *** s3crxt"
    )


def test_a_secret_from_a_file_is_hidden_without_its_line_end_and_inside_json() -> None:
    redactor = Redactor(["-----BEGIN-----\nabc\n", 'quo"ted'])
    assert redactor.redact(r'{"key": "-----BEGIN-----\nabc"}') == '{"key": "***"}'
    assert redactor.redact("x -----BEGIN-----\nabc y") == "x *** y"
    assert redactor.redact(r'"quo\"ted"') == '"***"'


def test_a_secret_of_three_characters_or_none_leaves_texts_readable() -> None:
    assert Redactor(["", "on", "443"]).redact("listening on port 443") == "listening on port 443"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdef.ghi-jkl", "Authorization: Bearer ***"),
        (f"token {TOKEN} sent", "token *** sent"),
        ("key sk-ant-api03-abcdefghijklmnop.", "key ***."),
        ("refresh drt_0123456789abcdef", "refresh ***"),
        ('{"privateKey": "abc+/=="}', '{"privateKey": "***"}'),
        (r"{\"private_key\":\"abc\"}", r"{\"private_key\":\"***\"}"),
        ("GET /x?token=abc&x=1", "GET /x?token=***&x=1"),
        ("wss://h/ws?a=1&access_token=abc#f", "wss://h/ws?a=1&access_token=***#f"),
        ("https://h/?api_key=a%20b", "https://h/?api_key=***"),
    ],
)
def test_what_has_the_shape_of_a_token_is_hidden(text: str, expected: str) -> None:
    assert Redactor([]).redact(text) == expected


@pytest.mark.parametrize(
    "text",
    ["turn answered in 1.20 s", "risk-free desk-top task-12345678901234567890", "a=b c == d",
     "the token is in the file", "next page ?page=2&sort=key", "eyJ", "privateKey"],
)  # fmt: skip
def test_ordinary_text_is_not_touched(text: str) -> None:
    assert Redactor(["hunter2"]).redact(text) == text


@given(st.lists(st.text(min_size=4), max_size=5), st.text(), st.text())
def test_no_secret_survives(secrets: list[str], before: str, after: str) -> None:
    redactor = Redactor(secrets)
    for secret in secrets:
        hidden = redactor.redact(f"{before}{secret}{after}")
        assert secret not in hidden.replace("***", "\0") or secret in f"{before}\0{after}"
