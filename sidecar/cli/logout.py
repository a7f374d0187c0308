"""`sidecar logout`: forget the login of this machine."""

import argparse
import sys

from sidecar.cli.login import add_file


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_file(parser)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 when nobody is logged in any more; 1 when the file cannot be removed."""
    from sidecar.control.login import remove

    path = arguments.file.expanduser()
    try:
        removed = remove(path)
    except OSError as error:
        print(f"sidecar: {path} cannot be removed: {error.strerror}", file=sys.stderr)
        return 1
    print(f"removed {path}" if removed else f"nobody is logged in: there is no {path}")
    return 0
