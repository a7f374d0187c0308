"""`sidecar outbox`: replies that wait or were refused, and what can be done about one."""

import argparse
import json
import time

from sidecar.cli.recorded import act, common, limited, look
from sidecar.cli.table import age, one_line, table


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    from sidecar.store.listing import REPLY_STATES

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = common()
    told = actions.add_parser("list", parents=[shared], help="the replies in one state")
    told.add_argument("--state", choices=REPLY_STATES, default="pending",
                      help="which (default: pending)")  # fmt: skip
    limited(told)
    for name, summary in (
        ("retry", "try a reply at once that waits, or that was refused"),
        ("drop", "give up a reply that waits"),
    ):
        command = actions.add_parser(name, parents=[shared], help=summary)
        command.add_argument("target", metavar="REPLY", help="the number of the reply")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    match arguments.action:
        case "list":
            return _list(arguments)
        case "retry":
            return act(arguments, "outbox", lambda done: f"reply {done['reply']} is tried now")
    return act(arguments, "outbox", lambda done: f"reply {done['reply']} is given up")


def _list(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    found = look(
        arguments, lambda db: listing.replies(db, state=arguments.state, most=arguments.limit)
    )
    if isinstance(found, int):
        return found
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    now = time.time()
    rows = [
        (
            str(one["reply"]),
            one["turn"],
            age(now - one["created_at"]),
            one_line(one["conversation"], 40),
            str(one["attempts"]),
            one_line(one["error"]),
            one_line(one["text"]),
        )
        for one in found
    ]
    head = ("REPLY", "TURN", "AGE", "CONVERSATION", "TRIES", "ERROR", "TEXT")
    print("\n".join(table(head, rows)))
    return 0
