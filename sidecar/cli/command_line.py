"""The parser of the command line: what is wrong is told with what would be right."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class CommandLine(argparse.ArgumentParser):
    """A parser of a command. Where a word of several has to follow, nothing is answered with the
    help, and another word with the one that was meant. What a command does not know is told with
    the usage of that command."""

    _words: Any = None

    def add_subparsers(self, **told: Any) -> Any:
        """Have one of several words follow: commands, or the actions of one."""
        self._words = super().add_subparsers(**told)
        return self._words

    def parse_known_args(  # type: ignore[override]  # the namespace is always argparse's own
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what follows the command; whatever is unknown is an error, which ends the
        process."""
        given = list(sys.argv[1:] if args is None else args)
        if self._words is not None:
            self._check(given)
        found, unknown = super().parse_known_args(given, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _check(self, given: Sequence[str]) -> None:
        """End the process where it is no known word that follows, but for an option."""
        if not given:
            self.print_help(sys.stderr)
            self.exit(2)
        word, known = given[0], self._words.choices
        if not word.startswith("-") and word not in known:
            from sidecar.config.problems import near

            hint = near(word, known) or f"see `{self.prog} --help`"
            self.error(f"{word!r} is no {self._words.metavar.lower()}: {hint}")


def sentence(summary: str) -> str:
    """What a list of commands says of one, as the help of that command says it."""
    return f"{summary[0].upper()}{summary[1:]}."
