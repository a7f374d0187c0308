"""Turns of real coding-agent CLIs, whose model is played on loopback."""

import asyncio
import json
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from sidecar.codecs.hub.botcord_blocks import BlockFeed
from sidecar.model import Block, SessionStarted, TurnEnded
from sidecar.runtimes.staying import Staying
from tests.e2e.conftest import Bench
from tests.e2e.played_api import Answer
from tests.patience import PATIENCE, until

RESET = int(time.time()) // 60 * 60 + 7200
"""When a limit is over, as the APIs tell it, in seconds since the epoch."""


async def test_a_plain_answer(bench: Bench) -> None:
    bench.api.plays(Answer("Four."))
    events = await bench.events("two and two?")
    *_, ended = events
    assert (ended.text, ended.failure) == ("Four.", None)
    assert ended.session
    assert "two and two?" in bench.api.asked
    assert "Answer in a word." in bench.api.asked
    assert len(bench.api.requests) == 1
    assert [event.session for event in events if isinstance(event, SessionStarted)] in (
        [ended.session],
        [],
    )
    assert ended.usage is not None
    assert ended.usage.output_tokens == 20


async def test_each_turn_of_a_session_tells_its_own_tokens(bench: Bench) -> None:
    if bench.way.name == "gemini-acp":
        pytest.skip("it loses a session that is loaded in the minute in which it was begun")
    first = await bench.answered()
    second = await bench.answered(session=first.session, total=first.total)
    assert first.usage is not None
    assert first.usage.input_tokens
    assert second.usage == first.usage
    if bench.way.name == "codex warm":  # whose server tells the same sum as the command
        await bench.runtime.close()
        cold = bench.rebuilt(warm=None)
        *_, third = await bench.run(cold, "again", session=second.session, total=second.total)
        assert isinstance(third, TurnEnded)
        assert (third.usage, third.failure) == (first.usage, None)


async def test_an_answer_is_shown_while_it_is_written(bench: Bench) -> None:
    if bench.way.name == "codex":
        pytest.skip("`codex exec` prints whole messages alone")
    bench.api.plays(Answer("It begins so", hangs=True))
    async with aclosing(bench.runtime.run(bench.job("and then?"))) as events:
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if isinstance(event, Block) and event.kind == "assistant":
                    break
        assert bench.api.hanging
    assert event == Block("assistant", "It begins so", partial=True)


async def test_what_is_shown_in_pieces_is_shown_once(bench: Bench) -> None:
    text = " ".join(f"word{number}" for number in range(50))
    bench.api.plays(Answer("I look. ", [bench.way.shell("echo found-it")]), Answer(text))
    feed, shown = BlockFeed(), ""
    *events, ended = await bench.events()
    for event in events:
        if isinstance(event, Block):
            feed.add(event)
        while (block := feed.take()) is not None:
            if block["kind"] == "assistant":
                shown += cast(dict[str, str], block["payload"])["text"]
    assert (ended.text, ended.failure) == (text, None)
    assert "".join(shown.split()) == "".join(f"I look. {text}".split())


async def test_a_tool_is_used_and_shown(bench: Bench) -> None:
    bench.api.plays(Answer("I look.", [bench.way.shell("echo found-it")]), Answer("Found."))
    *events, ended = await bench.events()
    assert (ended.text, ended.failure) == ("Found.", None)
    blocks = [event for event in events if isinstance(event, Block)]
    [used] = [block for block in blocks if block.kind == "tool_use"]
    [result] = [block for block in blocks if block.kind == "tool_result"]
    assert used.id == result.id
    if bench.way.cli != "gemini-acp":  # which tells clients nothing of what a command prints
        assert "found-it" in result.text
    assert "found-it" in json.dumps(bench.api.requests[1])


async def test_an_error_of_the_api_fails_the_turn_and_not_the_next_one(bench: Bench) -> None:
    refused = {"error": {"message": "no such thing", "type": "invalid_request_error", "code": 400}}
    bench.api.plays(*[Answer(status=400, error={"type": "error", **refused})] * 6)
    failed = await bench.ended()
    assert failed.failure is not None
    assert failed.failure.kind == "api"
    assert "no such thing" in failed.failure.detail
    bench.api.plays(Answer("Well."))
    ended = await bench.ended(session=failed.session)
    if bench.way.cli.startswith("gemini"):  # it keeps no session whose first turn failed
        assert ended.failure is not None
        assert ended.failure.kind == "session_missing"
        ended = await bench.answered()
    assert (ended.text, ended.failure) == ("Well.", None)


LIMITS = {
    "claude-code": Answer(
        status=429,
        error={"type": "error", "error": {"type": "rate_limit_error", "message": "limited"}},
        headers={
            "retry-after": "3600",
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(RESET),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
        },
    ),
    "codex": Answer(
        status=429,
        error={
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_at": RESET,
                "resets_in_seconds": 3600,
            }
        },
    ),
    "gemini": Answer(
        status=429,
        error={
            "error": {
                "code": 429,
                "message": "You exceeded your current quota",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
                    }
                ],
            }
        },
    ),
}


