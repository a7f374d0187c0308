"""`sidecar route`: list the routes of a config, try them, and edit them in the file."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli import screen
from sidecar.cli.config_file import begin_with, drafted, readable, show
from sidecar.cli.table import Table
from sidecar.config.model import Match, Route

if TYPE_CHECKING:
    from sidecar.config.text.document import Document

MATCHES = tuple(field.name for field in fields(Match))
"""What `--match` takes."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    from sidecar.cli.told import add_message

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE",
                        help="the config file (default: config.yaml)")  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = actions.add_parser("list", parents=[common], help="the routes, in their order")
    shown.add_argument("--json", action="store_true", help="print them as JSON")
    tried = actions.add_parser("test", parents=[common], help="which route takes a message")
    tried.add_argument("--json", action="store_true", help="print it as JSON; null for none")
    add_message(tried)
    add = actions.add_parser("add", parents=[common], help="write one more route into the file")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--runtime", required=True, metavar="NAME", help="the runtime that answers")
    add.add_argument("--match", action="append", default=[], type=_condition, metavar="KEY=VALUE",
                     help=f"which messages: {', '.join(MATCHES)}; the same key again takes "
                          "another value too")  # fmt: skip
    for key, told in (
        ("cwd", "the folder in which the runtime works"),
        ("trust", "at most: owner, trusted or public"),
        ("queue", "cancel-previous, serial or coalesce"),
        ("model", "the agent's own name for its model"),
    ):
        add.add_argument(f"--{key}", metavar=key.upper(), help=told)
    add.add_argument(
        "--before",
        metavar="NAME",
        help="before this route, in its file\n(default: the last one of the config file itself)",
    )
    remove = actions.add_parser("remove", parents=[common], help="take a route out of the file")
    remove.add_argument("name", metavar="NAME")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done or no route takes the message, 2 for an invalid config, also
    for one that would become invalid."""
    match arguments.action:
        case "list":
            return _list(arguments)
        case "test":
            return _test(arguments)
    return _edit(arguments)


def _condition(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if key not in MATCHES or not equals:
        raise argparse.ArgumentTypeError(
            f"{given!r}: give KEY=VALUE, KEY one of {', '.join(MATCHES)}"
        )
    return key, value


def _list(arguments: argparse.Namespace) -> int:
    config = drafted(arguments.config)
    if config is None:
        return 2
    rows = [_facts(route) for route in config.all_routes]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    head = ("ROUTE", "MATCH", "RUNTIME", "TRUST", "QUEUE", "FOLDER")
    keys = ("name", "match", "runtime", "trust", "queue", "cwd")
    screen.show([Table(head, [tuple(_short(row[key]) for key in keys) for row in rows])])
    return 0


def _facts(route: Route) -> dict[str, object]:
    given = {key: getattr(route.match, key) for key in MATCHES}
    return {
        "name": route.name,
        "match": {key: value for key, value in given.items() if value is not None},
        "runtime": route.runtime,
        "trust": route.trust,
        "queue": route.queue,
        "cwd": None if route.cwd is None else str(route.cwd),
        "managed": route.managed,
    }


def _short(value: object) -> str:
    match value:
        case dict():
            return " ".join(f"{key}={_short(one)}" for key, one in value.items()) or "everything"
        case tuple():
            return ",".join(map(str, value))
        case bool():
            return str(value).lower()
    return "-" if value is None else str(value)


def _test(arguments: argparse.Namespace) -> int:
    from sidecar.app.authoring.preview import preview
    from sidecar.cli.told import Unusable, checked, situation_of
    from sidecar.prompts.render import Prompts

    config = readable(checked(arguments))
    if config is None:
        return 2
    try:
        found = preview(
            config, Prompts(config.context, config.channels), situation_of(arguments, config), None
        )
    except Unusable as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        told = found and {**_facts(found.route), "trust": found.trust, "queue": found.queue}
        print(json.dumps(told, indent=2))
        return int(found is None)
    if found is None:
        print("no route takes this message", file=sys.stderr)
        return 1
    route = found.route
    print(f"{route.name}: runtime {route.runtime}, trust {found.trust}, queue {found.queue}")
    return 0


def _edit(arguments: argparse.Namespace) -> int:
    from sidecar.app.authoring.config_edit import CannotRead, CannotWrite, file_of, prepare
    from sidecar.config.rewriting.route_text import NotEditable, added, index_of, removed

    beside = arguments.name if arguments.action == "remove" else arguments.before

    def change(text: str, document: "Document") -> str:
        if arguments.action == "remove":
            return removed(text, document, arguments.name)
        return added(text, document, _route(arguments), arguments.before)

    def expected(data: Mapping[str, Any]) -> dict[str, object]:
        routes = list(data.get("routes") or [])
        at = len(routes) if beside is None else index_of(data, beside)
        if arguments.action == "remove":
            del routes[at]
        else:
            routes.insert(at, _route(arguments))
        return {**data, "routes": routes}

    try:
        file = arguments.config if beside is None else file_of(arguments.config, beside)
        edit = prepare(arguments.config, file, change, expected)
        if readable(edit.found) is None:
            print(f"sidecar: {file} stays as it was", file=sys.stderr)
            return 2
        edit.write()
    except CannotRead as error:
        path = arguments.config
        told = error if path.exists() else f"there is no {path}: {begin_with(path)}"
        print(f"sidecar: {told}", file=sys.stderr)
        return 2
    except (NotEditable, CannotWrite) as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    print(edit.diff, end="")
    warnings = [one for one in edit.found.problems if one.level == "warning"]
    show([one for one in warnings if one.path.startswith("routes")], edit.found.sources)
    return 0


def _route(arguments: argparse.Namespace) -> dict[str, object]:
    """The route that is to be added, as the config says it."""
    match: dict[str, object] = {}
    for key, value in arguments.match:
        given = value == "true" if key == "mentioned" and value in ("true", "false") else value
        before = match.get(key)
        together = [*(before if isinstance(before, list) else [before]), given]
        match[key] = given if before is None else together
    rest = {key: getattr(arguments, key) for key in ("runtime", "cwd", "trust", "queue", "model")}
    return {
        "name": arguments.name,
        **({"match": match} if match else {}),
        **{key: value for key, value in rest.items() if value is not None},
    }
