"""A coding agent of any kind that does something nobody should do in a turn, and answers `fine`.

The name of the file is its kind, the file `deed` beside it tells what it does, `amount` how much of
it. It writes the ids of all processes that it makes into the file `pids` beside it.
"""

import json
import os
import pathlib
import signal
import sys
import time

here = pathlib.Path(sys.argv[0]).parent
kind = pathlib.Path(sys.argv[0]).name
deed = (here / "deed").read_text()
amount = int((here / "amount").read_text())
arguments = sys.argv[1:]
SESSION = "01a20205-0467-72a2-980a-6af07fcc5e31"
warm = "stream-json" in arguments[arguments.index("--input-format") :] if kind == "claude" and (
    "--input-format" in arguments) else arguments[:1] == ["app-server"]  # fmt: skip
talks = warm or kind == "acp"


def note():
    descriptor = os.open(here / "pids", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, b"%d\n" % os.getpid())
    os.close(descriptor)


def say(**event):
    os.write(1, json.dumps(event).encode() + b"\n")


def tell(method, **params):
    say(method=method, params={"threadId": SESSION, "turnId": "t", **params})


def hear(method):
    """The number of the request for the turn; what comes before it is answered."""
    for line in iter(sys.stdin.readline, ""):
        message = json.loads(line)
        number = message.get("id")
        if message.get("method") == method:
            return number
        if number is not None:
            thread = {"thread": {"id": SESSION}, "sandbox": {"type": "dangerFullAccess"}}
            say(jsonrpc="2.0", id=number, result={"sessionId": SESSION, "protocolVersion": 1,
                "agentCapabilities": {}, **thread})  # fmt: skip
    sys.exit(0)


def take():
    """Take the prompt."""
    if kind == "acp":
        return hear("session/prompt")
    if kind == "codex" and warm:
        number = hear("turn/start")
        say(id=number, result={"turn": {"id": "t"}})
        return number
    if warm:
        number = json.loads(sys.stdin.readline())["uuid"]
        say(type="command_lifecycle", command_uuid=number, state="started", session_id=SESSION)
        return number
    return sys.stdin.read() and None


def answer(number):
    if kind == "text":
        os.write(1, b"fine")
    elif kind == "ndjson":
        say(type="result", text="fine")
    elif kind == "gemini":
        say(type="init", session_id=SESSION)
        say(type="message", role="assistant", content="fine", delta=True)
        say(type="result", status="success", stats={})
    elif kind == "acp":
        content = {"type": "text", "text": "fine"}
        update = {"sessionUpdate": "agent_message_chunk", "content": content}
        say(jsonrpc="2.0", method="session/update", params={"sessionId": SESSION, "update": update})
        say(jsonrpc="2.0", id=number, result={"stopReason": "end_turn"})
    elif kind == "claude":
        content = [{"type": "text", "text": "fine"}]
        say(type="assistant", message={"content": content}, session_id=SESSION)
        say(type="result", subtype="success", result="fine", session_id=SESSION)
        if warm:
            state = {"command_uuid": number, "state": "completed"}
            say(type="command_lifecycle", session_id=SESSION, **state)
    elif warm:
        tell("item/completed", item={"type": "agentMessage", "id": "m", "text": "fine"})
        tell("turn/completed", turn={"id": "t", "status": "completed"})
    else:
        say(type="thread.started", thread_id=SESSION)
        say(type="item.completed", item={"type": "agent_message", "text": "fine"})
        say(type="turn.completed", usage={})


def fork(*, away=False, wiped=False, stubborn=False, leads=False):
    """A process that stays: `away` in a session of its own, and left by its parent; `wiped` with
    another environment; one that `leads` is in a session of nobody else's."""
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        os.read(ready, 1)
        os.close(ready)
        return
    if away:
        os.setsid()
        if os.fork():
            os._exit(0)
    if leads:
        os.setsid()
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note()
    os.write(told, b"x")
    os.close(told)
    if wiped:
        os.execve("/bin/sleep", ["sleep", "300"], {})
    time.sleep(300)
    os._exit(0)


def flood(descriptor, piece, size):
    for _ in range(size // len(piece)):
        left = piece
        while left:
            left = left[os.write(descriptor, left) :]


def daemons():
    """Among them some that nothing but their limits betray."""
    fork()
    fork(away=True, wiped=True)
    fork(away=True, wiped=True, leads=True)
    fork(away=True, stubborn=True)


def family():
    fork(wiped=True)
    fork(away=True, wiped=True, leads=True)
    fork(stubborn=True)
    fork(away=True)
    fork(away=True, stubborn=True)


def need_input():
    """Ask a person, at the terminal, then at standard input."""
    try:
        os.open("/dev/tty", os.O_RDWR)
    except OSError:
        sys.stdin.read()
    else:
        time.sleep(300)


def end_badly():
    os.kill(os.getpid(), signal.SIGSEGV)


def close_output():
    os.close(1)
    os.close(2)
    time.sleep(300)


LINE = b'{"type":"status","method":"noise","text":"' + b"x" * 20 + b'"}\n'
BEFORE = {
    "ignores SIGTERM": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "leaves daemons": daemons,
    "prints one line": lambda: (flood(1, b"x" * 65536, amount), os.write(1, b"\n")),
    "prints many lines": lambda: flood(1, LINE * 1000, amount),
    "fills stderr": lambda: flood(2, b"oops\n" * 13000, amount),
    "dies of a signal": end_badly,
    "needs input": need_input,
    "hangs": lambda: (family(), signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(300)),
}
AFTER = {
    "ignores SIGTERM": lambda: time.sleep(300),
    "closes its output": close_output,
    "leaves daemons": lambda: os._exit(0),
}

if "--help" in arguments:
    sys.exit(0)
note()
while True:
    asked = None if deed == "reads nothing" and not talks else take()
    BEFORE.get(deed, int)()
    answer(asked)
    AFTER.get(deed, int)()
    if not talks:
        break
