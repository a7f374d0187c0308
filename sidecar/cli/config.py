"""`sidecar config`: `show` tells what a config comes to, `explain` what its keys mean."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sidecar.app.checking.candidate import Candidate
from sidecar.cli.config_file import add_config, usable, whole_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser(
        "show", help="the effective config: files joined, defaults filled in, secrets as ***"
    )
    add_config(show)
    show.add_argument(
        "--resolved",
        action="store_true",
        help="paths absolute, and what one key takes over from another",
    )
    show.add_argument("--origin", action="store_true", help="add where each value comes from")
    explain = actions.add_parser("explain", help="what a key means and takes")
    explain.add_argument(
        "path",
        nargs="?",
        default="",
        metavar="PATH",
        help="such as limits or routes[0].match.kind (default: all of the config)",
    )
    for action in (show, explain):
        action.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Show or explain; 2 for an invalid config or an unknown key."""
    return _show(arguments) if arguments.action == "show" else _explain(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from sidecar import plugins
    from sidecar.app.checking.system import MachineSystem
    from sidecar.config.comparing.effective import effective, leaves
    from sidecar.config.load import load
    from sidecar.config.problems import dotted
    from sidecar.config.reading.managed import FILE
    from sidecar.config.schemas.schema import Schema
    from sidecar.config.text.written import Written, block, plain

    found = load(arguments.config, MachineSystem(), Schema(), types=plugins)
    config = usable(Candidate(found.config, found.draft, found.problems, found.sources, {}))
    if config is None or found.source is None:
        return 2
    values = effective(config, found.source, found.schema, resolved=arguments.resolved)
    if not arguments.json:
        layer = config.state.dir / FILE  # what is in it is told in any case
        print(block(values, origins=lambda one: arguments.origin or _is_of(layer, one)), end="")
    elif arguments.origin:
        told = {
            dotted(place): {"value": plain(one), "origin": one.origin}
            for place, one in leaves(values)
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(json.dumps(plain(Written(values)), indent=2, ensure_ascii=False))
    return 0


def _is_of(file: Path, origin: str) -> bool:
    return Path(origin.rpartition(":")[0]).absolute() == file


def _explain(arguments: argparse.Namespace) -> int:
    from sidecar.config.schemas.keys import UnknownKey, facts, find, place_of

    schema = whole_schema()
    try:
        keys = find(schema, place_of(arguments.path))
    except UnknownKey as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 2
    told = [facts(schema, key) for key in keys]
    if arguments.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(map(_text, told)))
    return 0


def _text(told: Mapping[str, Any]) -> str:
    """The facts about one key for people."""
    head = told["path"] or "config"
    lines = [f"{head} (type {told['type']})" if "type" in told else head]
    if "description" in told:
        lines += [f"  {told['description']}", ""]
    lines += [f"  {name:10}  {value}" for name, value in _facts(told)]
    if "keys" in told:
        lines.append("  keys")
        width = max(map(len, told["keys"]))
        lines += [f"    {name:{width}}  {text}".rstrip() for name, text in told["keys"].items()]
    return "\n".join(lines)


def _facts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from sidecar.config.schemas.keys import WHEN
    from sidecar.config.text.written import flow, written

    yield "value", told["value"]
    if "required" in told:
        yield "required", "yes"
    if "default" in told:
        yield "default", flow(written(told["default"]))
    if "default_from" in told:
        yield "default", f"as {told['default_from']}"
    if "reload" in told:
        yield "change", f"{WHEN[told['reload']]} ({told['reload']})"
        yield "secret", "yes" if told["secret"] else "no"
    if "deprecated" in told:
        yield "deprecated", f"use {told['replacement']}" if "replacement" in told else "yes"
    for example in told.get("examples", ()):
        yield "example", flow(written(example))
