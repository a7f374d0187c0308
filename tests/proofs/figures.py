"""What a running sidecar takes of its machine."""

import os
import re
import signal
from pathlib import Path

from tests.proofs.conftest import Proof


async def figures(proof: Proof) -> dict[str, int]:
    """The memory in bytes, the descriptors, threads and tasks of a sidecar."""
    assert proof.process is not None
    process, before = Path(f"/proc/{proof.process.pid}"), proof.log.stat().st_size

    def told() -> list[str]:
        with proof.log.open() as log:
            log.seek(before)
            return re.findall(r"tasks: (\d+)\n", log.read())

    os.kill(proof.process.pid, signal.SIGUSR1)
    await proof.until(told)
    status = (process / "status").read_text()
    return {
        "rss": int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024,
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": int(re.findall(r"Threads:\s+(\d+)", status)[0]),
        "tasks": int(told()[-1]),
    }
