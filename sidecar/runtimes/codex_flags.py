"""The flags of `codex exec` for a turn: what each level of trust may do, and what args override.

Measured with version 0.169, which asks nobody: what is not allowed is refused at once. It exits
when a feature or a flag is unknown to it, and when one that may be given once is given twice. The
sandbox of a thread is not remembered: each turn that resumes it is given its own.
"""

from collections.abc import Iterable, Iterator, Sequence

from sidecar.model import ToolServer, Trust
from sidecar.runtimes.flags import Flag
from sidecar.runtimes.tool_servers import as_settings

_SANDBOX = "--sandbox"
_EVERY_TURN: tuple[Flag, ...] = (
    ("--json",),
    ("--skip-git-repo-check",),
    # A host that cannot be reached would keep the process for seconds after the turn.
    ("--config", "analytics.enabled=false"),
    # Without a network, it would try again for ever.
    ("--config", "features.unbounded_connection_retries=false"),
)
_ALONE: tuple[Flag, ...] = (
    # Servers whose tools the user's settings allow, and commands that they let out of the sandbox.
    ("--ignore-user-config",),
    ("--ignore-rules",),
    ("--config", 'web_search="disabled"'),
)
_NO_KEYS: Flag = ("--config", 'shell_environment_policy.inherit="core"')
"""Commands do not see the key of the model's API."""
_TOOLS = (
    "shell_tool",
    "unified_exec",
    "code_mode_host",
    "view_image",
    "multi_agent",
    "apps",
    "plugins",
    "goals",
    "tool_suggest",
    "skill_search",
    "image_generation",
    "browser_use",
    "computer_use",
)
"""Features without which no tool is left but `apply_patch`, which the sandbox refuses: a shell in
any sandbox reads whatever the user can read."""
_NO_AGENTS: Flag = ("--config", "agents.enabled=false")

_LONG = {"-c": "--config", "-m": "--model", "-s": _SANDBOX, "-p": "--profile", "-C": "--cd"}
_VALUED = frozenset({*_LONG.values(), "--enable", "--disable", "--add-dir", "--color"})
"""Flags that take the next argument as their value, as far as it matters here."""
_REPEATED = frozenset({"--config", "--enable", "--disable", "--add-dir", "-i", "--image"})
"""Flags that may be given several times."""
_OTHER_SANDBOX = frozenset(
    {
        "--dangerously-bypass-approvals-and-sandbox",
        "--yolo",
        "--approve-for-me",
        "sandbox_mode",
        "default_permissions",
    }
)
"""Flags and keys of the configuration that take the place of `--sandbox`."""


def choices(model: str | None, effort: str | None) -> list[Flag]:
    """The flags of a model and of how much it reasons."""
    flags: list[Flag] = [] if model is None else [("--model", model)]
    if effort is not None:
        flags.append(("--config", f'model_reasoning_effort="{effort}"'))
    return flags


def tools(servers: Iterable[ToolServer]) -> list[Flag]:
    """The flags of tool servers: beside the user's own ones, where those are used."""
    return [("--config", setting) for server in servers for setting in as_settings(server)]


def arguments(trust: Trust, theirs: Sequence[str], chosen: Sequence[Flag] = ()) -> list[str]:
    """Our flags for a level of trust and those that are `chosen`, without those that are
    overridden, and the operator's.

    All of them belong in front of the subcommand `resume`, which does not know them all.
    """
    given = list(_flags(theirs))
    names = {_name(flag) for flag in given} | {_key(flag) for flag in given}
    if names & _OTHER_SANDBOX:
        names.add(_SANDBOX)
    enabled = {flag[1] for flag in given if flag[0] == "--enable"}
    ours = [
        flag
        for flag in (*_EVERY_TURN, *_tier(trust), *chosen)
        if (_name(flag) in _REPEATED or _name(flag) not in names)
        and not (flag[0] == "--disable" and flag[1] in enabled)
    ]
    return [part for flag in (*ours, *_once(given)) for part in flag]


def server_arguments(
    trust: Trust, theirs: Sequence[str], chosen: Sequence[Flag] = ()
) -> list[str] | None:
    """The arguments of `codex app-server` with which it is as `codex exec` with `arguments`.

    None where there are none: it is known to take settings, but not that it leaves out those of
    the user, so that it is for owners only; and another sandbox is not asked for.
    """
    flags = list(_flags(arguments(trust, theirs, chosen)))
    if trust != "owner" or (_SANDBOX, "danger-full-access") not in flags:
        return None
    settings: list[str] = []
    for flag in flags:
        match flag:
            case "--config", setting:
                settings += ("--config", setting)
            case "--model", name:
                settings += ("--config", f'model="{name}"')
            case ("--sandbox", _) | ("--json",) | ("--skip-git-repo-check",):
                pass
            case _:
                return None
    return settings


def _tier(trust: Trust) -> tuple[Flag, ...]:
    match trust:
        case "owner":
            return ((_SANDBOX, "danger-full-access"),)
        case "trusted":
            return ((_SANDBOX, "workspace-write"), *_ALONE, _NO_KEYS)
        case "public":
            nothing = (("--disable", tool) for tool in _TOOLS)
            return ((_SANDBOX, "read-only"), *_ALONE, *nothing, _NO_AGENTS)


def _flags(theirs: Iterable[str]) -> Iterator[Flag]:
    """The arguments as flags with their values, by their long names."""
    rest = iter(theirs)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument[:2] in _LONG and len(argument) > 2:  # -cKEY=VALUE, -s=MODE
            yield _LONG[argument[:2]], argument[2:].removeprefix("=")
        elif (long := _LONG.get(name, name)) not in _VALUED:
            yield (argument,)
        elif equals:
            yield long, value
        else:
            yield long, next(rest, "")


def _once(flags: Sequence[Flag]) -> list[Flag]:
    """The flags, of those that may be given once only the last."""
    last = {_name(flag): index for index, flag in enumerate(flags)}
    return [
        flag
        for index, flag in enumerate(flags)
        if _name(flag) in _REPEATED or not flag[0].startswith("-") or last[_name(flag)] == index
    ]


def _name(flag: Flag) -> str:
    return flag[0].partition("=")[0]


def _key(flag: Flag) -> str:
    """The key of the configuration that a flag sets; empty when it sets none."""
    return flag[1].partition("=")[0].strip() if flag[0] == "--config" else ""
