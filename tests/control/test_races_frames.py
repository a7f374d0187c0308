"""Frames that wait while the link is to be closed."""

import time
from typing import Any

from sidecar.api import Host
from sidecar.devhub import DevHub
from sidecar.store.journal import Journal
from tests.control.conftest import Acted
from tests.control.test_frames import frames_of, stop, text_of
from tests.patience import until


async def test_a_link_is_not_idle_while_a_frame_waits(
    hub: DevHub, host: Host, journal: Journal, acted: Acted
) -> None:
    sent: list[Any] = []
    frames = frames_of(hub, host, journal, sent, time.monotonic)
    answered: list[int] = []

    async def idle() -> None:
        await frames.idle.wait()
        answered.append(len(sent))

    acted.go.clear()
    await frames.take(text_of(hub, "set_route", "one"))
    assert not frames.idle.is_set()
    await frames.take(text_of(hub, "set_route", "two"))
    closing = host.spawn(idle(), "closing")
    task = host.spawn(frames.run(acted), "frames")
    await until(lambda: acted.types)
    acted.go.set()
    await closing
    assert answered == [2]
    await stop(task)
