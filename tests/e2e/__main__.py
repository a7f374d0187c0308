"""`make e2e-runtimes`: real coding-agent CLIs against model APIs that are played on loopback.

Installs the CLIs with npm, once, into the folder that E2E_CLIS names (`.e2e` in this checkout
where it is not given), and runs the tests beside this file in a network namespace in which there
is nothing but loopback. Where that cannot be done, it says why, and that nothing was run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PACKAGES = {
    "@anthropic-ai/claude-code": "2.1.330",
    "@openai/codex": "0.169.0",
    "@google/gemini-cli": "0.61.0",
}
"""The versions whose behaviour is known."""
LOOPBACK = ("unshare", "--net", "--map-root-user")
UP = 'ip link set lo up && exec "$@"'
PATIENCE = 900
"""Seconds for an installation: the CLIs are 0.9 GB."""


def main() -> int:
    """Install, then test; 0 when the tests pass or cannot be run here."""
    reason = no_namespace() or no_clis(folder := clis())
    if reason:
        print(f"e2e-runtimes: SKIPPED, nothing was run: {reason}")
        return 0
    command = [*LOOPBACK, "sh", "-c", UP, "sh", sys.executable, "-m", "pytest"]
    # Not below /tmp, where the sandbox of Codex may write.
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={folder / 'turns'}"]
    options += [str(HERE), *sys.argv[1:]]
    env = {**os.environ, "E2E_CLIS": str(folder)}
    return subprocess.run([*command, *options], cwd=ROOT, env=env, check=False).returncode


def clis() -> Path:
    """The folder into which they are installed."""
    return Path(os.environ.get("E2E_CLIS") or ROOT / ".e2e").resolve()


def no_namespace() -> str:
    """Why a network namespace cannot be made; empty when it can."""
    missing = [name for name in ("unshare", "ip") if shutil.which(name) is None]
    if missing:
        return f"no program {' and '.join(missing)}, for a network namespace"
    tried = subprocess.run(
        [*LOOPBACK, "ip", "link", "set", "lo", "up"], check=False, capture_output=True, text=True
    )
    return f"no network namespace: {tried.stderr.strip()}" if tried.returncode else ""


def no_clis(folder: Path) -> str:
    """Install what is missing. Why that cannot be done; empty when all are there."""
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text("utf-8").split() == wanted:
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "no program npm, which installs the CLIs"
    print(f"installing {', '.join(wanted)} into {folder}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *wanted]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return f"npm was not done after {PATIENCE} s"
    if done.returncode:
        return f"npm could not install them: {done.stderr.strip()[-500:]}"
    stamp.write_text("\n".join(wanted), "utf-8")
    return ""


if __name__ == "__main__":
    sys.exit(main())
