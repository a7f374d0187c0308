"""System contexts that change from turn to turn, with real coding-agent CLIs."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.played_api import Answer

STAYS = "You are told a lot that stays. " * 40


async def test_a_session_that_began_elsewhere_takes_the_context_of_the_turn(
    make_bench: Callable[[str], Bench],
) -> None:
    """Claude Code has it keep its first one, unless it is told otherwise at each start."""
    bench = make_bench("claude-code")
    kept = ("--system-prompt-snapshot", "on")
    first = await bench.answered(system="the OLD context", args=kept)
    for args, expected in ((kept, "OLD"), ((), "NEW")):
        bench.api.plays()
        await bench.answered(session=first.session, system="the NEW context", args=args)
        assert f"the {expected} context" in bench.api.asked


async def test_a_session_that_stays_grows_by_what_is_different_only(
    make_bench: Callable[[str], Bench],
) -> None:
    bench = make_bench("claude-code warm")
    session, seen = None, set[int]()
    for number in range(4):
        bench.api.plays()
        context = f"{STAYS}\nThere were {number} messages."
        ended = await bench.answered(f"message {number}", session=session, system=context)
        session = ended.session
        seen |= {member.pid for member in await bench.left()}
        assert f"There were {number} messages." in bench.api.asked
        assert bench.api.asked.count(STAYS) == 1
    assert len(seen) == 1
    bench.api.plays()
    await bench.answered("message 4", session=session, system=f"It is {'all different. ' * 200}")
    assert "message 3" in bench.api.asked
    assert bench.api.asked.count("It is all different.") == 1
    assert bench.api.asked.count(STAYS) == 0
    assert not seen & {member.pid for member in await bench.left()}


@pytest.mark.parametrize("trust", ["owner", "public"])
async def test_what_a_context_names_is_no_file(bench: Bench, trust: str) -> None:
    (bench.checkout / "inside.txt").write_text("it is tulips")
    session = (
        None if bench.way.name == "gemini-acp" else (await bench.answered(trust=trust)).session
    )
    bench.api.plays(Answer("Read."))
    await bench.answered(session=session, trust=trust, system="see\n@inside.txt")
    assert "tulips" not in bench.api.asked
