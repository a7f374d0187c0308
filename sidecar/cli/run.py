"""`sidecar run`: run the sidecar until it is told to stop."""

import argparse

from sidecar.cli.config_file import add_config, usable


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; 2 for an invalid config, 1 when it cannot start."""
    from sidecar.app.load import load_candidate
    from sidecar.app.process import serve

    ready = usable(load_candidate(arguments.config))
    if ready is None:
        return 2
    return serve(arguments.config, ready)
