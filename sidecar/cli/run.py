"""`sidecar run`: run the sidecar until it is told to stop."""

import argparse

from sidecar.app.load import Loading
from sidecar.cli.config_file import add_config, usable


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; 2 for an invalid config, 1 when it cannot start."""
    loading = Loading(arguments.config)
    from sidecar.app.process import serve  # takes a while, as the check does

    candidate = loading.wait()
    config = usable(candidate)
    if config is None:
        return 2
    return serve(arguments.config, config, candidate.inputs, candidate.memory)
