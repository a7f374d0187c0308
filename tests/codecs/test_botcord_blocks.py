import json
from collections.abc import Iterable
from typing import Any

from sidecar.codecs.hub.botcord_blocks import LONGEST_DETAIL, BlockFeed
from sidecar.model import Block


def shown(blocks: Iterable[Block], feed: BlockFeed | None = None) -> list[dict[str, Any]]:
    feed = feed or BlockFeed()
    for block in blocks:
        feed.add(block)
    return drained(feed)


def drained(feed: BlockFeed) -> list[dict[str, Any]]:
    taken = []
    while (block := feed.take()) is not None:
        taken.append(block)
    return taken


def said(blocks: list[dict[str, Any]]) -> str:
    """What the dashboard makes of the texts."""
    return "".join(block["payload"]["text"] for block in blocks if block["kind"] == "assistant")


def piece(text: str) -> Block:
    return Block("assistant", text, partial=True)


def test_each_kind_has_the_shape_that_the_dashboard_renders() -> None:
    blocks = [
        Block("system", "started", name="init"),
        Block("thinking", "a private thought"),
        Block("tool_use", name="Bash", id="t1", input={"command": "ls"}),
        Block("tool_result", "a.txt", name="Bash", id="t1"),
        Block("other", "what else"),
        Block("assistant", "done"),
    ]
    assert shown(blocks) == [
        {"kind": "system", "seq": 1, "payload": {"text": "started", "subtype": "init"}},
        {"kind": "thinking", "seq": 2, "payload": {"phase": "started", "label": "Thinking"}},
        {
            "kind": "tool_call",
            "seq": 3,
            "payload": {"name": "Bash", "params": {"command": "ls"}, "id": "t1"},
        },
        {
            "kind": "tool_result",
            "seq": 4,
            "payload": {"result": "a.txt", "name": "Bash", "tool_use_id": "t1"},
        },
        {"kind": "other", "seq": 5, "payload": {"text": "what else", "subtype": ""}},
        {"kind": "assistant", "seq": 6, "payload": {"text": "done"}},
    ]


def test_pieces_that_wait_become_one() -> None:
    assert shown([piece("a"), piece("b"), piece("c")]) == [
        {"kind": "assistant", "seq": 1, "payload": {"text": "abc"}}
    ]


def test_the_whole_text_adds_only_what_was_not_shown() -> None:
    feed = BlockFeed()
    first = shown([piece("Hel")], feed)
    second = shown([piece("lo "), Block("assistant", "Hello world")], feed)
    third = shown([Block("assistant", "Next")], feed)
    assert [said(blocks) for blocks in (first, second, third)] == ["Hel", "lo world", "Next"]
    assert third[0]["seq"] == 3


def test_a_whole_text_that_was_shown_in_pieces_is_not_repeated() -> None:
    feed = BlockFeed()
    assert said(shown([piece("Hello")], feed)) == "Hello"
    assert shown([Block("assistant", "Hello")], feed) == []


def test_pieces_that_are_given_up_are_no_part_of_the_whole_text() -> None:
    feed = BlockFeed()
    assert said(shown([piece("Hel")], feed)) == "Hel"
    blocks = shown(
        [piece("lo"), Block("assistant"), piece("Hello"), Block("assistant", "Hello!")], feed
    )
    assert said(blocks) == "Hello!"


def test_pieces_stop_at_their_share_and_the_whole_text_completes_them() -> None:
    feed = BlockFeed(most_partial=2)
    blocks = [block for text in "abcd" for block in shown([piece(text)], feed)]
    blocks += shown([Block("tool_use", name="Bash"), Block("assistant", "abcde")], feed)
    assert said(blocks) == "abcde"
    assert [block["kind"] for block in blocks] == [
        "assistant",
        "assistant",
        "tool_call",
        "assistant",
    ]


def test_no_more_blocks_are_shown_than_the_hub_passes_on() -> None:
    feed = BlockFeed(most=3)
    took = [feed.add(Block("tool_use", name=f"t{number}")) for number in range(5)]
    assert took == [True, True, True, False, False]
    assert [block["seq"] for block in drained(feed)] == [1, 2, 3]
    assert not feed.add(Block("assistant", "late"))


def test_thinking_is_told_once_until_something_else_happens() -> None:
    thought = Block("thinking", "hm", partial=True)
    kinds = [
        block["kind"] for block in shown([thought, thought, Block("tool_use", name="x"), thought])
    ]
    assert kinds == ["thinking", "tool_call", "thinking"]


def test_what_tools_take_and_print_is_cut() -> None:
    blocks = [
        Block("tool_result", "x" * 1_000_000),
        Block("tool_use", name="Write", input={"text": "y" * 1_000_000}),
        Block("tool_use", name="Odd", input={"text": object()}),
    ]
    result, call, odd = shown(blocks)
    assert len(result["payload"]["result"]) == LONGEST_DETAIL
    assert len(call["payload"]["params"]["cut"]) == LONGEST_DETAIL
    assert odd["payload"]["params"] == {}


def test_text_that_is_no_unicode_can_be_sent() -> None:
    json.dumps(shown([Block("assistant", "a\ud800\0b")]), ensure_ascii=False).encode()
