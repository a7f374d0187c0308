"""`sidecar render`: the prompt that a message would lead to, also anew at each save."""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import TYPE_CHECKING

from sidecar.cli.config_file import add_config, readable
from sidecar.cli.screen import clear
from sidecar.cli.told import add_message
from sidecar.errors import MemoryUnavailable
from sidecar.server.address import DEVELOPMENT

if TYPE_CHECKING:
    from sidecar.app.authoring.last_render import InMemory, OnDisk
    from sidecar.app.authoring.preview import Preview
    from sidecar.config.model import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    add_message(parser)
    parser.add_argument("--route", metavar="NAME", help="as this route, whichever matches")
    parser.add_argument("--watch", action="store_true", help="print it anew after each save")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--diff", action="store_true",
                      help="also what changed since it was last asked, with --watch since the "
                           "last save")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the texts; 1 when no route takes the message, or a template fails, 2 for an invalid
    config."""
    from sidecar.app.authoring.last_render import OnDisk
    from sidecar.cli.told import checked

    if arguments.watch:
        with suppress(KeyboardInterrupt):
            asyncio.run(_watch(arguments))
        return 0
    config = readable(checked(arguments))
    if config is None:
        return 2
    question = sorted((name, str(value)) for name, value in vars(arguments).items())
    return _show(arguments, config, OnDisk(config.state.dir, [Path.cwd(), question]))


async def _watch(arguments: argparse.Namespace) -> None:
    from sidecar.app.authoring.last_render import InMemory
    from sidecar.app.watching.digests import NOTHING, Digests, digests
    from sidecar.app.watching.watch import changes
    from sidecar.cli.told import checked

    beside = {file.absolute() for file in (arguments.message, arguments.facts) if file is not None}
    inputs: Digests = NOTHING
    last = InMemory()

    async def redraw() -> None:
        nonlocal inputs
        candidate = await asyncio.to_thread(checked, arguments)
        inputs = {**candidate.inputs, **digests(beside)}
        clear()
        if (config := readable(candidate)) is not None:
            _show(arguments, config, last)
        sys.stdout.flush()

    await redraw()
    async for _ in changes(lambda: inputs):
        await redraw()


def _show(arguments: argparse.Namespace, config: "Config", last: "InMemory | OnDisk") -> int:
    from sidecar.cli.shown import lines, replaced
    from sidecar.cli.told import Unusable

    try:
        found = _preview(arguments, config)
    except Unusable as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 2
    if found is None:
        print("no route takes this message", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(_facts(found), indent=2))
    else:
        print(*lines(found), sep="\n")
    if arguments.diff:
        _show_changes(last, found)
    for line in replaced(found):
        print(f"sidecar: {line}", file=sys.stderr)
    return 1 if found.failures else 0


def _preview(arguments: argparse.Namespace, config: "Config") -> "Preview | None":
    """The turn, with the memory and the checkout that are there. Raises Unusable."""
    from sidecar.app.authoring.local_context import Local
    from sidecar.app.authoring.preview import preview
    from sidecar.cli.told import Unusable, route_of, situation_of
    from sidecar.prompts.render import Prompts

    situation, route = situation_of(arguments, config), route_of(arguments.route, config)
    prompts = Prompts(config.context, config.channels)
    state = config.state.dir / DEVELOPMENT if arguments.dev else config.state.dir
    try:
        return preview(config, prompts, situation, route, Local(config, state).look_up)
    except (MemoryUnavailable, SubprocessError, ValueError) as error:
        raise Unusable(f"{error}; `--facts` can tell instead what it is") from error


def _show_changes(last: "InMemory | OnDisk", found: "Preview") -> None:
    from sidecar.cli.shown import changed, texts

    now = texts(found)
    try:
        before = last.take(now)
    except OSError as error:
        print(f"sidecar: what it was last time cannot be kept: {error}", file=sys.stderr)
        return
    told = [] if before is None else list(changed(before, now))
    print()
    print(
        *told or ["── nothing to compare with yet" if before is None else "── unchanged"], sep="\n"
    )


def _facts(found: "Preview") -> dict[str, object]:
    from sidecar.cli.shown import texts, tokens

    parts = [
        {"of": name, "template": part.template, "block": part.block,
         "text": part.text}
        for name in texts(found)
        for part in getattr(found, name).parts
    ]  # fmt: skip
    return {
        "route": found.route.name,
        "runtime": found.route.runtime,
        "trust": found.trust,
        "queue": found.queue,
        **texts(found),
        "tokens": {name: tokens(text) for name, text in texts(found).items()},
        "parts": parts,
        "failures": [str(one) for one in found.failures],
    }
