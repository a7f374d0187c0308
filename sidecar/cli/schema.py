"""`sidecar schema`: the JSON Schema of a config, as one document for editors and other tools."""

import argparse
import json

from sidecar.cli.config_file import whole_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print it, with all installed types; those that cannot be used are told beside it."""
    print(json.dumps(whole_schema().joined, indent=2, ensure_ascii=False))
    return 0
