"""The bundled example agent: it looks into the folder in which it runs and answers plain requests.

It has no model behind it. It shows the protocol `ndjson` of the runtime `command` at work, and
needs no login. It reads inside its folder only, hidden files excepted, and writes nothing. Only
the standard library is imported, so that it starts fast and can be copied as a beginning.
"""

import fnmatch
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

MOST_ENTRIES = 20_000
"""Entries of the folder, subfolders included, that are looked at for one answer."""
MOST_LINES = 120
"""Lines that one answer shows."""
MOST_BYTES = 1 << 20
"""Bytes of a file that are read."""
LONGEST_LINE = 200
"""Characters of a line that are shown."""
SKIPPED = {"node_modules", "__pycache__", "venv", "dist", "build", "target"}
"""Folders that hold what others wrote, or machines."""

HELP = """I look into this folder. Ask me, for instance:
- what is in here? · list sidecar/
- read README.md
- search TODO
- find *.py
- which branch?"""

Tool = Callable[[str], str]


class NotShown(Exception):
    """A request that is refused, in words for the person who asked."""


class Checkout:
    """One folder, and nothing outside it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def resolve(self, name: str) -> Path:
        """The real path of a name in the folder. Raises NotShown."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise NotShown(f"{name} is outside this folder, so I leave it alone.")
        if any(part.startswith(".") for part in path.relative_to(self.root).parts):
            raise NotShown(f"{name} is hidden, so I leave it alone.")
        if not path.exists():
            raise NotShown(f"There is no {name} here.")
        return path

    def list(self, name: str) -> str:
        """The entries of a folder, folders first."""
        shown = [path for path in self.resolve(name).iterdir() if not path.name.startswith(".")]
        shown.sort(key=lambda path: (not path.is_dir(), path.name.lower()))
        return _lines(f"{path.name}/" if path.is_dir() else path.name for path in shown)

    def read(self, name: str) -> str:
        """The first lines of a text file; of a folder, its entries."""
        path = self.resolve(name)
        if path.is_dir():
            return self.list(name)
        text = _text(path)
        if text is None:
            raise NotShown(f"{name} is no text that I can show ({path.stat().st_size} bytes).")
        return _lines(text.splitlines())

    def find(self, pattern: str) -> str:
        """The files whose name, or path, matches a pattern such as `*.py`."""
        if not any(character in pattern for character in "*?["):
            pattern = f"*{pattern}*"
        return _lines(
            str(path)
            for path in self.files()
            if fnmatch.fnmatch(path.name, pattern) or fnmatch.fnmatch(str(path), pattern)
        )

    def search(self, text: str) -> str:
        """The lines that hold a text; capitals count if the text has some."""
        fold = str.lower if text.islower() else str
        return _lines(
            f"{path}:{number}: {line.strip()}"
            for path in self.files()
            for number, line in enumerate((_text(self.root / path) or "").splitlines(), start=1)
            if text in fold(line)
        )

    def branch(self, _: str = "") -> str:
        """The branch that is checked out, by git's own files."""
        folder = self.root / ".git"
        pointer = _text(folder)
        if pointer is not None:  # a worktree or a submodule
            folder = self.root / pointer.strip().removeprefix("gitdir: ")
        head = (_text(folder / "HEAD") or "").strip()
        if not head:
            raise NotShown("This folder is not the top of a git checkout.")
        if head.startswith("ref: refs/heads/"):
            return head.removeprefix("ref: refs/heads/")
        return f"none: HEAD is detached at {head[:12]}"

    def files(self) -> Iterator[Path]:
        """The files by their names in the folder, without hidden ones and links; not more than
        one answer can bear."""
        left = MOST_ENTRIES
        for place, folders, names in os.walk(self.root):
            folders[:] = sorted(n for n in folders if n[0] != "." and n not in SKIPPED)
            folder = Path(place)
            for name in sorted(names):
                path = folder / name
                if name[0] != "." and not path.is_symlink():
                    yield path.relative_to(self.root)
            left -= len(folders) + len(names)
            if left < 0:
                return

    def facts(self) -> str:
        """A sentence that is true of the folder."""
        kinds = Counter(path.suffix or "without ending" for path in self.files())
        common = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
        try:
            where = f", on branch {self.branch()}"
        except NotShown:
            where = ""
        return f"I am in {self.root.name}{where}: {kinds.total()} files ({common or 'none'})."


