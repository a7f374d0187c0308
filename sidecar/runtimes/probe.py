"""What is installed of a runtime's program: where, which version, and whether it is logged in.

Nothing is sent anywhere: the login is looked for where each tool keeps it. Everything here blocks;
it is called in a thread.
"""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar.config.model import Runtime
from sidecar.runtimes.claude_code import ClaudeCode
from sidecar.runtimes.claude_flags import drift
from sidecar.runtimes.codex import Codex
from sidecar.runtimes.gemini import Gemini
from sidecar.runtimes.help import LONGEST, named
from sidecar.runtimes.processes.environment import inherited, read
from sidecar.runtimes.processes.limits import marked
from sidecar.runtimes.processes.places import find_program

PATIENCE = 15.0
"""Seconds for an answer: a first start from a cold disk takes some."""

Login = Literal["yes", "no", "unknown"]
Version = tuple[int, ...]

_ON = frozenset({"1", "true", "yes", "on"})
"""What the tools take for a switch that is on, in letters of any case."""
_VERSION = re.compile(rb"(?<![\d.])(\d+(?:\.\d+){1,3})")


@dataclass(frozen=True, slots=True)
class Tool:
    """What is known of one command line tool.

    `oldest` and `newest` are the versions whose behaviour was measured. A login is a variable of
    `login_names` that is set, one of `login_switches` that is on, or a file: `login_file` below the
    folder that the variable `home_name` names, or else `home` below the home folder. `drift` tells
    what a version does without, by the flags that its help names.
    """

    inherits: Sequence[str]
    oldest: Version
    newest: Version
    login_names: tuple[str, ...]
    login_switches: tuple[str, ...]
    home_name: str
    home: str
    login_file: str
    drift: Callable[[Set[str]], str] | None = None


TOOLS: Mapping[str, Tool] = {
    "claude-code": Tool(
        inherits=ClaudeCode.inherits,
        oldest=(2, 1, 197),
        newest=(2, 1, 330),
        login_names=(
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
        ),
        login_switches=("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
        home_name="CLAUDE_CONFIG_DIR",
        home=".claude",
        login_file=".credentials.json",
        drift=drift,
    ),
    "codex": Tool(
        inherits=Codex.inherits,
        oldest=(0, 169),
        newest=(0, 169),
        login_names=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
        login_switches=(),
        home_name="CODEX_HOME",
        home=".codex",
        login_file="auth.json",
    ),
    "gemini": Tool(
        inherits=Gemini.inherits,
        oldest=(0, 61),
        newest=(0, 61),
        login_names=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        login_switches=("GOOGLE_GENAI_USE_VERTEXAI",),
        home_name="GEMINI_CLI_HOME",
        home="",
        login_file=".gemini/oauth_creds.json",
    ),
}
"""The tools whose versions and logins are known; of other programs only the place is told."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. `path` is None when the program is nowhere; `version` is empty where it
    cannot be known. `warning` is what a person should know of it."""

    program: str
    path: str | None
    version: str = ""
    login: Login = "unknown"
    warning: str = ""


def probe(
    runtime: Runtime, base: Mapping[str, str], cwd: Path, *, patience: float = PATIENCE
) -> Found:
    """Look for the program of a runtime, as its turns would from the environment `base`. Each
    answer of it is waited for `patience` seconds."""
    command = runtime.options.get("command")
    words = command if isinstance(command, list | tuple) else [command]
    program = str(words[0])
    tool = TOOLS.get(runtime.type)
    env = inherited(base, (*(tool.inherits if tool else ()), *runtime.inherit_env))
    try:
        env |= read(runtime.env)
    except (OSError, UnicodeDecodeError) as error:
        return Found(program, None, warning=f"its environment cannot be made: {error}")
    path = find_program(str(cwd / program) if "/" in program else program, env)
    if path is None or tool is None:
        return Found(program, path)
    text = _told(path, "--version", cwd, env, patience)
    match = _VERSION.search(text)
    version = match[1].decode() if match else ""
    warnings = [_warning(tool, version)]
    if version and tool.drift is not None and (told := _told(path, "--help", cwd, env, patience)):
        warnings.append(tool.drift(named(told)))
    return Found(program, path, version, _login(tool, env), "; ".join(filter(None, warnings)))


def _login(tool: Tool, env: Mapping[str, str]) -> Login:
    if any(env.get(name) for name in tool.login_names):
        return "yes"
    if any(env.get(name, "").strip().lower() in _ON for name in tool.login_switches):
        return "yes"
    home = env.get(tool.home_name) or os.path.join(env.get("HOME", "/"), tool.home)  # noqa: PTH118
    try:
        if (Path(home) / tool.login_file).stat().st_size:
            return "yes"
    except FileNotFoundError:
        # macOS keeps logins in its keychain.
        return "no" if os.uname().sysname == "Linux" else "unknown"
    except OSError:
        return "unknown"
    return "no"


def _warning(tool: Tool, version: str) -> str:
    if not version:
        return "it does not tell its version"
    parts = tuple(int(part) for part in version.split("."))
    if parts < tool.oldest:
        return f"older than {_dotted(tool.oldest)}, the oldest version that is known to work"
    if parts[: len(tool.newest) - 1] > tool.newest[:-1]:
        return f"newer than {_dotted(tool.newest)}, the newest version that was tried"
    return ""


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _told(path: str, flag: str, cwd: Path, env: Mapping[str, str], patience: float) -> bytes:
    """What `--version` or `--help` prints; nothing when that takes too long or fails."""
    with tempfile.TemporaryFile() as output:
        try:
            with marked({}):
                process = subprocess.Popen(  # noqa: S603 -- the operator configured the program
                    [path, flag],
                    cwd=cwd if cwd.is_dir() else None,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except (OSError, ValueError):
            return b""
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            return b""
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return output.read(LONGEST)
