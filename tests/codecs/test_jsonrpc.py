import json

import pytest

from sidecar.codecs.jsonrpc import Error, JsonRpc, Notification, Request, Response


def sent(line: bytes) -> object:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def test_a_call_is_answered_by_its_id_whatever_comes_between() -> None:
    rpc = JsonRpc()
    first, line = rpc.call("session/new", {"cwd": "/repo"})
    assert sent(line) == {
        "jsonrpc": "2.0",
        "id": first,
        "method": "session/new",
        "params": {"cwd": "/repo"},
    }
    second, _ = rpc.call("session/prompt", {})
    assert second != first
    answer = json.dumps({"id": second, "result": {"stopReason": "end_turn"}}).encode()
    assert rpc.feed(answer) == Response(second, "session/prompt", {"stopReason": "end_turn"})
    refusal = {"id": first, "error": {"code": -32000, "message": "no", "data": {"a": 1}}}
    error = Error(-32000, "no", {"a": 1})
    found = rpc.feed(json.dumps(refusal).encode())
    assert found == Response(first, "session/new", None, error)


def test_requests_are_told_from_notifications_and_answered_by_their_own_id() -> None:
    rpc = JsonRpc()
    asked = rpc.feed(b'{"jsonrpc":"2.0","id":"a-1","method":"m","params":{"x":1}}')
    assert asked == Request("a-1", "m", {"x": 1})
    assert rpc.feed(b'{"method":"m","params":{"x":1}}') == Notification("m", {"x": 1})
    assert isinstance(asked, Request)
    assert sent(rpc.answer(asked, {"ok": True})) == {
        "jsonrpc": "2.0",
        "id": "a-1",
        "result": {"ok": True},
    }
    assert sent(rpc.refuse(asked, -32601, "unknown")) == {
        "jsonrpc": "2.0",
        "id": "a-1",
        "error": {"code": -32601, "message": "unknown"},
    }


def test_the_field_with_the_version_can_be_left_out() -> None:
    rpc = JsonRpc(version=False)
    assert sent(rpc.notify("initialized", {})) == {"method": "initialized", "params": {}}


def test_a_line_holds_no_character_at_which_a_reader_could_cut_it() -> None:
    line = JsonRpc().notify("m", {"text": "a\u2028b\nc\ud800"})
    assert line.isascii()
    assert len(line.decode().splitlines()) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Loading ...",
        b"[]",
        b'[{"id":1,"result":{}}]',
        b'{"id":1,"result":{}}',
        b'{"id":null,"error":{"code":-32700,"message":"Parse error"}}',
        b'{"id":true,"result":{}}',
        b'{"id":{},"result":{}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_or_answers_nothing_is_passed_over(line: bytes) -> None:
    assert JsonRpc().feed(line) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('"no such thing"', Error(0, "no such thing")),
        ('{"code":"x","message":7}', Error(0, "7")),
        ("{}", Error(0, "")),
        ("[]", Error(0, "")),
    ],
)
def test_an_error_of_another_shape_is_an_error_all_the_same(error: str, told: Error) -> None:
    rpc = JsonRpc()
    number, _ = rpc.call("m", {})
    found = rpc.feed(f'{{"id":{number},"error":{error}}}'.encode())
    assert found == Response(number, "m", None, told)


def test_a_second_answer_to_one_call_is_passed_over() -> None:
    rpc = JsonRpc()
    number, _ = rpc.call("m", {})
    line = f'{{"id":{number},"result":{{}}}}'.encode()
    assert isinstance(rpc.feed(line), Response)
    assert rpc.feed(line) is None
