"""The tools that a turn's agent is given beside its own."""

from sidecar.app.turns.work import Running, Work
from sidecar.config.model import Config, Route
from sidecar.contexts.memory import tool_server
from sidecar.model import ToolServer, Trust
from sidecar.plugins import runtime_type


def tool_servers(work: Work, running: Running) -> tuple[ToolServer, ...]:
    """The servers of a turn: that of the working memory, where it is in use and the runtime takes
    tools. A public turn only reads the memory, in its prompt: a stranger writes nothing into it.
    """
    if not has_memory_tools(running.snapshot.config, work.route, work.trust):
        return ()
    return (tool_server(work.state, work.newest.account),)


def has_memory_tools(config: Config, route: Route, trust: Trust) -> bool:
    """Whether the agent of a turn can change its memory."""
    if trust == "public" or not config.context.working_memory:
        return False
    return runtime_type(config.runtimes[route.runtime].type).takes_tools
