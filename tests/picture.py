"""Prints what a process finds around itself."""

import atexit
import gc
import json
import os
import resource
import signal
import sys
import threading
import warnings
from pathlib import Path

if sys.argv[1:] == ["exit"]:
    raise SystemExit(7)
if sys.argv[1:] == ["leave"]:

    def wait() -> None:
        threading.main_thread().join()
        sys.stdout.write("waited for\n")

    threading.Thread(target=wait).start()
    atexit.register(sys.stdout.write, "called at the end\n")
    circle: list[object] = [Path(__file__).open("rb")]  # noqa: SIM115 -- which is told
    circle.append(circle)
    del circle
    raise SystemExit
if sys.argv[1:] == ["wait"]:
    sys.stdout.write("waits")
    sys.stdout.flush()
    signal.pause()

sys.stdout.write(
    json.dumps(
        {
            "arguments": sys.argv,
            "path": sys.path,
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "nothing to read": sys.stdin.read(),
            "streams": [
                [each.encoding, each.errors, each.line_buffering, each.write_through]
                for each in (sys.stdin, sys.stdout, sys.stderr)
            ],
            "signals": {
                name: str(signal.getsignal(name)).partition(" at 0x")[0]
                for name in signal.valid_signals()
            },
            "blocked": str(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "warnings": [str(one) for one in warnings.filters],
            "warn options": sys.warnoptions,
            "threads": threading.active_count(),
            "main thread": threading.current_thread() is threading.main_thread(),
            "collecting": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
            "group": [os.getpgrp(), os.getsid(0)],
            "limits": [resource.getrlimit(each) for each in range(resource.RLIMIT_NOFILE + 1)],
            "mask": os.umask(0),
            "nice": os.nice(0),
            "name": __name__,
            "switching": sys.getswitchinterval(),
        }
    )
)
