"""How the tool servers of a job are told to the command line tools that start them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar.model import ToolServer

START = 60.0
"""Seconds that Codex waits for the start of a server."""


def marked(servers: Sequence[ToolServer], marks: Mapping[str, str]) -> list[ToolServer]:
    """The servers, with the marks of the turn in their environment: not every tool passes on its
    own, and a server must end with its turn."""
    return [replace(server, env={**server.env, **marks}) for server in servers]


def as_json(servers: Sequence[ToolServer]) -> str:
    """The file that Claude Code takes with `--mcp-config`.

    https://code.claude.com/docs/en/mcp
    """
    entries = {
        server.name: {"command": server.command, "args": server.args, "env": dict(server.env)}
        for server in servers
    }
    return json.dumps({"mcpServers": entries}, indent=2)


def as_settings(server: ToolServer) -> tuple[str, ...]:
    """A server as settings of Codex, `KEY=VALUE` with values of TOML. Its tools are called without
    an approval, for nobody could give one, and the turn waits until it has started: otherwise a
    turn on a busy machine begins without the tools that its prompt speaks of.

    https://developers.openai.com/codex/config-reference
    """
    env = ",".join(f"{_toml(name)}={_toml(value)}" for name, value in server.env.items())
    args = ",".join(map(_toml, server.args))
    key = f"mcp_servers.{server.name}"
    return (
        f"{key}={{command={_toml(server.command)},args=[{args}],env={{{env}}}}}",
        f'{key}.default_tools_approval_mode="approve"',
        f"{key}.required=true",
        f"{key}.startup_timeout_sec={START:g}",
    )


def _toml(text: str) -> str:
    """A basic string of TOML, of which those of JSON are a part but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
