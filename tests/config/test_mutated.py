"""However a config is mangled, it means the same whether it is read quickly or by the parser."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.app.checking.system import MachineSystem
from sidecar.config.load import Loaded, load
from sidecar.config.model import Route
from sidecar.config.reading.quick import KnownRoutes, QuickRoutes
from sidecar.config.schemas.schema import Schema

TEXT = """\
version: 1
runtimes:
  echo: {type: command, command: [cat]}
default_route: {runtime: echo, cwd: .}

routes:
  # the first one
  - name: a
    match: {conversation: rm_1, sender: [x, "y"]}
    runtime: echo
    cwd: .
    trust: public
  - name: b
    match:
      conversation:
        - rm_2
        - 'rm_3'
    runtime: echo
    args: [--fast, "two words"]
    system_context: |
      You are {{ agent.name }}.

        Indented # no comment
  - {name: c, match: {sender: z}, runtime: echo}

  - name: d  # the last one
    match: {conversation_prefix: x}
    runtime: echo
    no_reply: null
limits: {queue_depth: 5}
"""
PIECES = [
    "#", " #", "# no", "- ", "-", "  ", " ", "\t", "\r", "\n", "\n\n", "\n  ", "\n    ", ":", ": ",
    ",", "[", "]", "{", "}", "'", '"', "''", "\\", "&a ", "*a", "<<: *a", "\n    <<: *a",
    "\n    <<: {trust: owner}", "!!str ", "! ", "|", "|\n", ">-\n", "|2\n", "|+\n", "%", "@", "`",
    "? ", "~", "null", "yes", "0x1f", "0o7", "1e3", ".inf", "-1", "\ufeff", "\u2028", "\x85",
    "\u00a0", "é", "\U0001f600", "\x07", "---\n", "...\n", "\n---\n", "${HOME}", "$$", "${X:-y}",
    "\n    trust: owner", "\n    name: a", "\n    kind: direct", "routes:\n", "\nroutes: []\n",
    "\n  - {name: e, runtime: echo}", "\n  - name: f\n    runtime: echo", "include: [x]\n", "name",
    "\n    user_turn: |+\n      x\n\n\n",
]  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """Replaces characters of a text: where it begins, and how many of them, by what."""

    at: int
    length: int
    piece: str

    def __call__(self, text: str) -> str:
        at = self.at % (len(text) + 1)
        return text[:at] + self.piece + text[at + self.length :]


@dataclass(frozen=True)
class Lines:
    """Does something with a line: doubles it, drops it, moves it, or the ends of all lines."""

    at: int
    how: str

    def __call__(self, text: str) -> str:
        lines = text.split("\n")
        at = self.at % len(lines)
        line = lines.pop(at)
        put: dict[str, Callable[[], list[str]]] = {
            "double": lambda: [line, line],
            "drop": list,
            "in": lambda: [f"  {line}"],
            "out": lambda: [line[1:]],
            "swap": lambda: [lines.pop(at), line] if at < len(lines) else [line],
            "tab": lambda: [line.replace("  ", "\t", 1)],
            "spaces": lambda: [f"{line}   "],
        }
        lines[at:at] = put[self.how]() if self.how in put else [line]
        return ("\r\n" if self.how == "crlf" else "\n").join(lines)


where = st.integers(0, 2000)
changes = st.lists(
    st.one_of(
        st.builds(Cut, where, st.integers(0, 3), st.sampled_from(PIECES)),
        st.builds(Cut, where, st.integers(1, 30), st.just("")),
        st.builds(
            Lines,
            where,
            st.sampled_from(["double", "drop", "in", "out", "swap", "tab", "spaces", "crlf"]),
        ),
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, QuickRoutes | None], Loaded]:
    path, schema = tmp_path_factory.mktemp("config") / "config.yaml", Schema()

    def read(text: str, quick: QuickRoutes | None) -> Loaded:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return load(path, MachineSystem(), schema, quick=quick)

    return read


@given(changes, changes)
@settings(max_examples=120, deadline=None)
def test_what_is_read_quickly_means_what_the_parser_reads(
    read: Callable[[str, QuickRoutes | None], Loaded],
    before: list[Callable[[str], str]],
    after: list[Callable[[str], str]],
) -> None:
    known, routes, text = KnownRoutes(), tuple[Route, ...](), TEXT
    for mangle in (before, after):
        for change in mangle:
            text = change(text)
        quick = QuickRoutes(known)
        found = read(text, quick)
        if found.config is None or quick.misled:
            continue  # the parser reads it
        full = read(text, None)
        assert full.config is not None, (text, full.problems)
        routes = tuple(
            route if old is None else routes[old]
            for old, route in zip(quick.kept, found.config.routes, strict=True)
        )
        assert repr(replace(found.config, routes=routes)) == repr(full.config), text
        assert found.inputs == full.inputs
        assert found.problems or not full.problems, (text, full.problems)
        known = quick.learned


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("routes:\n", "routes:#\n"),
        TEXT.replace("    trust: public\n", "    user_turn: |+\n      Hi\n\n\n"),
        TEXT.replace("limits: {queue_depth: 5}\n", "").replace("    trust: public\n", "")
        + "    user_turn: |+\n      Hi\n\n",
        "x: &-a 1\n" + TEXT.replace("trust: public", "trust: &-a owner") + "y: *-a\n",
        TEXT.replace("name: a\n", 'name: "a\n  - b"\n'),
    ],
    ids=["no-comment", "kept-lines", "kept-lines-at-the-end", "anchor", "quotes"],
)
def test_what_looks_like_a_list_of_routes_is_read_as_the_parser_does(
    read: Callable[[str, QuickRoutes | None], Loaded], text: str
) -> None:
    quick, full = read(text, QuickRoutes()), read(text, None)
    assert repr(quick.config) == repr(full.config)
    assert [one.code for one in quick.problems] == [one.code for one in full.problems]
