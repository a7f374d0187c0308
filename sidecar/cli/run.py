"""`sidecar run`: run the sidecar until it is told to stop."""

import argparse
import sys
import threading
from importlib import import_module
from pathlib import Path

from sidecar.app.candidate import NO_MEMORY, Candidate
from sidecar.app.heap import leave_out, share_one_heap
from sidecar.app.load import Loading
from sidecar.cli.config_file import add_config, usable
from sidecar.config.problems import render_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument(
        "--fallback-last-good",
        action="store_true",
        help="start with the config that was in force last when the file is invalid",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it; 2 for an invalid config, 1 when it cannot start."""
    share_one_heap()
    leave_out()
    loading = Loading(arguments.config)
    # It reads the certificates of the system, for 60 ms, in which others can go on.
    threading.Thread(target=import_module, args=("aiohttp",), name="imports").start()
    from sidecar.app.process import serve  # takes a while, as the check does

    candidate = loading.wait()
    config = usable(candidate)
    if config is not None:
        return serve(arguments.config, config, candidate.inputs, candidate.memory)
    return _without(arguments.config, candidate, fall_back=arguments.fallback_last_good)


def _without(path: Path, candidate: Candidate, *, fall_back: bool) -> int:
    """Do what can be done with an invalid config."""
    from sidecar.app.last_good import recall
    from sidecar.app.outcome import error_lines
    from sidecar.app.process import serve
    from sidecar.app.system import MachineSystem
    from sidecar.app.termination import leave
    from sidecar.config.system import usual_state_dir
    from sidecar.errors import NoLastGood

    told = render_text(candidate.problems, candidate.sources)
    if fall_back:
        draft = candidate.draft
        state = usual_state_dir(MachineSystem()) if draft is None else draft.state.dir
        try:
            config = recall(state, path)
        except NoLastGood as error:
            print(f"sidecar: there is nothing to fall back to: {error}", file=sys.stderr)
            told += f"\nthere is nothing to fall back to: {error}"
        else:
            rejected = error_lines(candidate.problems)
            return serve(path, config, candidate.inputs, NO_MEMORY, rejected)
    leave(f"{told}\n")
    return 2
