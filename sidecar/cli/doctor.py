"""`sidecar doctor`: whether everything is there that a config needs."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from sidecar.cli.config_file import add_config
from sidecar.cli.screen import coloured

if TYPE_CHECKING:
    from sidecar.app.commands.findings import Finding

SIGNS = {"ok": ("✓", "32"), "warning": ("!", "33"), "failure": ("✗", "31")}
"""What stands before a line, and its colour at a terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--dev", action="store_true", help="what `sidecar dev` uses")
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, as it is found; 1 when something does not work."""
    found = asyncio.run(_examine(arguments))
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    return int(any(one.level == "failure" for one in found))


async def _examine(arguments: argparse.Namespace) -> "list[Finding]":
    from sidecar.app.commands.doctor import examine

    found = []
    async for finding in examine(arguments.config, dev=arguments.dev):
        found.append(finding)
        if not arguments.json:
            print(_line(finding), flush=True)
    return found


def _line(finding: "Finding") -> str:
    sign, colour = SIGNS[finding.level]
    line = f"{coloured(sign, colour, sys.stdout)} {finding.part}: {finding.text}"
    return f"{line}\n    → {finding.remedy}" if finding.remedy else line
