"""Work in forks of a process: nothing is lost or doubled, whatever becomes of a fork.

Each runs in a process of its own, as only one without other threads may fork.
"""

import subprocess
import sys

PROGRAM = """
import os
from sidecar.app.checking import forks
forks._processors = lambda: 3
begun = os.getpid()
def work(share):
    {first}
    return os.getpid() == begun, share
told = forks.in_forks(work, list(range({count})))
print(len(told), sorted(one for _, share in told for one in share) == list(range({count})))
print([here for here, _ in told].count(True))
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no child is left")
"""


def told(count: int, first: str = "pass") -> list[str]:
    program = PROGRAM.format(count=count, first=first)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


def test_many_items_are_shared_out_and_few_are_not() -> None:
    assert told(1000) == ["3 True", "1", "no child is left"]
    assert told(60) == ["1 True", "1", "no child is left"]
    assert told(0) == ["1 True", "1", "no child is left"]


def test_what_a_fork_fails_at_is_left_out() -> None:
    here = ["1 False", "1", "no child is left"]
    assert told(1000, "if os.getpid() != begun: raise ValueError") == here
    assert told(1000, "if os.getpid() != begun: os.kill(os.getpid(), 9)") == here
