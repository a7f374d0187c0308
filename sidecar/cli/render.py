"""`sidecar render`: the prompt that a message would lead to, also anew at each save."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from sidecar.app.load import Candidate
from sidecar.cli.config_file import add_config, usable

CLEAR = "\x1b[2J\x1b[H"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--text", default="hello", help="what is said (default: hello)")
    parser.add_argument("--as", dest="kind", choices=("owner", "human", "agent"), default="owner",
                        help="who says it (default: owner)")  # fmt: skip
    parser.add_argument("--sender", metavar="ID", help="the id of the sender")
    parser.add_argument("--name", help="the name of the sender")
    parser.add_argument("--channel", metavar="ID", help="the channel (default: the first one)")
    parser.add_argument("--conversation", metavar="ID", help="the id of the conversation")
    parser.add_argument("--group", action="store_true", help="in a group; direct without it")
    parser.add_argument("--title", help="the title of the conversation")
    parser.add_argument("--thread", metavar="ID", help="the topic in it")
    parser.add_argument("--mentioned", action="store_true", help="the agent is mentioned")
    parser.add_argument("--message", type=Path, metavar="FILE",
                        help="the message as JSON, in the form of the config's tests")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--watch", action="store_true", help="print it anew after each save")


def run(arguments: argparse.Namespace) -> int:
    """Print both texts; 1 when no route takes the message, 2 for an invalid config."""
    from sidecar.app.check import check

    if arguments.watch:
        return asyncio.run(_watch(arguments))
    return _show(arguments, check(arguments.config))


async def _watch(arguments: argparse.Namespace) -> int:
    from sidecar.app.check import check
    from sidecar.app.watch import NOTHING, Digests, changes

    inputs: Digests = NOTHING

    async def redraw() -> None:
        nonlocal inputs
        candidate = await asyncio.to_thread(check, arguments.config)
        inputs = candidate.inputs
        print(CLEAR if sys.stdout.isatty() else "", end="")
        _show(arguments, candidate)
        sys.stdout.flush()

    await redraw()
    async for _ in changes(lambda: inputs, known=inputs):
        await redraw()
    return 0


def _show(arguments: argparse.Namespace, candidate: Candidate) -> int:
    from sidecar.app.preview import message_of, preview
    from sidecar.prompts.render import Prompts

    config = usable(candidate, without={"credentials-missing"})
    if config is None:
        return 2
    try:
        message = message_of(_told(arguments), config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"sidecar: {arguments.message} is no message: {error!r}", file=sys.stderr)
        return 2
    found = preview(config, Prompts(config.context.env), message, os.environ)
    if found is None:
        print("no route takes this message", file=sys.stderr)
        return 1
    if arguments.json:
        facts = {name: getattr(found, name) for name in found.__slots__}
        print(json.dumps({**facts, "failures": [str(one) for one in found.failures]}, indent=2))
        return 0
    print(f"route {found.route} · runtime {found.runtime} · {found.trust} · {found.queue}")
    for title, text in (("system context", found.system_context), ("user turn", found.user_turn)):
        print(f"\n── {title}, {len(text)} characters\n{text}")
    for failure in found.failures:
        print(f"failed, the built-in one took its place: {failure}", file=sys.stderr)
    return 0


def _told(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.message is not None:
        told: dict[str, Any] = json.loads(arguments.message.read_text("utf-8"))
        return told
    place = {
        "id": arguments.conversation,
        "kind": "group" if arguments.group else "direct",
        "title": arguments.title,
        "thread": arguments.thread,
    }
    sender = {"id": arguments.sender, "kind": arguments.kind, "name": arguments.name}
    return {
        "channel": arguments.channel,
        "text": arguments.text,
        "mentioned": arguments.mentioned,
        "conversation": {name: value for name, value in place.items() if value is not None},
        "sender": {name: value for name, value in sender.items() if value is not None},
    }