async def test_a_used_up_limit_is_told_as_one(bench: Bench) -> None:
    bench.api.plays()
    bench.api.rest = LIMITS[bench.way.cli.removesuffix("-acp")]
    runtime, timed = bench.runtime, bench.way.cli == "codex"
    if bench.way.cli == "claude-code":
        # It tells the time to those who have logged in, not to those who have a key.
        env = {"ANTHROPIC_BASE_URL": bench.api.url, "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-x"}
        runtime, timed = bench.rebuilt(env=env), True
    ended = (await bench.run(runtime, "hello"))[-1]
    await runtime.close()
    assert isinstance(ended, TurnEnded)
    assert ended.failure is not None
    assert ended.failure.kind == "usage_limit", ended.failure
    if timed:
        assert ended.failure.resets_at == pytest.approx(RESET, abs=60)


async def test_the_next_turn_knows_of_the_first_and_of_its_own_context(bench: Bench) -> None:
    if bench.way.name == "gemini-acp":
        pytest.skip("it loses a session that is loaded in the minute in which it was begun")
    first = await bench.answered("my name is Zebedee", system="the OLD context")
    bench.api.plays(Answer("Zebedee."))
    second = await bench.answered("who am I?", session=first.session, system="the NEW context")
    assert (second.text, second.session) == ("Zebedee.", first.session)
    assert "my name is Zebedee" in bench.api.asked
    assert "the NEW context" in bench.api.asked


async def test_a_session_that_is_gone_is_told_as_missing(bench: Bench) -> None:
    bench.api.plays()
    ended = await bench.ended(session=str(uuid4()))
    assert ended.failure is not None
    assert ended.failure.kind == "session_missing", ended.failure
    assert ended.session is None
    assert bench.api.requests == []


async def test_a_cancelled_turn_ends_all_and_its_session_goes_on(bench: Bench) -> None:
    first = await bench.answered("the beginning")
    session = None if bench.way.cli == "gemini-acp" else first.session  # see above
    others = set() if session is not None else await bench.left()
    bench.api.plays(Answer("It begins so", hangs=True))
    async with aclosing(bench.runtime.run(bench.job("and then?", session=session))) as events:
        async with asyncio.timeout(PATIENCE):
            reading = asyncio.ensure_future(_read(events))  # noqa: TID251 -- a test's own
            await until(lambda: bench.api.hanging)
            reading.cancel()
            await asyncio.wait([reading])

    async def ended_all() -> bool:
        return not await bench.left() - others

    await until(ended_all)
    bench.api.plays(Answer("Well."))
    ended = await bench.answered("again", session=session)
    assert ended.text == "Well."
    if session is not None:
        assert ended.session == session
        assert "the beginning" in bench.api.asked


async def _read(events: Any) -> None:
    async for _ in events:
        pass


async def test_a_prompt_of_200_kb_arrives_whole(bench: Bench) -> None:
    text = "".join(f"word{number} " for number in range(25_000)) + "the end"
    assert len(text) > 200_000
    bench.api.plays(Answer("Long."))
    assert (await bench.answered(text)).text == "Long."
    assert text in bench.api.asked


@pytest.mark.parametrize("trust", ["owner", "public"])
@pytest.mark.parametrize("text", ["-p --help", "/clear", "/quit now", "$nothing"])
async def test_a_message_is_no_flag_and_no_command(bench: Bench, text: str, trust: str) -> None:
    bench.api.plays(Answer("Read."))
    assert (await bench.answered(text, trust=trust)).text == "Read."
    shown = bench.api.asked.replace("\u2060", "")
    assert text in shown


async def test_a_session_goes_on_in_the_runtime_that_takes_the_place_of_a_busy_one(
    bench: Bench,
) -> None:
    if not isinstance(bench.runtime, Staying) or bench.way.cli == "gemini-acp":
        pytest.skip("no process of it stays, or it loses the session")
    first = await bench.answered("my name is Zebedee")
    bench.api.plays(Answer("It begins so", hangs=True))
    async with aclosing(bench.runtime.run(bench.job("and then?"))) as events:
        reading = asyncio.ensure_future(_read(events))  # noqa: TID251 -- a test's own
        await until(lambda: bench.api.hanging)
        await bench.runtime.retire()
        successor = bench.rebuilt(nice=1)
        bench.api.plays(Answer("Zebedee."))
        *_, ended = await bench.run(successor, "who am I?", session=first.session)
        reading.cancel()
        await asyncio.wait([reading])
    await successor.close()
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.session, ended.failure) == ("Zebedee.", first.session, None)


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_a_message_names_no_file(bench: Bench, tmp_path: Path, trust: str) -> None:
    inside, outside = bench.checkout / "inside.txt", tmp_path / "outside.txt"
    inside.write_text("it is tulips")
    outside.write_text("it is roses")
    bench.api.plays(Answer("Read."))
    text = f"@inside.txt and @{outside} and @../outside.txt"
    text += "".join(f" 好{mark}@{outside}" for mark in "\u3001\u3002\uff1f\uff01")
    assert (await bench.answered(text, trust=trust)).text == "Read."
    assert "outside.txt" in bench.api.asked
    assert "tulips" not in bench.api.asked
    assert "roses" not in bench.api.asked


async def test_the_chosen_effort_is_asked_for(bench: Bench) -> None:
    if bench.way.cli not in ("claude-code", "codex"):
        pytest.skip("it knows no effort")
    bench.api.plays(Answer("Well."))
    await bench.answered(effort="high")
    [request] = bench.api.requests
    assert request["model"] == bench.way.model
    assert '"effort": "high"' in bench.api.asked
