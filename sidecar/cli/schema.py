"""`sidecar schema`: the JSON Schema of a config, as one document for editors and other tools."""

import argparse
import json


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from sidecar.config.schema import Schema

    print(json.dumps(Schema().joined, indent=2, ensure_ascii=False))
    return 0
