"""What holds for every test: blocking calls on the event loop are errors, settings stay outside."""

import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

# Nobody here trusts the certificates of the system, whose reading takes each process a while.
os.environ["SSL_CERT_FILE"] = os.devnull
# Without bytecode that is kept, each of the many processes would compile all modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In the background and under nohup, they and what they start would ignore some signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Properties fail for what they find, not for the time that a busy machine takes to make it up, and
# find the same each time: other examples are made up by `make chaos`.
settings.register_profile(
    "any",
    deadline=None,
    derandomize="PROOFS_MINUTES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is there to the end: thousands of tests and all modules."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    with blockbuster_ctx("sidecar") as found:
        # Starting a child waits for its exec, about 0.2 ms: less than a hop to a thread costs.
        for name in ("os.read", "io.BufferedReader.read"):
            if name in found.functions:
                found.functions[name].can_block_in(
                    "sidecar/runtimes/processes/process.py", {"spawn"}
                )
        if "os.stat" in found.functions:
            found.functions["os.stat"].can_block_in("sidecar/contexts/memory.py", {"_signature"})
        yield found


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SIDECAR_", "BOTCORD_", "ANTHROPIC_", "CLAUDE_", "CODEX_", "GEMINI_")):
            monkeypatch.delenv(name)
