"""An agent that does what the last line of its prompt says. Speaks the ndjson protocol.

`say TEXT`, `wait NAME` (until the file NAME exists in the working directory), `exit CODE`,
`cost USD`, `prompt`, `bounds`, `die`, `garbage`, `silent`, `fail-once`, `lost-session`, `child`,
`stubborn`, `count`, `job KEY`, `trace`, `logged-out`.
Every run appends a line to the file `runs` in the working directory.

It starts for each turn: what only some words need is imported by them. Of `json` it takes the half
that is written in C, as the other one imports `re`, which takes longer than all the rest.
"""

import os
import sys
import time
from _json import encode_basestring_ascii, make_encoder, make_scanner


class Reading:
    """What `json.JSONDecoder` tells the scanner."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def encode(value: object) -> str:
    given = (None, None, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(make_encoder(*given)(value, 0))


def emit(**event: object) -> None:
    print(encode(event), flush=True)


def main() -> None:
    job, _ = make_scanner(Reading)(sys.stdin.readline(), 0)
    lines = [line for line in job["prompt"]["user"].splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.partition(" ")[0] in WORDS), "say ?")
    with open("runs", "a", encoding="utf-8") as runs:
        runs.write(f"{said}\n")
    word, _, rest = said.partition(" ")
    session = job.get("session") or f"s-{os.getpid()}"
    emit(type="session", id=session)
    WORDS[word](rest, job, session)


def say(rest: str, job: dict, session: str) -> None:
    emit(type="thinking", text="let me see")
    emit(type="tool_use", id="t1", name="look", input={"at": rest})
    emit(type="tool_result", id="t1", text="seen")
    emit(type="text", text=rest)
    emit(type="result", session=session)


def wait(rest: str, job: dict, session: str) -> None:
    emit(type="status", text="waiting")
    while not os.path.exists(rest):
        time.sleep(0.01)
    say(f"waited for {rest}", job, session)


def child(rest: str, job: dict, session: str) -> None:
    import subprocess

    for own in (False, True):
        started = subprocess.Popen(["sleep", "300"], start_new_session=own)
        with open("children", "a", encoding="utf-8") as children:
            children.write(f"{started.pid}\n")
    if rest:
        wait(rest, job, session)
    else:
        say("left children", job, session)


def stubborn(rest: str, job: dict, session: str) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("children", "a", encoding="utf-8") as children:
        children.write(f"{os.getpid()}\n")
    wait(rest, job, session)


def garbage(rest: str, job: dict, session: str) -> None:
    sys.stdout.buffer.write(b'{"type": "te\n\xff\xfe\x00 not json\n[1, 2]\nnull\n{"type": 7}\n')
    sys.stdout.flush()
    sys.exit(3)


def die(rest: str, job: dict, session: str) -> None:
    os.kill(os.getpid(), 9)


def fail_once(rest: str, job: dict, session: str) -> None:
    if os.path.exists("failed"):
        say("second time lucky", job, session)
        return
    with open("failed", "w", encoding="utf-8"):
        emit(type="error", message="try again", kind="api", retryable=True)


def lost_session(rest: str, job: dict, session: str) -> None:
    if job.get("session"):
        emit(type="error", message="no such session", kind="session_missing")
    else:
        say("a fresh start", job, "s-fresh")


def count(rest: str, job: dict, session: str) -> None:
    emit(
        type="text",
        text=f"{job['message']['session_turns']} turns before, attempt {job['attempt']}",
    )
    emit(type="result", session=session)


def tell_job(rest: str, job: dict, session: str) -> None:
    emit(type="text", text=encode(job.get(rest)))
    emit(type="result", session=session)


def cost(rest: str, job: dict, session: str) -> None:
    usage = {"input_tokens": 100, "output_tokens": 20, "cost_usd": float(rest)}
    emit(type="text", text=f"that was {rest}")
    emit(type="result", session=session, usage=usage)


def prompt(rest: str, job: dict, session: str) -> None:
    emit(type="text", text=job["prompt"]["user"])
    emit(type="result", session=session)


def bounds(rest: str, job: dict, session: str) -> None:
    import resource

    while resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
        time.sleep(0.01)  # they are set right after the start
    memory, _ = resource.getrlimit(resource.RLIMIT_DATA)
    emit(type="text", text=f"memory {memory}, nice {os.nice(0)}")
    emit(type="result", session=session)


def trace(rest: str, job: dict, session: str) -> None:
    emit(type="text", text=os.environ.get("TRACEPARENT", "none"))
    emit(type="result", session=session)


def logged_out(rest: str, job: dict, session: str) -> None:
    emit(type="error", message="401 the token has expired", kind="auth")


WORDS = {
    "cost": cost,
    "prompt": prompt,
    "bounds": bounds,
    "say": say,
    "wait": wait,
    "child": child,
    "stubborn": stubborn,
    "garbage": garbage,
    "die": die,
    "exit": lambda rest, job, session: sys.exit(int(rest)),
    "silent": lambda rest, job, session: say("NO_REPLY", job, session),
    "fail-once": fail_once,
    "lost-session": lost_session,
    "count": count,
    "job": tell_job,
    "trace": trace,
    "logged-out": logged_out,
}

main()
