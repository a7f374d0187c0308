"""`sidecar memory`: read and change what an agent has noted, also while a sidecar runs."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sidecar.channels.discovery import scan
from sidecar.cli.command_line import sentence
from sidecar.cli.config_file import drafted
from sidecar.config.model import Config
from sidecar.config.problems import near
from sidecar.contexts.memory_file import MemoryFile, memory_file
from sidecar.core import memory as rules
from sidecar.core.memory import Memory
from sidecar.errors import MemoryRefused, MemoryUnavailable
from sidecar.plugins import channel_type
from sidecar.server.address import DEVELOPMENT

NAME = "`goal`, or the name of a section (letters, digits, underscores)"
VALUE = (
    "the new text, as it is: it may be empty, which deletes, and may begin with `-`; nothing, or "
    "`-` alone, is standard input. It comes last, after all options"
)
EXAMPLES = """\
examples:
  sidecar memory set goal "ship version 2"
  sidecar memory set --account ag_demo todo "- ask Ann"
  sidecar memory set todo < todo.txt
  sidecar memory get todo
  sidecar memory delete todo
"""


class _Unclear(Exception):
    """What was asked for is not clear; the text tells why."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE",
                        help="the config file (default: config.yaml)")  # fmt: skip
    common.add_argument("--account", metavar="ID",
                        help="whose memory (default: the only account of the config)")  # fmt: skip
    common.add_argument("--dev", action="store_true", help="the memory that `sidecar dev` uses")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, summary in (
        ("get", "print the memory, or one part of it"),
        ("set", "set the goal or a section"),
        ("delete", "delete the goal or a section"),
        ("clear", "delete everything in it"),
    ):
        command = actions.add_parser(
            action, parents=[common], help=summary, description=sentence(summary)
        )
        if action == "set":
            command.usage = f"{command.prog} [OPTIONS] NAME [VALUE]"
        if action != "clear":
            command.add_argument(
                "name", nargs="?" if action == "get" else None, metavar="NAME", help=NAME
            )
        if action == "set":
            command.add_argument("value", nargs=argparse.REMAINDER, metavar="VALUE", help=VALUE)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read or an unclear wish."""
    config = drafted(arguments.config)
    if config is None:
        return 2
    try:
        state = config.state.dir / DEVELOPMENT if arguments.dev else config.state.dir
        account = _account(config, state, arguments.account)
        file = memory_file(state, account)
        if arguments.action == "get":
            return _get(arguments, account, file)
        return _change(arguments, account, file)
    except _Unclear as error:
        return _told(f"{error}{_broken(arguments.config)}", 2)
    except (MemoryRefused, MemoryUnavailable) as error:
        return _told(str(error), 1)


def _broken(path: Path) -> str:
    """What to add where a config with problems may lack the account that was meant."""
    from sidecar.app.checking.check import check

    return "" if check(path).config else "; the config has problems: see `sidecar validate`"


def _account(config: Config, state: Path, wanted: str | None) -> str:
    found = {
        channel_type(channel.type).account(name, channel.options)
        for name, channel in config.channels.items()
    }
    folder = config.discovery.botcord_credentials_dir
    accounts = sorted(found | (set(scan(folder)[0]) if folder is not None else set()))
    known = f"accounts: {', '.join(accounts) or 'none'}"
    if wanted is None:
        if len(accounts) != 1:
            raise _Unclear(f"tell whose memory with --account; {known}")
        return accounts[0]
    # The memory of an account that has left the config can be read, and cleared, all the same.
    if wanted not in accounts and not memory_file(state, wanted).path.exists():
        hint = near(wanted, accounts) or known
        raise _Unclear(f"there is no account {wanted!r}; {hint}")
    return wanted


def _get(arguments: argparse.Namespace, account: str, file: MemoryFile) -> int:
    found = file.read()
    memory, name = found or Memory(), arguments.name
    if name is not None and not memory.part(name):
        return _told(_absent(account, name, memory), 1)
    if arguments.json:
        shown: object = memory.part(name) if name is not None else found and _record(found)
        key = "text" if name is not None else "memory"
        _print({"account": account, "file": str(file.path), key: shown})
    elif name is not None:
        print(memory.part(name))
    else:
        print("\n".join(_lines(memory)) or f"(empty) {file.path}")
    return 0


def _change(arguments: argparse.Namespace, account: str, file: MemoryFile) -> int:
    before = Memory()
    now = time.time()
    text = _value(arguments.value) if arguments.action == "set" else ""

    def edit(memory: Memory) -> Memory:
        nonlocal before
        before = memory
        if arguments.action == "clear":
            return rules.cleared(now)
        return rules.changed(memory, arguments.name, text, now)

    after = file.change(edit)
    if arguments.json:
        _print({"account": account, "file": str(file.path), "memory": _record(after)})
    elif arguments.action == "clear":
        print(f"cleared the memory of {account}")
    elif after.part(arguments.name):
        print(f"set {arguments.name} of {account}: {after.size} of {rules.LONGEST} characters")
    elif before.part(arguments.name):
        print(f"deleted {arguments.name} of {account}")
    else:
        print(_absent(account, arguments.name, before))
    return 0


def _value(words: list[str]) -> str:
    if len(words) == 2 and words[0] == "--":  # some versions of argparse leave it there
        words = words[1:]
    if len(words) > 1:
        raise _Unclear(f"one VALUE is wanted, {len(words)} are given: quote it, and put options "
                       "before NAME")  # fmt: skip
    if words not in ([], ["-"]):
        return words[0]
    try:
        # As bytes: with some locales the text of `sys.stdin` has lost what is not UTF-8.
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise _Unclear("standard input is no text in UTF-8") from error


def _absent(account: str, name: str, memory: Memory) -> str:
    parts = [*((rules.GOAL,) if memory.goal else ()), *memory.sections]
    told = f"the memory of {account} has no {name!r}, it has {', '.join(parts) or 'nothing'}"
    return f"{told}; {hint}" if (hint := near(name, parts)) else told


def _lines(memory: Memory) -> Iterator[str]:
    if memory.goal:
        yield f"goal: {memory.goal}"
    for name, text in memory.sections.items():
        yield f"\n[{name}]\n{text}"
    if memory.size and memory.updated_at is not None:
        yield f"\nupdated {rules.iso(memory.updated_at)}, {memory.size} characters"


def _record(memory: Memory) -> dict[str, object]:
    return {
        "goal": memory.goal,
        "sections": dict(memory.sections),
        "updated_at": rules.iso(memory.updated_at),
        "size": memory.size,
    }


def _print(record: object) -> None:
    print(json.dumps(record, indent=2, ensure_ascii=False))


def _told(text: str, code: int) -> int:
    print(f"sidecar: {text}", file=sys.stderr)
    return code
