"""The command `sidecar`. Each command's module is imported when it is asked for.

Exit codes: 0 fine, 1 a failure, 2 a usage error or an invalid configuration.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from types import ModuleType

from sidecar import __version__
from sidecar.cli.command_line import CommandLine, sentence
from sidecar.cli.output import printing

COMMANDS = {
    "dev": "try it: a development Hub, the sidecar and a chat, all on this machine",
    "run": "run the sidecar",
    "validate": "check configs and list all their problems",
    "config": "show what a config comes to, or explain its keys",
    "migrate": "rewrite the deprecated keys of a config",
    "schema": "print the JSON Schema of a config",
    "init": "write a config to start from",
    "import": "make a config of that of a BotCord daemon",
    "render": "show the prompt that a message would lead to",
    "test": "run the tests of a config",
    "plan": "show what a config would change, without changing it",
    "reload": "have a running sidecar load its config",
    "status": "show what a running sidecar does",
    "logs": "show what a sidecar logged to its file",
    "doctor": "check everything that a config needs",
    "stop": "stop a running sidecar, letting running turns finish",
    "turns": "list and show turns, with their cost; cancel and retry one",
    "sessions": "list what agents remember, and forget it",
    "agents": "list the agents of this machine, and forget one that the Hub added",
    "outbox": "list replies that wait or were refused; retry and drop one",
    "route": "list the routes of a config, try them, add and remove one",
    "memory": "read and change what an agent has noted",
    "mcp": "the tools of that memory, for coding agents; they start it",
    "login": "let the Hub of a person steer this machine",
    "logout": "forget that login",
    "example-agent": "the bundled example agent, a runtime of type command",
    "completion": "print what makes a shell complete commands and options",
    "version": "print the version",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return printing(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(given: Sequence[str]) -> int:
    parsed = build_parser(given[:1]).parse_args(given)
    code: int = _module(parsed.command).run(parsed)
    return code


def build_parser(wanted: Collection[str]) -> argparse.ArgumentParser:
    """The parser of the command line; only the commands `wanted` know their arguments."""
    parser = CommandLine(
        prog="sidecar", description="Connect chat channels to coding agents, from one YAML file."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=sentence(summary))
        if name in wanted:
            _module(name).configure(command)
    return parser


def _module(command: str) -> ModuleType:
    return import_module(f"sidecar.cli.{command.replace('-', '_')}")
