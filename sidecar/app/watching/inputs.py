"""The files that are watched: those of what is in force, and those of what was saved last."""

import asyncio

from sidecar.app.watching.digests import Digests, digests


class Inputs:
    """The files whose content matters, in `watched` with what was found in them; first those of
    the configuration that is in force."""

    def __init__(self, first: Digests) -> None:
        self.watched = first
        self._in_force = self._found = first

    async def take(self, found: Digests, *, complete: bool = True) -> None:
        """Watch the files that a check named, with what it found in them.

        Those of what is in force stay, as they are now: credentials that are replaced are to be
        used, whatever is saved. After a check that was not `complete`, all others stay too.
        """
        kept = (self._in_force if complete else self.watched).keys() - found.keys()
        held = await asyncio.to_thread(digests, kept) if kept else {}
        self.watched = {**held, **found}
        self._found = found

    def use(self, *, all_of_it: bool) -> None:
        """What was taken last is in force; if not `all_of_it`, with parts of what was before."""
        if all_of_it:
            self.watched = self._found
        self._in_force = self.watched
