"""`sidecar sessions`: what agents remember, and how to have them begin anew."""

import argparse
from typing import Any

from sidecar.cli.recorded import a_name, act, common, limited, listed
from sidecar.cli.table import LONGEST_ID, age, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = common()
    told = actions.add_parser("list", parents=[shared], help="the sessions that can be resumed")
    limited(told)
    summary = "let the next turn begin a new session; a turn that runs now still keeps its own"
    forget = actions.add_parser("forget", parents=[shared], help=summary)
    forget.add_argument(
        "target",
        type=a_name,
        metavar="NAME",
        help="the id of a session, or of a conversation: all of it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    if arguments.action == "list":
        return _list(arguments)
    return act(arguments, "sessions", lambda done: f"{done['sessions']} session(s) forgotten")


def _list(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    head = ("SESSION", "CONVERSATION", "RUNTIME", "TRUST", "TURNS", "TOKENS", "IDLE")
    return listed(arguments, lambda db: listing.sessions(db, most=arguments.limit), head, _row)


def _row(session: dict[str, Any], now: float) -> tuple[str, ...]:
    place = session["conversation"] + (f"/{session['thread']}" if session["thread"] else "")
    return (
        one_line(session["session"], LONGEST_ID),
        one_line(place, LONGEST_ID),
        session["runtime"],
        session["trust"],
        str(session["turns"]),
        str(session["tokens"]),
        age(now - session["used_at"]),
    )
