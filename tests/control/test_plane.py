"""A link that follows the configuration."""

import asyncio
from pathlib import Path

from sidecar.api import Host
from sidecar.app.steering.control_plane import ControlPlane
from sidecar.config.model import ControlPlane as Wanted
from sidecar.devhub import DevHub
from sidecar.store.journal import Journal
from tests.control.conftest import Acted
from tests.patience import PATIENCE, until


async def test_a_frame_under_way_is_answered_before_its_link_is_replaced(
    hub: DevHub, host: Host, journal: Journal, login: Path, acted: Acted
) -> None:
    plane = ControlPlane(host, journal)
    plane.obey(acted, lambda: None)
    keys = (hub.control.public_key,)
    plane.use(Wanted(enabled=True, credentials=login, label="one", public_keys=keys))
    running = host.spawn(plane.run(), "plane")
    instance = next(iter(hub.control.instances.values()))
    await until(lambda: acted.frames)  # the greeting
    acted.go.clear()
    asking = asyncio.ensure_future(hub.control.ask("set_route", timeout=PATIENCE))  # noqa: TID251 -- in a test
    await until(lambda: acted.types)
    plane.use(Wanted(enabled=True, credentials=login, label="two", public_keys=keys))
    await until(lambda: not plane._changed.is_set())
    for _ in range(50):  # in which a link that waits for nobody would be gone
        await asyncio.sleep(0)
    acted.go.set()
    assert (await asking)["ok"] is True
    await until(lambda: instance.labels == ["one", "two"])
    await until(lambda: instance.socket is not None and plane.status.state == "connected")
    plane.use(Wanted(True, login, "two", keys, roots=(login.parent,)))
    assert (await hub.control.ask("set_route", timeout=PATIENCE))["ok"] is True
    assert instance.labels == ["one", "two"]
    running.cancel()
    await asyncio.wait([running])
