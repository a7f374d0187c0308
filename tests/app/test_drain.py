"""How long turns may go on when the sidecar is told to stop."""

from typing import Any

import pytest

from sidecar.app.connecting.channels import Channels
from sidecar.app.drain import drain
from sidecar.config.model import Limits
from sidecar.store.names import Names


@pytest.mark.parametrize(
    ("stop_grace", "most"), [(10.0, 50.0), (50.0, 30.0)], ids=["a short grace", "a long grace"]
)
async def test_an_agent_that_does_not_end_is_cut_early_enough_to_take_its_grace(
    rig: Any, stop_grace: float, most: float
) -> None:
    given: list[float] = []

    async def note(seconds: float) -> None:
        given.append(seconds)

    rig.dispatcher.drain = note
    channels = Channels(rig.intake.accept, lambda _: None, rig.supervisor.spawn, Names())  # type: ignore[arg-type, return-value]
    limits = Limits(stop_grace=stop_grace, drain_timeout=60.0)
    await drain(limits, channels, rig.dispatcher, rig.outbox)
    [seconds] = given
    assert 0.0 <= seconds <= most == limits.turns_drain
