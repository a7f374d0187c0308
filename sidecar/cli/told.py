"""The situation that the arguments of `sidecar render` tell."""

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sidecar.app.authoring.facts import unknown, unknown_channels
from sidecar.app.authoring.preview import Situation, Told, history_of, messages_of
from sidecar.app.checking.candidate import Candidate
from sidecar.config.model import Config, Route
from sidecar.config.problems import Position, near
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.document import Document
from sidecar.config.text.parse import parse
from sidecar.errors import JournalError
from sidecar.model import Message
from sidecar.server.address import DEVELOPMENT


class Unusable(Exception):
    """The arguments name something that is not there, or is no such thing."""


def add_message(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that tell a message, and what is known beside it."""
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--text", help="what is said (default: hello)")
    said.add_argument("--message", type=Path, metavar="FILE",
                      help="the message, or a list of them, as JSON, in the form of the config's "
                           "tests")  # fmt: skip
    said.add_argument("--turn", metavar="ID", help="a turn of the journal, instead of a message")
    parser.add_argument("--as", dest="kind", choices=("owner", "human", "agent"), default="owner",
                        help="who says it (default: owner)")  # fmt: skip
    parser.add_argument("--sender", metavar="ID", help="the id of the sender")
    parser.add_argument("--name", "--from", dest="name", help="the name of the sender")
    parser.add_argument("--channel", metavar="ID", help="the channel (default: the first one)")
    parser.add_argument("--conversation", "--room", dest="conversation", metavar="ID",
                        help="the id of the conversation")  # fmt: skip
    parser.add_argument("--group", action="store_true", help="in a group; direct without it")
    parser.add_argument("--title", help="the title of the conversation")
    parser.add_argument("--thread", metavar="ID", help="the topic in it")
    parser.add_argument("--mentioned", action="store_true", help="the agent is mentioned")
    parser.add_argument("--dev", action="store_true", help="what `sidecar dev` has recorded")
    parser.add_argument("--facts", type=Path, metavar="FILE",
                        help="what the context is, by name: room, memory, activity, …; and "
                             "`history`, as in the config's tests")  # fmt: skip


def checked(arguments: argparse.Namespace) -> Candidate:
    """The config that is meant. Blocks."""
    from sidecar.app.checking.check import check

    return check(arguments.config, inside=DEVELOPMENT if arguments.dev else "")


def situation_of(arguments: argparse.Namespace, config: Config) -> Situation:
    """What is told, with the real environment.

    Raises:
        Unusable: a file, a channel or a turn of the journal cannot be used.
    """
    facts = {} if arguments.facts is None else _facts(arguments.facts, config)
    before = facts.pop("history", [])
    if arguments.turn is not None:
        found = _recorded(arguments, config)
        newest = _told(found.messages[-1])
    else:
        try:
            told = _message(arguments)
            messages = told if isinstance(told, list) else [told]
            newest = messages[-1]
            found = Situation(messages_of(messages, config), time.time())
        except ValueError as error:
            raise Unusable(f"{arguments.message} is no message: {error}") from error
        for unclear in unknown_channels(found.messages, config):
            raise Unusable(unclear)
    try:
        history = history_of(before, newest, config, found.now)
    except ValueError as error:
        raise Unusable(f"{arguments.facts} is no history: {error}") from error
    return replace(found, env=os.environ, facts=facts, history=history)


def route_of(name: str | None, config: Config) -> Route | None:
    """The route of a name, None without one. Raises Unusable where there is no such route."""
    if name is None:
        return None
    routes = {route.name: route for route in config.all_routes}
    if name not in routes:
        hint = near(name, routes) or f"there are {', '.join(routes)}"
        raise Unusable(f"no route is named {name!r}: {hint}")
    return routes[name]


def _recorded(arguments: argparse.Namespace, config: Config) -> Situation:
    from sidecar.cli.recorded import elsewhere
    from sidecar.store.recorded import recorded_turn

    state = config.state.dir
    try:
        found = recorded_turn(state / DEVELOPMENT if arguments.dev else state, arguments.turn)
    except JournalError as error:
        raise Unusable(f"{error}{'' if arguments.dev else elsewhere(config)}") from error
    return Situation(found.messages, found.at, found.attempt)


def _told(message: Message) -> Told:
    """A message as a test tells it."""
    return {
        "channel": message.channel,
        "account": message.account,
        "text": message.text,
        "conversation": asdict(message.conversation),
        "sender": asdict(message.sender),
    }


def _facts(path: Path, config: Config) -> dict[str, Any]:
    """The context in a file of YAML or JSON, and the history."""
    document, problems = parse(_read(path), str(path))
    if document is None or problems:
        place = problems[0].position
        raise Unusable(f"{path}:{place.line}:{place.column}: {problems[0].message}")
    facts = {name: value for name, value in document.data.items() if name != "history"}
    for told in unknown(facts, config.context.others):
        raise Unusable(f"{path}: {told}")
    test = {"message": {"text": ""}, "history": document.data.get("history", [])}
    _check_form(test, path, "history")
    return dict(document.data)


def _read(path: Path) -> str:
    """The text of a file. Raises Unusable."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unusable(f"{path} is no text in UTF-8") from error


def _of_form(told: Any, path: Path) -> Any:
    """What a file tells. Raises Unusable where that has not the form of a test's messages."""
    [*earlier, message] = told if isinstance(told, list) and told else [told]
    _check_form({"earlier": earlier, "message": message}, path, "message")
    return told


def _check_form(told: Told, path: Path, what: str) -> None:
    """Raises Unusable where what a file tells has not the form of a test."""
    test = {"name": str(path), "expect": {}, **told}
    document = Document({"version": 1, "tests": [test]}, {}, {(): Position(str(path))})
    for mistake in Schema().check(document):
        problem = mistake.problem
        hint = f"; {problem.hint}" if problem.hint else ""
        raise Unusable(f"{path} is no {what}: {problem.message}{hint}")


def _message(arguments: argparse.Namespace) -> Any:
    """What is told of a message, or of several."""
    if arguments.message is not None:
        return _of_form(json.loads(_read(arguments.message)), arguments.message)
    place = {
        "id": arguments.conversation,
        "kind": "group" if arguments.group else "direct",
        "title": arguments.title,
        "thread": arguments.thread,
    }
    sender = {"id": arguments.sender, "kind": arguments.kind, "name": arguments.name}
    return {
        "channel": arguments.channel,
        "text": "hello" if arguments.text is None else arguments.text,
        "mentioned": arguments.mentioned,
        "conversation": {name: value for name, value in place.items() if value is not None},
        "sender": {name: value for name, value in sender.items() if value is not None},
    }
