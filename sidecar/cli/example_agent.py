"""`sidecar example-agent`: the bundled example agent, spoken to on standard input and output."""

import argparse

from sidecar.runtimes.example_agent import main


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments: the job comes on standard input."""


def run(arguments: argparse.Namespace) -> int:
    """Run one turn."""
    return main()
