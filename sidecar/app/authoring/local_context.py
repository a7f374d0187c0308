"""The context that this machine tells without a sidecar that runs: the memory and the checkout."""

from collections.abc import Collection, Mapping
from pathlib import Path

from sidecar.app.turns.tools import has_memory_tools
from sidecar.config.model import Config, Route
from sidecar.contexts import repo
from sidecar.contexts.memory import shown
from sidecar.contexts.memory_file import memory_file
from sidecar.core.memory import Memory
from sidecar.model import Message, Trust
from sidecar.store.workspace import workspace_of


class Local:
    """What the agents of a config would be told, that keep what they note in the folder `state`."""

    def __init__(self, config: Config, state: Path) -> None:
        self._config = config
        self._state = state

    def look_up(
        self, names: Collection[str], route: Route, message: Message, trust: Trust
    ) -> Mapping[str, object]:
        """What there is of the named contexts. Blocks; no file is changed.

        Raises:
            MemoryUnavailable: the memory cannot be read.
            ValueError: the account cannot have a folder.
            subprocess.TimeoutExpired: git takes too long.
        """
        found: dict[str, object] = {}
        if "memory" in names and self._config.context.working_memory:
            memory = memory_file(self._state, message.account).peek() or Memory()
            found["memory"] = shown(memory, tool=has_memory_tools(self._config, route, trust))
        if "repo" in names:
            found["repo"] = repo.look(route.cwd or workspace_of(self._state, message.account))
        return found
