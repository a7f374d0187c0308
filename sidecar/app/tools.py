"""The tools that a turn's agent is given beside its own."""

from sidecar.app.work import Running, Work
from sidecar.contexts.memory import tool_server
from sidecar.model import ToolServer
from sidecar.plugins import runtime_type


def tool_servers(work: Work, running: Running) -> tuple[ToolServer, ...]:
    """The servers of a turn: that of the working memory, where it is in use and the runtime takes
    tools. A public turn only reads the memory, in its prompt: a stranger writes nothing into it.
    """
    config = running.snapshot.config
    if work.trust == "public" or not config.context.working_memory:
        return ()
    if not runtime_type(running.use.config.type).takes_tools:
        return ()
    return (tool_server(config.state.dir, work.newest.account),)
