"""No secret reaches a log."""

import base64
import json
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.redact import Redactor
from tests.growth import seconds

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
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': 'Basic ***'}"),
        ("git clone https://me:pa55@h/x.git", "git clone https://me:***@h/x.git"),
        ("postgres://u:p%40ss@db:5432/x", "postgres://u:***@db:5432/x"),
        ("x ghp_0123456789abcdefghij0123 y", "x *** y"),
        ("xoxb-1234567890-abcdef", "***"),
        ("key=AIzaSyA0123456789_abcdefghij-klmnopqrst.", "key=***."),
        ("got ya29.a0AfH6SMBx-0123456789", "got ***"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIE\nvQ-IB\n-----END PRIVATE KEY-----\nnext",
            "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\nnext",
        ),
    ],
)
def test_what_has_the_shape_of_a_token_is_hidden(text: str, expected: str) -> None:
    assert Redactor([]).redact(text) == expected


@pytest.mark.parametrize(
    "text",
    ["turn answered in 1.20 s", "risk-free desk-top task-12345678901234567890", "a=b c == d",
     "basic information is at https://host:8080/x and a@b.c", "high ghost github",
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


SECRET = "p\"ä/s\\s<&>'w+ rd\n9%~"
"""Has what each encoding writes in its own way."""


@pytest.mark.parametrize(
    "seen",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", r"\/"),
        json.dumps(SECRET)[1:-1].translate({ord(one): f"\\u{ord(one):04x}" for one in "<>&"}),
        repr(SECRET)[1:-1],
        ascii(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
    ],
)
def test_a_secret_is_hidden_however_it_is_escaped(seen: str) -> None:
    assert Redactor([f"{SECRET}\n"]).redact(f"<{seen}>") == "<***>"


@pytest.mark.parametrize("name", ["", "me:", "you:", "somebody:"])
@pytest.mark.parametrize("rest", ["", "!", " and so on"])
@pytest.mark.parametrize("encode", [base64.standard_b64encode, base64.urlsafe_b64encode])
def test_base64_keeps_of_a_secret_only_what_its_neighbours_are_part_of(
    name: str, rest: str, encode: Callable[[bytes], bytes]
) -> None:
    hidden = Redactor([SECRET]).redact(encode(f"{name}{SECRET}{rest}".encode()).decode())
    before, after = hidden.split("***")
    assert len(before) <= -(-len(name) * 8 // 6)
    assert len(after.rstrip("=")) <= -(-len(rest) * 8 // 6) + 1


def test_a_secret_is_hidden_in_exceptions_and_their_tracebacks() -> None:
    redact, environment = Redactor([SECRET]).redact, dict[str, str]()
    try:
        try:
            _ = environment[SECRET]
        except KeyError as error:
            raise RuntimeError({"key": [SECRET.encode(), SECRET]}) from error
    except RuntimeError as error:
        shown = [repr(error), str(error), "".join(traceback.format_exception(error))]
    for text in shown:
        assert "***" in redact(text)
        assert "w+" not in redact(text)


def test_overlapping_secrets_leave_no_rest_of_each_other() -> None:
    redactor = Redactor(["abcd", "bcdefg", "fgh1", "hunter2", "my hunter2 key"])
    assert redactor.redact("<abcdefgh1>") == "<***>"
    assert Redactor(["abcab"]).redact("<abcabcab>") == "<***>"
    assert redactor.redact("my hunter2 key, hunter2") == "***, ***"
    assert redactor.redact("abcdabcd abcd") == "****** ***"


def test_a_line_of_a_longer_secret_is_hidden_alone() -> None:
    redactor = Redactor(["-----BEGIN X-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END X-----\n"])
    assert redactor.redact("  BgkqhkiG9w0B\n  -----END X-----") == "  ***\n  -----END X-----"


def test_many_secrets_cost_little_for_each_line() -> None:
    redactor = Redactor(f"{number:03}-secret/{number * 7919:08}" for number in range(200))
    line = "turn answered in 1.20 s by the runtime claude in conversation rm_0123456789 " * 3
    took = seconds(lambda: [redactor.redact(line) for _ in range(50)])
    assert took < 0.5  # a tenth of that on an idle machine
