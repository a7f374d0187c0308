"""The context `repo`: the git checkout in which the agent works.

Nothing in the checkout is trusted: what its own configuration would run is switched off, and what
it would fetch is forbidden.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.core.sanitise import label

PATIENCE = 5.0
"""Seconds for one call of git, so that one that hangs holds a thread no longer."""
SHORT = 12
"""Characters of a commit's id."""

_INHERITED = ("HOME", "PATH", "XDG_CONFIG_HOME")
_SAFE = {
    "safe.directory": "*",  # it is only read, whoever owns it
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
}
_RUNS = re.compile(r"(?:local|worktree)\s+(filter\..+\.(?:clean|smudge|process|required))")
"""Programs that the checkout has git run over its files, from `git config --show-scope`."""


class RepoProvider:
    """Asks git, in a thread."""

    async def value(self, asked: Asked) -> object:
        """The branch, the commit and how many files are not committed; None without a checkout.

        Raises:
            TimeoutError: git takes too long.
        """
        try:
            return await asyncio.to_thread(look, asked.cwd)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"git takes more than {PATIENCE:g} s in {asked.cwd}") from error

    async def close(self) -> None:
        """Nothing is held."""


def look(folder: Path) -> dict[str, object] | None:
    """The checkout in a folder, None where there is none. Blocks."""
    told = _git(folder, _SAFE, "config", "--list", "--name-only", "--show-scope")
    if told is None:
        return None
    off = [found[1] for line in told if (found := _RUNS.fullmatch(line))]
    lines = _git(
        folder,
        {**_SAFE, **{name: "false" if name.endswith(".required") else "" for name in off}},
        "status",
        "--porcelain=v2",
        "--branch",
        "--ignore-submodules=all",
    )
    if lines is None:
        return None
    heads = dict(_heads(lines))
    branch, commit = heads.get("branch.head", ""), heads.get("branch.oid", "")
    return {
        "branch": "" if branch == "(detached)" else label(branch),
        "head": "" if commit == "(initial)" else commit[:SHORT],
        "dirty": sum(not line.startswith("#") for line in lines),
    }


def _heads(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            yield name, value


def _git(folder: Path, settings: Mapping[str, str], *arguments: str) -> list[str] | None:
    """The lines that git prints; None when it fails, as outside of a checkout."""
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env |= {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",  # none: a checkout with missing objects would fetch them
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (name, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    try:
        done = subprocess.run(  # noqa: S603 -- fixed arguments
            ["git", *arguments],  # noqa: S607 -- the git of the user
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except OSError:  # no git, or no such folder
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace").splitlines()


def build(options: Mapping[str, object], host: Host) -> ContextProvider:
    """A provider of this type."""
    return RepoProvider()


REPO = ContextType("repo", {"type": "object", "additionalProperties": False}, build)
