"""`sidecar mcp`: the tools of an agent's working memory, started by the agent itself."""

import argparse
import sys
from pathlib import Path

BY_HAND = """\
sidecar: `sidecar mcp` speaks the Model Context Protocol with a coding agent, which starts it as
the sidecar tells it to, with --state and --account. There is no need to start it by hand.
To read or change a working memory yourself: sidecar memory --help"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--state", type=Path, metavar="DIR", help="the state folder")
    parser.add_argument("--account", metavar="ID", help="whose memory it is")


def run(arguments: argparse.Namespace) -> int:
    """Serve until standard input ends; 2 when a person seems to have started it."""
    if arguments.state is None or arguments.account is None or sys.stdin.isatty():
        print(BY_HAND, file=sys.stderr)
        return 2
    from sidecar.contexts.memory_server import serve

    serve(arguments.state, arguments.account)
    return 0
