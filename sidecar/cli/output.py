"""Standard output that cannot take what a command prints: full, gone, or of another encoding."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


def printing(command: Callable[[], int]) -> int:
    """The exit code of a command that prints; 1 where standard output does not take all of it.

    That is told, but for a reader who has seen enough and has gone. What cannot be encoded is
    printed as `?`, and nothing to an output that whoever started the command has closed.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    failure: BaseException | None = None
    code = 1
    try:
        code = command()
    except (OSError, SystemExit) as error:  # argparse exits, after it has printed a help
        failure = error
    if (refusal := _refusal(failure)) is not None:
        with _nowhere() as nowhere:  # for what is still buffered
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if not isinstance(refusal, BrokenPipeError):
            with suppress(OSError):  # the same terminal has gone: nobody is there to be told
                print(f"sidecar: standard output: {refusal.strerror}", file=sys.stderr)
        return 1
    if failure is not None:
        raise failure
    return code


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _refusal(failure: BaseException | None) -> OSError | None:
    """Why standard output takes no more, if it does not. It is tried where a command failed: what
    it refused may be in no buffer any more."""
    try:
        if isinstance(failure, OSError):
            print()
        sys.stdout.flush()
    except OSError as error:
        return error
    return None
