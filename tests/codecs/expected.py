"""What the recordings of each tool come to, as text that people can read and compare.

`python -m tests.codecs.expected` writes it anew, for a look at the difference.
"""

from hashlib import sha256
from pathlib import Path

from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.codex import CodexCodec
from sidecar.codecs.gemini import GeminiCodec
from sidecar.model import AgentEvent, Block, Failure, SessionStarted, TurnEnded
from tests.codecs.recordings import DATA, Recordings

TOOLS = (
    Recordings("claude", ClaudeCodec),
    Recordings("codex", CodexCodec),
    Recordings("gemini", GeminiCodec),
)
SHOWN = 100
"""Characters of a text that are shown; the rest is a digest."""


def told(tool: Recordings, scenario: str, size: int = 1 << 20) -> str:
    """The events of a recorded turn, one a line; it is read in pieces of a size."""
    events, ended = tool.replay(scenario, size=size)
    return "".join(f"{_line(event)}\n" for event in (*events, ended))


def file_of(tool: Recordings) -> Path:
    """Where all of a tool is written down."""
    return DATA / "events" / f"{tool.name}.txt"


def expected(tool: Recordings) -> dict[str, str]:
    """What is written down, by scenario."""
    found = {}
    for part in file_of(tool).read_text("utf-8").split("== ")[1:]:
        name, _, lines = part.partition("\n")
        found[name] = lines
    return found


def _line(event: AgentEvent) -> str:
    match event:
        case SessionStarted(session):
            return f"session {session}"
        case TurnEnded(text, session, failure, usage):
            return f"ended {_short(text)} {session} {usage}{_failed(failure)}"
        case Block() as block:
            words = [block.kind, block.name, block.id, _short(block.text)]
            words += ["partial"] * block.partial + ["failed"] * block.failed
            words += [_short(str(block.input))] if block.input else []
            return " ".join(filter(None, words))


def _failed(failure: Failure | None) -> str:
    if failure is None:
        return ""
    words = [failure.kind, "retryable"] if failure.retryable else [failure.kind]
    words += [f"resets_at={failure.resets_at}"] if failure.resets_at else []
    return f"\n  {' '.join(words)} {_short(failure.detail)}"


def _short(text: str) -> str:
    quoted = ascii(text)
    if len(quoted) <= SHOWN:
        return quoted
    digest = sha256(quoted.encode()).hexdigest()[:8]
    return f"{quoted[:SHOWN]}... {len(quoted)} {digest}"


if __name__ == "__main__":
    for one in TOOLS:
        scenarios = (f"== {scenario}\n{told(one, scenario)}" for scenario in one.scenarios)
        file_of(one).write_text("".join(scenarios), "utf-8")