def _text(path: Path) -> str | None:
    """The text of a file, up to a bound; None for what is no text."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return None
    return None if b"\0" in data else data.decode("utf-8", "replace")


def _lines(lines: Iterable[str]) -> str:
    """As many lines as one answer shows."""
    shown: list[str] = []
    for line in lines:
        if len(shown) == MOST_LINES:
            return "\n".join([*shown, "… and more"])
        shown.append(line[:LONGEST_LINE] + "…" * (len(line) > LONGEST_LINE))
    return "\n".join(shown)


_WRAPPED = re.compile(r"<(human|agent)-message[^>]*>\n?(.*?)\n?</\1-message>", re.DOTALL)
_NAME = r"[`'\"]?(?P<what>[^`'\"?]+?)[`'\"]?"
_REQUESTS = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"\bbranch\b", "branch"),
        (rf"\b(?:search|grep|look)(?: for)? {_NAME}(?: in here)?[.!?]?$", "search"),
        (rf"\b(?:find|where is|where are) {_NAME}[.!?]?$", "find"),
        (rf"^(?:please )?(?:read|show|open|print|cat)(?: me)?(?: the file)? {_NAME}[.!]?$", "read"),
        (r"^(?:please )?(?:list|ls)(?: (?:the |all )?files)?(?: here)?[.!]?$", "list"),
        (rf"^(?:please )?(?:list|ls)(?: (?:the |all )?files in)? {_NAME}[.!]?$", "list"),
        (r"\bwhat(?: is|'s)(?: there)? in (?P<what>(?!here|this)[\w./-]+?)[.!?]?$", "list"),
        (r"\bwhat(?: is|'s)(?: there)? in\b|\bwhich files\b", "list"),
    )
)
_EMPTY = {"search": "Nothing here holds that text.", "find": "No file has such a name."}


class Conversation:
    """Answers one job about a folder; `emit` takes each event."""

    def __init__(
        self, job: dict[str, object], root: Path, emit: Callable[[dict[str, object]], None]
    ) -> None:
        self._job = job
        self._emit = emit
        self._checkout = Checkout(root)

    def run(self) -> None:
        """Tell the session, work, answer."""
        session = self._job.get("session") or f"example-{os.urandom(8).hex()}"
        self._emit({"type": "session", "id": session})
        self._emit({"type": "text", "text": self._answer(self._request())})
        self._emit({"type": "result", "session": session})

    def _request(self) -> str:
        """What the person wrote, out of the frame in which a channel may have put it."""
        prompt = self._job.get("prompt")
        text = str(prompt.get("user", "")) if isinstance(prompt, dict) else ""
        framed = _WRAPPED.findall(text)
        return (framed[-1][1] if framed else text).strip()

    def _answer(self, request: str) -> str:
        if re.fullmatch(r"(?:/|\W*)(?:help|what can you do)\W*", request, re.IGNORECASE):
            return HELP
        for pattern, name in _REQUESTS:
            if found := pattern.search(request):
                self._emit({"type": "thinking", "text": f"That is for the tool {name}."})
                return self._use(name, (found.groupdict().get("what") or "").strip())
        return self._fallback()

    def _use(self, name: str, what: str) -> str:
        tool: Tool = getattr(self._checkout, name)
        call = f"call-{name}"
        self._emit({"type": "tool_use", "id": call, "name": name, "input": {"what": what}})
        try:
            result, failed = tool(what), False
        except (NotShown, OSError, ValueError, RuntimeError) as error:
            result, failed = str(error), True
        self._emit({"type": "tool_result", "id": call, "text": result, "failed": failed})
        if failed:
            return result
        if name == "branch":
            return f"The branch is {result}."
        if not result:
            return _EMPTY.get(name, "It is empty.")
        fence = "`" * max(3, max((len(run) + 1 for run in re.findall("`+", result)), default=0))
        return f"{fence}\n{result}\n{fence}"

    def _fallback(self) -> str:
        message = self._job.get("message")
        before = message.get("session_turns") if isinstance(message, dict) else None
        again = f"We have talked {before} time(s) before. " if before else ""
        self._emit({"type": "status", "text": "looking around"})
        return f"{again}{self._checkout.facts()}\n\n{HELP}"


def _emit(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read one job from standard input, answer it, and return the exit code."""
    try:
        job = json.loads(sys.stdin.buffer.readline())
    except ValueError:
        job = None
    if not isinstance(job, dict):
        sys.stderr.write("the example agent expects a job, as one line of JSON\n")
        return 2
    try:
        Conversation(job, Path.cwd(), _emit).run()
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
