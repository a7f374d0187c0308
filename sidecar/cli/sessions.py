"""`sidecar sessions`: what agents remember, and how to have them begin anew."""

import argparse
import json
import time

from sidecar.cli.recorded import act, common, limited, look
from sidecar.cli.table import age, one_line, table


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = common()
    told = actions.add_parser("list", parents=[shared], help="the sessions that can be resumed")
    limited(told)
    summary = "let the next turn begin a new session; a turn that runs now still keeps its own"
    forget = actions.add_parser("forget", parents=[shared], help=summary)
    forget.add_argument(
        "target", metavar="NAME", help="the id of a session, or of a conversation: all of it"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    if arguments.action == "list":
        return _list(arguments)
    return act(arguments, "sessions", lambda done: f"{done['sessions']} session(s) forgotten")


def _list(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    found = look(arguments, lambda db: listing.sessions(db, most=arguments.limit))
    if isinstance(found, int):
        return found
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    now = time.time()
    rows = [
        (
            one_line(one["session"]),
            one_line(one["conversation"] + (f"/{one['thread']}" if one["thread"] else ""), 40),
            one["runtime"],
            one["trust"],
            str(one["turns"]),
            str(one["tokens"]),
            age(now - one["used_at"]),
        )
        for one in found
    ]
    head = ("SESSION", "CONVERSATION", "RUNTIME", "TRUST", "TURNS", "TOKENS", "IDLE")
    print("\n".join(table(head, rows)))
    return 0
