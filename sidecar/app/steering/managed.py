"""Changes of what the control plane set: written, applied as a save is, or taken back."""

import asyncio
from collections.abc import Callable

from sidecar.app.reloading.reload import Reloader
from sidecar.config.model import Config
from sidecar.core.managed import Managed
from sidecar.errors import ControlRefused
from sidecar.store.managed import ManagedFiles, ManagedUnusable

TRIGGER = "control plane"
"""What the reload of such a change is called."""

Edit = Callable[[Managed], Managed]
Adopt = Callable[[Config], Config]
Check = Callable[[Config], bool]


class ManagedLayer:
    """The layer in `files`; `reloader` makes what runs follow it."""

    def __init__(self, files: ManagedFiles, reloader: Reloader) -> None:
        self._files = files
        self._reloader = reloader

    async def read(self) -> Managed:
        """What it holds. Raises ControlRefused where that cannot be read."""
        try:
            return await asyncio.to_thread(self._files.read)
        except (ManagedUnusable, OSError) as error:
            raise ControlRefused("state_unusable", str(error)) from error

    async def change(self, edit: Edit, holds: Check, otherwise: Adopt | None = None) -> None:
        """Change it and apply that. `holds` tells of a configuration whether it has taken effect;
        `otherwise` makes it do so while the user's own config cannot be loaded.

        Raises:
            ControlRefused: it has not, and everything is as it was before.
        """
        before = await self.read()
        after = edit(before)
        if after == before and holds(self._reloader.snapshot.config):
            return
        await self._write(after)
        outcome = await self._reloader.reload(TRIGGER)
        if outcome.result == "rejected" and otherwise is not None:
            outcome = await self._reloader.adopt(TRIGGER, otherwise)
        taken = outcome.result != "rejected"
        if taken and holds(self._reloader.snapshot.config):
            return
        reasons = outcome.problems or self._reloader.left_out or ("the config leaves it out",)
        await self._write(before)
        if taken:
            await self._reloader.reload(TRIGGER)
        raise ControlRefused("config_refused", reasons[0])

    async def _write(self, managed: Managed) -> None:
        try:
            await asyncio.to_thread(self._files.write, managed)
        except OSError as error:
            raise ControlRefused("state_unusable", str(error)) from error
