"""What a person at the terminal asks of the control plane: an agent more, or one less."""

from collections.abc import Mapping, Sequence

from sidecar.devhub import accounts
from sidecar.devhub.hub import DevHub

HELP = """\
  /provision NAME          add an agent to the sidecar, as a Hub does
  /revoke NAME             take it away again"""


async def steer(hub: DevHub, words: Sequence[str]) -> str | None:
    """Do what a line says, and tell what came of it; None when it says something else."""
    try:
        match words:
            case ["/provision", name]:
                ack = await hub.provision(name)
            case ["/revoke", name]:
                agent = _agent(hub, name)
                ack = await hub.control.ask("revoke_agent", {"agentId": agent})
                if ack["ok"] and agent in hub.state.agents:
                    accounts.retire(hub.state, hub.state.agents[agent])
            case ["/provision" | "/revoke" as command, *_]:
                return f"Give one name: {command} NAME"
            case _:
                return None
    except (ValueError, TimeoutError) as error:
        return f"Not done: {str(error) or 'there is no answer'}."
    return _told(ack)


def _told(ack: Mapping[str, object]) -> str:
    if ack["ok"]:
        result = ack.get("result")
        return f"Done: {result['agentId'] if isinstance(result, dict) else result}"
    error = ack.get("error")
    return f"Refused: {error['message'] if isinstance(error, dict) else error}"


def _agent(hub: DevHub, name: str) -> str:
    """The id of an agent that is known by this name or id; else the text itself."""
    agents = hub.state.agents.values()
    return next((one.id for one in agents if name in (one.id, one.name)), name)
