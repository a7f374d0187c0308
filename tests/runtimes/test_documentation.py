"""The examples of the documentation work."""

import re
from pathlib import Path
from typing import Any

from sidecar.runtimes import command

PAGE = Path(__file__).parents[2] / "docs" / "command-runtimes.md"


def example(workshop: Any, language: str, start: str) -> str:
    """The first block of a language that begins so, as a program."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    program: Path = workshop.folder / "example"
    program.write_text(next(block for block in blocks if block.startswith(start)))
    program.chmod(0o755)
    return str(program)


async def test_the_example_of_a_text_agent_answers(workshop: Any) -> None:
    program = example(workshop, "sh", "#!/bin/sh")
    runtime = command.build({"command": [program]}, workshop.host)
    assert (await workshop.ended(runtime)).text == "Your prompt has 14 bytes."


async def test_the_example_of_an_ndjson_agent_keeps_its_session(workshop: Any) -> None:
    program = example(workshop, "python", "#!/usr/bin/env python3")
    runtime = command.build({"command": [program], "protocol": "ndjson"}, workshop.host)
    first = await workshop.ended(runtime)
    assert (first.text, first.session) == ("This is turn 1. You wrote 5 characters.", "1")
    second = await workshop.ended(runtime, session=first.session)
    assert second.text.startswith("This is turn 2.")
