"""`sidecar turns`: the turns that the journal holds, and what can be done about one."""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sidecar.cli.recorded import a_name, act, common, failed, limited, listed, look
from sidecar.cli.table import LONGEST_ID, NOTHING, age, dollars, one_line, printable, tokens


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    from sidecar.store.listing import STATES

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = common()
    told = actions.add_parser("list", parents=[shared], help="the newest turns")
    told.add_argument("--state", choices=STATES, help="only those in this state")
    told.add_argument("--conversation", metavar="ID", help="only those of this conversation")
    limited(told)
    for name, summary in (
        ("show", "one turn, with its messages, replies, tokens and cost"),
        ("cancel", "stop a running turn, or drop a waiting one"),
        ("retry", "run the messages again of a turn that ended without an answer"),
    ):
        command = actions.add_parser(name, parents=[shared], help=summary)
        command.add_argument("target", type=a_name, metavar="TURN", help="the id of the turn")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    match arguments.action:
        case "list":
            return _list(arguments)
        case "show":
            return _show(arguments)
        case "cancel":
            return act(arguments, "turns", lambda done: f"turn {done['turn']} is stopped")
    return act(arguments, "turns", lambda done: f"its messages are turn {done['turn']} now")


def _list(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    head = ("TURN", "STATE", "AGE", "CONVERSATION", "ROUTE", "TOKENS", "COST", "TEXT")
    return listed(
        arguments,
        lambda db: listing.turns(
            db,
            state=arguments.state,
            conversation=arguments.conversation,
            most=arguments.limit,
        ),
        head,
        _row,
    )


def _row(turn: dict[str, Any], now: float) -> tuple[str, ...]:
    return (
        turn["turn"],
        turn["state"],
        age(now - turn["accepted_at"]),
        one_line(_place(turn), LONGEST_ID),
        turn["route"] or NOTHING,
        tokens(turn["input_tokens"], turn["output_tokens"]),
        dollars(turn["cost_usd"]),
        one_line(turn["error"] or turn["text"]),
    )


def _show(arguments: argparse.Namespace) -> int:
    from sidecar.store import listing

    found = look(arguments, lambda db: listing.turn(db, arguments.target))
    if isinstance(found, int):
        return found
    if found is None:
        return failed(f"the journal has no turn {arguments.target}")
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(turn: dict[str, Any]) -> Iterator[str]:
    facts = {
        "turn": f"{turn['turn']}  {turn['state']}  attempt {turn['attempt']}",
        "conversation": f"{_place(turn)}  channel {turn['channel']}",
        "route": turn["route"],
        "runtime": turn["runtime"] and f"{turn['runtime']}  trust {turn['trust']}",
        "accepted": _time(turn["accepted_at"]),
        "started": _time(turn["started_at"]),
        "ended": _time(turn["ended_at"]),
        "tokens": tokens(turn["input_tokens"], turn["output_tokens"]),
        "cost": dollars(turn["cost_usd"]),
        "error": turn["error"],
        "went on as": turn["went_on_as"],
    }
    yield from (f"{name + ':':14}{one_line(fact, 500)}" for name, fact in facts.items() if fact)
    for message in turn["messages"]:
        sender = message["sender"]
        yield f"\n── {sender['kind']} {one_line(sender['name'] or sender['id'])}"
        yield printable(message["text"])
    for reply in turn["replies"]:
        error = f": {one_line(reply['error'])}" if reply["error"] else ""
        yield f"\n── reply {reply['reply']}, {reply['kind']}, {reply['state']}{error}"
        yield printable(reply["text"])


def _place(turn: dict[str, Any]) -> str:
    return (
        f"{turn['conversation']}/{turn['thread']}" if turn["thread"] else str(turn["conversation"])
    )


def _time(at: float | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
