import asyncio

from sidecar.app.lifecycle.supervisor import Supervisor
from tests.patience import PATIENCE


async def test_work_without_an_end_goes_on_after_a_failure() -> None:
    supervisor = Supervisor()
    runs = 0
    third = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()
        raise OSError("cut")

    task = supervisor.keep(work, "work", pause=0.0)
    async with asyncio.timeout(PATIENCE):
        await third.wait()
    await supervisor.close()
    assert task.cancelled()
