"""Where the program of a runtime is: in PATH, and where installers put what is in no PATH."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_HOME = (".local/bin", ".npm-global/bin", ".claude/local", ".bun/bin", ".volta/bin")
"""Below the home folder: native installers, npm without root, and other package managers."""
_SYSTEM = ("/usr/local/bin", "/opt/homebrew/bin")
_APPLICATIONS = (
    "Codex.app/Contents/Resources",
    "Claude Code URL Handler.app/Contents/MacOS",
)
"""Below the folders of applications, on macOS."""


def find_program(name: str, env: Mapping[str, str]) -> str | None:
    """The program that a process with the environment `env` is to run: in its PATH, else beside
    this Python, else where installers put it. Blocks."""
    path = env.get("PATH", os.defpath)
    if found := shutil.which(name, path=path):
        return found
    return shutil.which(name, path=os.pathsep.join(_elsewhere(Path(env.get("HOME", "/")), path)))


def _elsewhere(home: Path, path: str) -> Iterator[str]:
    yield str(Path(sys.executable).parent)
    if prefix := _npm_prefix(home):
        yield str(prefix / "bin")
    if node := shutil.which("node", path=path):
        yield str(Path(node).resolve().parent)  # npm's prefix, where nothing else is set
    yield from (str(home / folder) for folder in _HOME)
    yield from _SYSTEM
    if sys.platform == "darwin":
        for above in (home / "Applications", Path("/Applications")):
            yield from (str(above / folder) for folder in _APPLICATIONS)


def _npm_prefix(home: Path) -> Path | None:
    """Where npm installs programs, as the user's settings say.

    https://docs.npmjs.com/cli/configuring-npm/npmrc
    """
    with suppress(OSError, UnicodeDecodeError):
        for line in (home / ".npmrc").read_text("utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "prefix" and value.strip():
                text = value.strip().strip("\"'").replace("${HOME}", str(home))
                return home / text.removeprefix("~/")
    return None
