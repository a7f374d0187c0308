"""`sidecar import`: a config to start from, made of that of a BotCord daemon."""  # noqa: N999 -- the command's name

import argparse
import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from sidecar.cli.import_machine import machine_of
from sidecar.cli.new_file import write_new
from sidecar.config.rewriting.imported import Imported, convert, default_source

MODELINE = "# yaml-language-server: $schema={schema}\n# Made of {source} by `sidecar import`.\n"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=default_source(Path.home()),
        metavar="FILE",
        help="the daemon's config (default: ~/.botcord/daemon/config.json)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("config.yaml"),
        metavar="PATH",
        help="the file to write (default: config.yaml); - is standard output",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write it and report on each field; 1 when that cannot be done."""
    try:
        source = _read(arguments.file)
        imported = convert(source, machine_of(source))
    except OSError as error:
        hint = "; name the daemon's config: sidecar import FILE"
        return _failed(f"{arguments.file} cannot be read: {error.strerror}{hint}")
    except ValueError as error:
        return _failed(f"{arguments.file}: {error}")
    except RecursionError:
        return _failed(f"{arguments.file} is nested too deeply")
    for line in imported.report:
        print(line, file=sys.stderr)
    if str(arguments.output) == "-":
        print(_text(imported), end="")
        return 0
    head = MODELINE.replace("{source}", str(arguments.file))
    return write_new(arguments.output, lambda schema: head.format(schema=schema) + _text(imported))


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 -- of the file's content
    return found


def _text(imported: Imported) -> str:
    from ruamel.yaml import YAML

    yaml, stream = YAML(), StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(imported.data, stream)
    return stream.getvalue()


def _failed(text: str) -> int:
    print(f"sidecar: {text}", file=sys.stderr)
    return 1
