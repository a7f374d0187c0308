"""`sidecar test`: whether messages become what the `tests` of a config expect. Runs offline."""

import argparse
import os
from typing import cast

from sidecar.cli.config_file import add_config, usable


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print each test's result; 1 when one fails, 2 for an invalid config."""
    from sidecar.app.check import check
    from sidecar.app.preview import Told, message_of, mistakes, preview
    from sidecar.prompts.render import Prompts

    config = usable(check(arguments.config), without={"credentials-missing"})
    if config is None:
        return 2
    prompts, failed = Prompts(config.context.env), 0
    for test in config.tests:
        message = message_of(cast(Told, test["message"]), config)
        found = preview(config, prompts, message, os.environ)
        wrong = mistakes(cast(Told, test["expect"]), found)
        failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok':<7}{test['name']}")
        for line in wrong:
            print(f"       {line}")
    print(f"{len(config.tests) - failed} passed, {failed} failed")
    return 1 if failed else 0
