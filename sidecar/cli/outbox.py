"""`sidecar outbox`: replies that wait or were refused, and what can be done about one."""

import argparse
from typing import Any

from sidecar.cli.recorded import a_name, act, common, limited, listed
from sidecar.cli.table import LONGEST_ID, age, one_line


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
        command.add_argument("target", type=a_name, metavar="REPLY", help="the number of the reply")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    match arguments.action:
        case "list":
            return _list(arguments)
        case "retry":
            now = "is tried now, if the limits for sending have room"
            return act(arguments, "outbox", lambda done: f"reply {done['reply']} {now}")
    return act(arguments, "outbox", lambda done: f"reply {done['reply']} is given up")


def _list(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    head = ("REPLY", "TURN", "AGE", "CONVERSATION", "TRIES", "ERROR", "TEXT")
    return listed(
        arguments,
        lambda db: listing.replies(db, state=arguments.state, most=arguments.limit),
        head,
        _row,
    )


def _row(reply: dict[str, Any], now: float) -> tuple[str, ...]:
    return (
        str(reply["reply"]),
        reply["turn"],
        age(now - reply["created_at"]),
        one_line(reply["conversation"], LONGEST_ID),
        str(reply["attempts"]),
        one_line(reply["error"]),
        one_line(reply["text"]),
    )
