"""The flags of Claude Code for a turn: what each level of trust may do, and what args override.

Measured with versions 2.1.330 and 2.1.197 in print mode, where a tool that would ask is denied at
once. `plan` and `auto` are for no stranger: they read every file that the user can read.
"""

from collections.abc import Iterable, Sequence, Set

from sidecar.model import ToolServer, Trust
from sidecar.runtimes import flags
from sidecar.runtimes.flags import Flag

MODE = "--permission-mode"
CONTEXT = "--append-system-prompt-file"
MODEL = "--model"
EFFORT = "--effort"
FORMAT = "--output-format"
PIECES = "--include-partial-messages"
PROBED = frozenset({PIECES, "--restricted", "--permission-prompts", "--system-prompt-snapshot"})
"""Flags that are given to versions whose help names them: others exit when they are given one, as
2.1.197 does with all of them but `PIECES`."""

_INSTEAD = {
    PIECES: "showing what it says a message at a time",
    "--restricted": "using no tools at all in public turns",
    "--permission-prompts": "using what it does by itself where it would ask, which is to deny",
    "--system-prompt-snapshot": "relying on it to read the system context anew in each turn",
}
"""What takes their place."""

ONE_TURN = frozenset(
    {
        "--resume",
        "--fork-session",
        "--input-format",
        FORMAT,
        "--max-turns",
        "--max-budget-usd",
    }
)
"""Flags of the operator's with which a process is for one turn: what session it has, how it is
spoken to, and bounds that count for a process."""
_ISOLATED: tuple[Flag, ...] = (("--strict-mcp-config",), ("--setting-sources", ""))
"""Neither servers nor permissions that a checkout, or the user's settings, bring along."""
_NO_COMMANDS: Flag = ("--disable-slash-commands",)
_NO_PROMPTS: Flag = ("--permission-prompts", "none")
_WAKING = "CronCreate,ScheduleWakeup"
"""Tools with which a process that stays would go to work by itself after its turn was answered. In
one that ends with its turn, what they promise never comes."""
_REACHING_OUT = (
    "WebFetch,WebSearch,Task,Monitor,Workflow,SendMessage,EnterWorktree,Skill,"
    f"ListAgents,CronList,CronDelete,{_WAKING}"
)
"""Tools with which a trusted turn could leave its folder or its time."""
_NO_FILES = '{"permissions":{"deny":["Read(//**)"]}}'
"""Settings that stop 2.1.197 from reading the files that a prompt names as `@path`."""

_ADDED = frozenset({"--mcp-config", "--allowedTools"})
"""Flags that may be given several times: the operator's add to ours."""
_SAME = {
    "--dangerously-skip-permissions": MODE,
    "--allow-dangerously-skip-permissions": MODE,
    "--append-system-prompt": CONTEXT,
    "--allowed-tools": "--allowedTools",
    "--disallowed-tools": "--disallowedTools",
    "--continue": "--resume",
    "--session-id": "--resume",
    "-c": "--resume",
    "-r": "--resume",
}
"""Flags that take the place of one of ours under another name."""


def tier(trust: Trust, known: Set[str], *, may_bypass: bool) -> tuple[Flag, ...]:
    """What a level of trust may do. `known` are those of `PROBED` that this version knows.

    `may_bypass`: the CLI would accept that permissions are not checked at all.
    """
    match trust:
        case "owner":
            mode = "bypassPermissions" if may_bypass else "acceptEdits"
            return ((MODE, mode), ("--disallowedTools", _WAKING))
        case "trusted":
            return (
                (MODE, "acceptEdits"),
                _NO_PROMPTS,
                ("--disallowedTools", _REACHING_OUT),
                *_ISOLATED,
                _NO_COMMANDS,
            )
        case "public" if "--restricted" in known:
            return (
                ("--restricted",),
                (MODE, "dontAsk"),
                _NO_PROMPTS,
                # Inside the working directory only: `--restricted` resolves links, too.
                ("--tools", "Read,Glob,Grep"),
                *_ISOLATED,
                _NO_COMMANDS,
            )
        case "public":
            return (
                (MODE, "dontAsk"),
                ("--tools", ""),
                ("--settings", _NO_FILES),
                *_ISOLATED,
                _NO_COMMANDS,
            )


def drift(known: Set[str]) -> str:
    """What a version does without that does not know all of `PROBED`; empty when it knows them."""
    unknown = PROBED - known
    if not unknown:
        return ""
    instead = [text for flag, text in _INSTEAD.items() if flag in unknown]
    return f"does not know {', '.join(sorted(unknown))}; {', '.join(instead)}"


def tools(servers: Sequence[ToolServer], file: str) -> tuple[Flag, ...]:
    """The flags for tool servers that a file describes: their tools may be called."""
    names = [f"mcp__{server.name}__{tool}" for server in servers for tool in server.tools]
    return ("--mcp-config", file), ("--allowedTools", ",".join(names))


def overridden(theirs: Iterable[str]) -> set[str]:
    """Our flags whose place is taken by the operator's arguments."""
    return flags.overridden(theirs, _SAME)


def arguments(ours: Iterable[Flag], theirs: Sequence[str], known: Set[str]) -> list[str]:
    """Our flags, without those that are unknown or overridden, then the operator's arguments."""
    given = overridden(theirs)
    left_out = (given - _ADDED) | (PROBED - known)
    if FORMAT in given:
        left_out.add(PIECES)  # which any other format than ours refuses
    return flags.joined(ours, theirs, left_out)
