"""`sidecar test`: whether messages become what the `tests` of a config expect. Runs offline."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.config_file import add_config, readable, show
from sidecar.cli.screen import wants_colours

if TYPE_CHECKING:
    from sidecar.app.authoring.testing import Coverage, Reached, Result

_GREEN, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--update", action="store_true", help="write the snapshots anew")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")


def run(arguments: argparse.Namespace) -> int:
    """Print each test's result; 1 when one fails or there is none, 2 for an invalid config or file
    of tests."""
    from sidecar.app.authoring.testfiles import cases
    from sidecar.app.authoring.testing import coverage, run
    from sidecar.app.checking.check import check

    config = readable(check(arguments.config))
    if config is None:
        return 2
    found = cases(arguments.config, config)
    show(found.problems, found.sources)
    if found.problems:
        return 2
    results = []
    for result in run(config, found.cases, update=arguments.update):
        results.append(result)
        _print(result)
    failed = sum(bool(result.mistakes) for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    if results:
        _print_coverage(coverage(config, results))
    else:
        told = "there are no tests: `tests` of the config holds them, or `*.test.yaml` beside it"
        print(f"sidecar: {told}", file=sys.stderr)
    if arguments.junit is not None and not _write(arguments.junit, results):
        return 2
    return 1 if failed or not results else 0


def _print(result: "Result") -> None:
    told = _tinted("FAILED ", _RED) if result.mistakes else _tinted("ok     ", _GREEN)
    print(f"{told}{result.case.name}")
    for mistake in result.mistakes:
        for line in mistake.splitlines():
            tint = {"-": _RED, "+": _GREEN}.get(line[:1], "")
            print(f"       {_tinted(line, tint)}".rstrip())


def _print_coverage(found: "Coverage") -> None:
    for what, parts in (("routes", found.routes), ("template blocks", found.blocks)):
        if parts:
            print(_tinted(_reached(what, parts), _DIM))


def _reached(what: str, parts: "Sequence[Reached]") -> str:
    missing = [part.name for part in parts if not part.reached]
    told = f"; no test reaches {', '.join(missing)}" if missing else ""
    return f"{what}: {len(parts) - len(missing)} of {len(parts)} reached{told}"


def _write(path: Path, results: "Sequence[Result]") -> bool:
    from sidecar.cli.junit import junit

    try:
        path.write_text(junit(results), "utf-8")
    except OSError as error:
        print(f"sidecar: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True


def _tinted(text: str, tint: str) -> str:
    coloured = tint and wants_colours(sys.stdout)
    return f"{tint}{text}{_PLAIN}" if coloured else text
