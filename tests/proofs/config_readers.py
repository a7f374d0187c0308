"""The readers of config files and of the tests beside them, with samples.

The YAML parser takes by far the longest, so the samples are small: each is one piece of a config.
Most are written as JSON, which is YAML, so that single values and keys of them can be changed and
what comes after the parser sees them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from sidecar.app.authoring.testfiles import cases
from sidecar.app.checking.system import MachineSystem
from sidecar.app.watching.digests import digests
from sidecar.config.load import load
from sidecar.config.model import Config, Route, State
from sidecar.config.schemas.schema import Schema

FOLDER = tempfile.TemporaryDirectory()
SCHEMA = Schema()
CONFIG = Config(State(Path(FOLDER.name)), Route("all", "agent", Path(FOLDER.name)))
AGENT = {"type": "command", "command": ["sh"]}
PLACE = {"runtime": "a", "cwd": "."}
MATCH = {"conversation": ["rm_1"], "kind": "group", "sender_kind": ["human"],
    "mentioned": True, "conversation_prefix": "rm_"}  # fmt: skip
PIECES: list[dict[str, Any]] = [
    {"state": {"dir": "~/x", "session_ttl": "30d", "journal_ttl": "7d"}},
    {"server": {"listen": "127.0.0.1:8787", "token": "${TOKEN:-}"}},
    {"server": {"listen": "unix:/s.sock"}, "log": {"level": "info", "format": "json", "file": "x"}},
    {"limits": {"concurrent_turns": 4, "turn_timeout": "10m", "output": "1MiB"}},
    {"reload": {"debounce": "200ms", "poll": "5s", "on_partial": "keep", "pin_queued": True}},
    {"channels": {"c": {"type": "botcord", "credentials": "c.json", "hub_url": "https://h",
        "send_rate": {"total": "20/1m"}, "loop_guard": {"turns": 10, "window": "5m"}}}},
    {"channels": {"c": {"type": "botcord", "credentials": "c.json", "rate_limit": None,
        "grant": {"owner": "owner", "senders": {"hu_1": "trusted"}}, "allow": {"senders": ["x"]}}}},
    {"discovery": {"botcord": {"credentials_dir": "~/x"}}},
    {"runtimes": {"a": AGENT, "b": {"type": "claude-code", "command": "sh", "args": ["-x"],
        "warm": {"max": 2, "idle": "10m"}, "env": {"A": "${HOME}"}, "inherit_env": ["B"]}}},
    {"runtimes": {"a": AGENT, "b": {"type": "acp", "command": ["sh"], "nice": 1,
        "modes": {"public": "plan"}}}},
    {"runtimes": {"a": AGENT, "b": {"type": "codex", "command": "sh", "effort": "low",
        "memory_max": "1GiB", "session": {"max_turns": 5, "idle": "1h"}},
        "c": {"type": "gemini", "command": "sh"}}},
    {"routes": [{"name": "r", "match": MATCH, "trust": "trusted", "queue": "coalesce", **PLACE}]},
    {"routes": [{"name": "r", "match": {}, "budget": {"usd": 5, "per": "day"}, "args": ["-x"],
        "system_context": "{{ message.text }}", "user_turn": {"file": "config.yaml"},
        **PLACE}]},
    {"context": {"timeout": "2s", "activity": {"window": "2h", "max_entries": 5},
        "working_memory": {"enabled": True}, "room": {"ttl": "5m"}, "env": ["A"]}},
    {"include": ["*.d/*.yaml"]},
]  # fmt: skip
MESSAGE = {"text": "hi", "channel": "c", "mentioned": True, "sent_at": "2026-01-30",
    "sender": {"id": "s", "kind": "human"},
    "conversation": {"id": "r", "kind": "group", "title": "t", "thread": "tp_1"}}  # fmt: skip
CASES: list[dict[str, Any]] = [
    {"expect": {"route": "default", "argv": ["x"], "user_turn": {"contains": "hi"}}},
    {"expect": {}, "earlier": [MESSAGE], "clock": "2026-01-31T09:00:00Z", "attempt": 2},
    {"expect": {}, "session": {"turns": 3}, "env": {"A": "b"}, "facts": {"memory": {"goal": "g"}}},
]
CONFIGS = [
    b"version: 1\nruntimes: {a: {type: command, command: [sh]}}\n"
    b"default_route: {runtime: a, cwd: .}\n",
    b"version: 1\nruntimes:\n  a: &a {type: command, command: [sh]}\n  b:\n    <<: *a\n"
    b"default_route:\n  runtime: a\n  cwd: .\n  user_turn: |\n    hi\n",
    *(
        json.dumps({"version": 1, "runtimes": {"a": AGENT}, "default_route": PLACE, **piece},
            separators=(",", ":")).encode()
        for piece in PIECES
    ),
]  # fmt: skip
TESTS = [
    b"tests:\n- name: a\n  message: {text: hi}\n  expect: {route: default, argv: [x]}\n",
    *(json.dumps({"tests": [{"name": "a", "message": MESSAGE, **one}]}).encode() for one in CASES),
]


def written(data: bytes, name: str) -> Path:
    path = Path(FOLDER.name) / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def config(data: bytes) -> None:
    found = load(written(data, "config.yaml"), MachineSystem(), SCHEMA)
    assert found.config is not None or found.problems
    digests(found.inputs)


def tests(data: bytes) -> None:
    path = written(data, "a.test.yaml")
    found = cases(path, CONFIG)
    assert all(case.file == path and case.name for case in found.cases)
