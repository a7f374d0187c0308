"""An agent that speaks the Agent Client Protocol, and does what the last line of a prompt says.

Usage: acp_agent.py FOLDER [--login] [--modes] [--resume | --load] [--forgets]
It writes down what it hears in FOLDER/heard, and the processes that it leaves in FOLDER/pids.
"""

import json
import os
import sys
import time

FOLDER = sys.argv[1]
FLAGS = sys.argv[2:]
SESSION = "session-1"


def send(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def note(name, text):
    with open(f"{FOLDER}/{name}", "a") as file:  # noqa: PTH123 -- pathlib takes long to import
        file.write(text)


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    note("heard", line)
    return json.loads(line)


def update(**fields):
    send(method="session/update", params={"sessionId": SESSION, "update": fields})


def say(text):
    content = {"type": "text", "text": text}
    update(sessionUpdate="agent_message_chunk", content=content)


def ask(method, **params):
    """A request to the client; its answer."""
    send(id="ask", method=method, params={"sessionId": SESSION, **params})
    while (message := receive()).get("id") != "ask":
        pass
    return message


def permission(kind, *paths, changed=()):
    options = [
        {"optionId": kind, "kind": kind, "name": kind}
        for kind in ("allow_always", "allow_once", "reject_once")
    ]
    tool = {
        "toolCallId": "t1",
        "title": kind,
        "kind": kind,
        "locations": [{"path": path} for path in paths],
        "content": [
            {"type": "diff", "path": path, "oldText": None, "newText": "x"} for path in changed
        ],
    }
    update(sessionUpdate="tool_call", status="pending", **tool)
    outcome = ask("session/request_permission", options=options, toolCall=tool)["result"]["outcome"]
    allowed = outcome.get("optionId", "").startswith("allow")
    state = "completed" if allowed else "failed"
    update(sessionUpdate="tool_call_update", toolCallId="t1", status=state)
    say(outcome.get("optionId", outcome["outcome"]))


def told(answer):
    error = answer.get("error")
    say(f"error {error['code']}: {error['message']}\n" if error else json.dumps(answer["result"]))


def hang(number):
    say("half")
    while receive().get("method") != "session/cancel":
        pass
    send(id=number, result={"stopReason": "cancelled"})
    time.sleep(600)


def crash():
    say("half")
    sys.stderr.write("out of luck\n")
    sys.stderr.flush()
    os._exit(3)


def huge():
    sys.stdout.write('{"jsonrpc":"2.0","method":"')
    for _ in range(64):
        sys.stdout.write("x" * (1 << 20))
    sys.stdout.write('"}\n')
    say("still here")


def noise():
    sys.stderr.write("warning\n" * 100_000)
    say("heard over the noise")


def stubborn():
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("pids", str(os.getpid()))
    say("no")
    while True:
        time.sleep(600)


def children():
    import subprocess

    child = subprocess.Popen(
        ["sleep", "600"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    note("pids", f"{child.pid}\n{os.getpid()}")
    say("left one behind")


def read(*paths):
    for path in paths:
        told(ask("fs/read_text_file", path=path))


def write(*paths):
    for path in paths:
        told(ask("fs/write_text_file", path=path, content="written"))


def lines(path, first, most):
    told(ask("fs/read_text_file", path=path, line=int(first), limit=int(most)))


DEEDS = {
    "edit": lambda *paths: permission("edit", *paths),
    "change": lambda place, *paths: permission("edit", place, changed=paths),
    "execute": lambda *paths: permission("execute", *paths),
    "read": read,
    "lines": lines,
    "write": write,
    "odd": lambda: read("/\ud800", "/\0", "", 7),
    "terminal": lambda: told(ask("terminal/create", command="true")),
    "crash": crash,
    "huge": huge,
    "chunk": lambda: say("y" * 300_000),
    "noise": noise,
    "stubborn": stubborn,
    "children": children,
    "silent": lambda: time.sleep(600),
    "process": lambda: say(str(os.getpid())),
}


def prompted(number, params):
    word, *rest = params["prompt"][-1]["text"].split("\n")[-1].split()
    if word == "limit":
        return {"error": {"code": -32603, "message": "API Error: 429 usage limit reached"}}
    if word == "hang":
        hang(number)
    elif word in DEEDS:
        DEEDS[word](*rest)
    else:
        say("Hi, ")
        say("there.")
    return {"result": {"stopReason": "end_turn"}}


def modes():
    if "--modes" not in FLAGS:
        return {}
    offered = [{"id": name, "name": name} for name in ("auto", "default", "acceptEdits", "yolo")]
    return {"modes": {"currentModeId": "auto", "availableModes": offered}}


def initialized():
    able = {"sessionCapabilities": {"resume": {}}} if "--resume" in FLAGS else {}
    able |= {"loadSession": True} if "--load" in FLAGS else {}
    ways = [{"id": "it", "name": "Log in with It", "description": "run `it login`"}]
    return {"result": {"protocolVersion": 1, "agentCapabilities": able, "authMethods": ways}}


def opened(method):
    if method == "session/new" and "--login" in FLAGS:
        return {"error": {"code": -32000, "message": "Authentication required"}}
    if method != "session/new" and "--forgets" in FLAGS:
        return {"error": {"code": -32002, "message": "Resource not found"}}
    if method == "session/load":
        say("what was said before")
    return {"result": {"sessionId": SESSION, **modes()}}


def main():
    while True:
        message = receive()
        number, method = message.get("id"), message.get("method")
        match method:
            case "initialize":
                send(id=number, **initialized())
            case "session/new" | "session/resume" | "session/load":
                send(id=number, **opened(method))
                if method == "session/load":
                    say("and what comes late")
            case "session/prompt":
                send(id=number, **prompted(number, message["params"]))
            case _ if number is not None:
                send(id=number, result={})


main()
