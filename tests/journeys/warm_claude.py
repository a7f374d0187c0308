"""A `claude` without a model, which stays where it may: it answers with its process and session.

`hang` waits; a file `stubborn` in its folder lets it ignore that its input ends.
"""

import json
import os
import signal
import sys
import time
import uuid
from pathlib import Path


def value(flag: str) -> str | None:
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else None


def turn(prompt: str, session: str) -> None:
    word = prompt.split()[-1]
    text = json.dumps({"pid": os.getpid(), "session": session, "argv": sys.argv[1:]})
    with Path("runs").open("a") as runs:
        runs.write(f"{os.getpid()}\n")
    events = [{"type": "system", "subtype": "init"}]
    result = {"type": "result", "subtype": "success", "result": text, "num_turns": 1}
    for event in [*events, result]:
        if event is result and word == "hang":
            time.sleep(60)
        sys.stdout.write(json.dumps({**event, "session_id": session}) + "\n")
        sys.stdout.flush()


def main() -> None:
    if sys.argv[1:] == ["--help"]:
        sys.stdout.write("--include-partial-messages --restricted --permission-prompts ")
        sys.stdout.write("--system-prompt-snapshot\n")
        return
    session = value("--resume") or str(uuid.uuid4())
    if value("--input-format") is None:
        turn(sys.stdin.read(), session)
        return
    for line in sys.stdin:
        turn(json.loads(line)["message"]["content"], session)
    if Path("stubborn").exists():
        signal.pause()


main()
