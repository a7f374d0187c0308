"""`sidecar run`: run the sidecar until it is told to stop."""

import argparse
import sys
import threading
from importlib import import_module
from pathlib import Path

from sidecar.app.checking.candidate import NO_MEMORY, Candidate
from sidecar.app.checking.load import Loading
from sidecar.app.lifecycle.hangup import Hangup
from sidecar.app.lifecycle.heap import leave_out, share_one_heap
from sidecar.cli.config_file import add_config, show
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
    hangup = Hangup()
    hangup.listen()
    share_one_heap()
    leave_out()
    loading = Loading(arguments.config)
    # It reads the certificates of the system, for 60 ms, in which others can go on.
    threading.Thread(target=import_module, args=("aiohttp",), name="imports").start()
    from sidecar.app.process import serve  # takes a while, as the check does

    candidate = loading.wait()
    path, config = arguments.config, candidate.config
    if config is None:
        return _without(path, candidate, hangup, fall_back=arguments.fallback_last_good)
    return serve(path, config, candidate.inputs, candidate.memory, candidate.problems, hangup)


def _without(path: Path, candidate: Candidate, hangup: Hangup, *, fall_back: bool) -> int:
    """Do what can be done with an invalid config."""
    from sidecar.app.checking.system import MachineSystem
    from sidecar.app.lifecycle.termination import leave
    from sidecar.app.process import serve
    from sidecar.app.reloading.last_good import recall
    from sidecar.app.watching.digests import digests
    from sidecar.config.system import usual_state_dir
    from sidecar.errors import NoLastGood

    told, missing = render_text(candidate.problems, candidate.sources), ""
    if fall_back:
        draft = candidate.draft
        state = usual_state_dir(MachineSystem()) if draft is None else draft.state.dir
        try:
            config, files = recall(state, path)
        except NoLastGood as error:
            missing = f"there is nothing to fall back to: {error}"
        else:
            # Credentials that are replaced are to be used before the file is mended.
            inputs = {**digests(files), **candidate.inputs}
            return serve(path, config, inputs, NO_MEMORY, candidate.problems, hangup)
    show(candidate.problems, candidate.sources)
    if missing:
        print(f"sidecar: {missing}", file=sys.stderr)
    leave("\n".join(filter(None, [told, missing])) + "\n")
    return 2
