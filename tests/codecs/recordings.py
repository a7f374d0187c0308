"""What real tools printed, and what a codec makes of it."""

from collections.abc import Callable
from pathlib import Path

from sidecar.codecs.ndjson import Lines
from sidecar.model import AgentEvent, Block, Failure, TurnEnded
from sidecar.runtimes.launch import Codec

DATA = Path(__file__).parent.parent / "data"


class Recordings:
    """The recorded turns of one tool; `make` makes the codec of a turn that resumes a session."""

    def __init__(self, tool: str, make: Callable[[str | None], Codec]) -> None:
        self.name = tool
        self.make = make
        self._folder = DATA / tool
        self.scenarios = sorted(path.name for path in self._folder.iterdir())

    def printed(self, scenario: str) -> bytes:
        return (self._folder / scenario / "stdout.ndjson").read_bytes()

    def replay(
        self, scenario: str, session: str | None = None, size: int = 1 << 20
    ) -> tuple[list[AgentEvent], TurnEnded]:
        """The events of a recorded turn, read in pieces of a size, and its end."""
        codec, lines, data = self.make(session), Lines(), self.printed(scenario)
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        found = [line for piece in pieces for line in lines.feed(piece)] + lines.finish()
        events = [event for line in found for event in codec.feed(line)]
        code = int((self._folder / scenario / "exit.txt").read_text())
        return events, codec.end(code, (self._folder / scenario / "stderr.txt").read_text())

    def blocks(self, scenario: str, *kinds: str) -> list[Block]:
        found = [event for event in self.replay(scenario)[0] if isinstance(event, Block)]
        return [block for block in found if not kinds or block.kind in kinds]

    def failure(self, scenario: str, session: str | None = None) -> Failure:
        found = self.replay(scenario, session)[1].failure
        assert found is not None
        return found
