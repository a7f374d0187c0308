"""A `claude` without a model: it uses the tool servers that it is given, as the last line of its
prompt says, and answers with what they say.

`remember NAME TEXT`, `forget NAME`, `context` (the system context), `tools`.
"""

import json
import subprocess
import sys
import uuid
from pathlib import Path

HELP = (
    "--include-partial-messages --restricted --permission-prompts <mode> "
    "--system-prompt-snapshot <on|off>"
)


def value(flag: str) -> str | None:
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else None


class Server:
    """The first tool server of the file that `--mcp-config` names."""

    def __init__(self) -> None:
        described = json.loads(Path(value("--mcp-config")).read_text("utf-8"))
        [(self.name, entry)] = described["mcpServers"].items()
        self.process = subprocess.Popen(
            [entry["command"], *entry["args"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=entry["env"],
        )  # fmt: skip
        client = {"name": "claude", "version": "1"}
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        self.tell(method="notifications/initialized")

    def tell(self, **message: object) -> None:
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: object) -> dict:
        self.tell(id=1, method=method, params=params)
        return json.loads(self.process.stdout.readline())["result"]

    def call(self, tool: str, **arguments: str) -> str:
        assert f"mcp__{self.name}__{tool}" in value("--allowedTools").split(",")
        return self.ask("tools/call", name=tool, arguments=arguments)["content"][0]["text"]


def answer(line: str) -> str:
    word, _, rest = line.partition(" ")
    if word == "tools":
        return value("--allowedTools") or "none"
    if word == "context":
        return Path(value("--append-system-prompt-file")).read_text("utf-8")
    name, _, text = rest.partition(" ")
    if word == "remember":
        return Server().call("memory_set", name=name, text=text)
    return Server().call("memory_delete", name=name)


def main() -> None:
    if sys.argv[1:] == ["--help"]:
        sys.stdout.write(HELP)
        return
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    words = ("remember", "forget", "context", "tools")
    text = answer(next(line for line in reversed(lines) if line.split()[0] in words))
    session = value("--resume") or str(uuid.uuid4())
    content = [{"type": "text", "text": text}]
    for event in (
        {"type": "system", "subtype": "init", "session_id": session},
        {"type": "assistant", "message": {"id": "m", "content": content}, "session_id": session},
        {"type": "result", "subtype": "success", "is_error": False, "result": text,
         "num_turns": 1, "session_id": session, "usage": {"input_tokens": 1, "output_tokens": 1}},
    ):  # fmt: skip
        sys.stdout.write(json.dumps(event) + "\n")


main()
