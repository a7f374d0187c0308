"""`sidecar version`."""

import argparse

from sidecar import __version__


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the version."""
    print(__version__)
    return 0
