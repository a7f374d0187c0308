"""What a BotCord daemon took from its machine, not from its config: the login, the environment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.config.building.control_keys import environment_keys, public_key
from sidecar.config.model import LOGIN_FILE
from sidecar.config.rewriting.imported_rules import Import

PROGRAMS = {"claude-code": "BOTCORD_CLAUDE_BIN", "codex": "BOTCORD_CODEX_BIN"}
"""The variables that named the program of an adapter."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent's credentials file says of its work; empty is nothing."""

    runtime: str = ""
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What an import has to know of the machine.

    `agents` are by id, as far as their credentials files can be read, and `unread` tells of those
    that cannot. `is_dir` tells whether an absolute path, or one that begins with `~/`, is a folder.
    `login` tells why the user's login cannot be used; it is empty when it can be, None without one.
    """

    agents: Mapping[str, Agent] = field(default_factory=dict)
    unread: Sequence[str] = ()
    is_dir: Callable[[str], bool] = lambda _: False
    env: Mapping[str, str] = field(default_factory=dict)
    login: str | None = None


def control_plane(work: Import, machine: Machine) -> dict[str, Any]:
    """The part `control_plane`; empty where the daemon had none, too."""
    name, keys = environment_keys(machine.env)
    if machine.login is None:
        work.tell(LOGIN_FILE, "is not there: control_plane stays off; `sidecar login` makes it")
        return {}
    if problem := machine.login or _unusable(name, keys):
        told = "control_plane.enabled: false, as the login is of no use yet; mend it, then set true"
        work.tell(LOGIN_FILE, f"{told}: {problem}")
        return {"enabled": False}
    work.tell(LOGIN_FILE, "control_plane: the daemon always used it")
    added = "its pages cannot remove them any more (not_managed)"
    work.tell(LOGIN_FILE, f"agents that the Hub had added are those of your config now: {added}")
    if keys:
        work.tell(name, "counts as before, where the sidecar has it in its environment, too")
    else:
        told = "ask who runs the Hub; until one is named all that the Hub asks for is refused"
        work.tell("(public key)", f"control_plane.public_keys: there is none built in; {told}")
    return {"enabled": True}


def _unusable(name: str, keys: Sequence[str]) -> str:
    try:
        for key in keys:
            public_key(key)
    except ValueError as error:
        return f"{name}: {error}"
    return ""


def environment(work: Import, machine: Machine) -> None:
    """Have runtimes use the programs that variables named, and tell what else is different."""
    for adapter, variable in PROGRAMS.items():
        if adapter in work.runtimes:
            key = f"runtimes.{adapter}.command"
            if program := machine.env.get(variable):
                work.runtimes[adapter]["command"] = program
                work.tell(variable, f"{key}; the variable itself is not read any more")
            else:
                work.tell(variable, f"is not set here, and not read any more: see {key}")
    told = "not all of the daemon's: name what they need in runtimes.*.inherit_env"
    work.tell("(environment)", f"agents get a few variables, {told}")
    if "codex" in work.runtimes:
        work.tell("(codex)", "agents share your own CODEX_HOME, where the daemon had one for each")
    told = "others than you are public, unless channels.*.grant trusts them more"
    work.tell("(trust)", f"no route trusts a turn more than its sender: {told}")
    work.tell("(sessions)", "not taken over: each conversation begins anew")
