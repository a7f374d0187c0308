"""`sidecar agents`: the agents of this machine, and how to remove one that the Hub added."""

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from sidecar.cli.recorded import a_name, common, configured, failed
from sidecar.cli.running import LONG_TIMEOUT, NotRunning, Refused, ask
from sidecar.cli.screen import show
from sidecar.cli.table import NOTHING, Table, one_line
from sidecar.config.model import Channel, Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = common()
    actions.add_parser("list", parents=[shared], help="all agents, and who added each")
    summary = "remove an agent that the control plane added, with its credentials and sessions"
    forget = actions.add_parser("forget", parents=[shared], help=summary)
    forget.add_argument("target", type=a_name, metavar="AGENT", help="the id of the agent")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 when it cannot be done, 2 for a config that cannot be read."""
    if arguments.action == "list":
        return _list(arguments)
    return _forget(arguments)


def _forget(arguments: argparse.Namespace) -> int:
    config, agent = configured(arguments), arguments.target
    if config is None:
        return 2
    try:
        done = ask(config, f"POST /-/agents/{quote(agent, safe='')}/forget", timeout=LONG_TIMEOUT)
    except Refused as error:
        return failed(str(error))
    except NotRunning:
        refusal = _forget_at_rest(config, agent)
        if refusal:
            return failed(refusal)
        done = {"agentId": agent, "removed": True}
    print(json.dumps(done) if arguments.json else f"agent {agent} is forgotten")
    return 0


def _forget_at_rest(config: Config, agent: str) -> str:
    """Remove an agent while no sidecar runs, whose next start deletes what is left of it; why that
    cannot be, empty when it is done."""
    from sidecar.codecs.hub.botcord import is_safe_id
    from sidecar.core.managed import is_users, without_agent
    from sidecar.errors import JournalError
    from sidecar.store.lock import StateLock
    from sidecar.store.managed import ManagedFiles, ManagedUnusable, Unfinished

    files = ManagedFiles(config.state.dir, lambda before, after: None)
    try:
        with StateLock(config.state.dir):
            managed = files.read()
            left = is_safe_id(agent) and files.credentials(agent).exists()
            users = is_users(config.channels, agent, files.credentials(agent))
            if agent not in managed.channels and (users or not left):
                return f"{agent} is not an agent of the control plane"
            if not users:
                files.begin(Unfinished("remove", agent, credentials=True, state=True))
            files.write(without_agent(managed, agent))
            if users:
                return f"{agent} is in the config of this machine's user"
            files.delete_credentials(agent)
    except (JournalError, ManagedUnusable, OSError) as error:
        return str(error)
    return ""


def _list(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    if config is None:
        return 2
    running = _channels(config)
    if running is None:
        running = _found(config)
    found = [_told(name, channel, running) for name, channel in config.channels.items()]
    known = {one["channel"] for one in found}
    found += [
        {"channel": name, "agent": one["account"] or name, "by": "discovery", "state": one["state"]}
        for name, one in running.items()
        if name not in known
    ]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [
        (one_line(one["agent"]), one_line(one["channel"]), one["by"], one["state"] or NOTHING)
        for one in found
    ]
    show([Table(("AGENT", "CHANNEL", "ADDED BY", "STATE"), rows)])
    return 0


def _channels(config: Config) -> dict[str, Any] | None:
    """The channels of the running sidecar; None where none runs."""
    try:
        found: dict[str, Any] = ask(config, "GET /status")["channels"]
    except (NotRunning, Refused):
        return None
    return found


def _found(config: Config) -> dict[str, Any]:
    """The channels that a sidecar would find in the folder of the config. Files that it would
    leave out are told on standard error."""
    if config.discovery.botcord_credentials_dir is None:
        return {}
    from sidecar.app.connecting.discovery import channels_now  # which takes a while to import

    found, warnings = channels_now(config)
    for warning in warnings:
        print(f"sidecar: {warning}", file=sys.stderr)
    names = found.keys() - config.channels.keys()
    return {name: {"account": name, "state": None} for name in sorted(names)}


def _told(name: str, channel: Channel, running: dict[str, Any]) -> dict[str, Any]:
    return {
        "channel": name,
        "agent": str(channel.options.get("agent") or name),
        "by": "control plane" if channel.managed else "config",
        "state": running.get(name, {}).get("state"),
    }
