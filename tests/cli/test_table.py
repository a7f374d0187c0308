"""What people read at a terminal: tables that fit, and texts from outside that do no harm."""

import os
import pty
import re
import sys
from dataclasses import asdict

import pytest

from sidecar.app.watching.watcher import Watcher
from sidecar.cli.screen import coloured, plain, show
from sidecar.cli.status import parts
from sidecar.cli.table import Table, age, dollars, one_line, printable, tokens

HOSTILE = "a\x1b]0;title\x07\x1b[2J\r\nb\u202ec\x9b1m"


def test_a_text_from_outside_cannot_act_on_the_terminal() -> None:
    assert one_line(HOSTILE) == "a�]0;title��[2J b�c�1m"
    assert printable("tab\there\nline\x1b[31m") == "tab\there\nline�[31m"


def test_a_long_text_is_cut_to_its_column() -> None:
    assert one_line("word " * 100, 12) == "word word w…"
    assert one_line(None) == ""
    assert one_line("x" * 12, 12) == "x" * 12


def test_columns_are_as_wide_as_their_widest_cell_and_an_empty_table_says_so() -> None:
    found = Table(("A", "B"), [("long", "1"), ("s", "\x1b[2J")])
    assert list(found.lines()) == ["A     B", "long  1", "s     �[2J"]
    assert list(Table(("A", "B"), []).lines()) == ["A  B", "(none)"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (age(59), "59s"),
        (age(3600), "1h"),
        (age(200_000), "2d"),
        (age(-5), "0s"),
        (dollars(None), "-"),
        (dollars(0.0123), "$0.0123"),
        (dollars(12.3456), "$12.35"),
        (tokens(None, None), "-"),
        (tokens(10, None), "10+0"),
    ],
)
def test_amounts_are_short(shown: str, expected: str) -> None:
    assert shown == expected


def test_status_shows_what_routes_have_spent_and_when_a_budget_renews() -> None:
    spending = {
        "team": {"spent": 1.5, "usd": 5.0, "per": "day", "renews_at": 7200.0},
        "other": {"spent": 0.25, "usd": None, "per": "day", "renews_at": 7200.0},
    }
    picture = {
        "version": "1", "pid": 1, "since": 0.0, "generation": 1, "digest": "d", "pending": [],
        "reloads": [], "channels": {}, "running": [], "waiting": [], "spending": spending,
        "outbox": {"pending": 0, "refused": 0}, "on_disk": {"in_force": True},
        "control_plane": None, "remarks": ["do\x1b[2J this"], "watcher": asdict(Watcher()),
    }  # fmt: skip
    told = list(plain(parts(picture, 3600.0)))
    assert "do�[2J this" in told
    lines = [line.split() for line in told]
    assert ["team", "$1.50", "$5.00", "day", "1h"] in lines
    assert ["other", "$0.2500", "-", "day", "1h"] in lines


ID = "rm_0123456789abcdef" * 2
TURNS = Table(
    ("TURN", "STATE", "CONVERSATION", "TOKENS", "ERROR"),
    [("0a739ba782", "failed", ID, "-", f"why {HOSTILE} " * 4 + "[red]end")],
)
SAID = Table(("TURN", "TEXT"), [("0a739ba782", "word " * 20), ("1b739ba782", "")])
PARTS = ("one line [red]", TURNS, SAID, Table(("A",), []))


def shown(monkeypatch: pytest.MonkeyPatch, *parts: str | Table, anew: bool = False) -> str:
    """What a terminal gets."""
    leader, follower = pty.openpty()
    screen = b""
    with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        show(parts, anew=anew)
        terminal.write("<end>")
        terminal.flush()
        while not screen.endswith(b"<end>"):  # it may come in pieces
            screen += os.read(leader, 65536)
    os.close(leader)
    return screen.decode().removesuffix("<end>")


def without_colours(screen: str) -> list[str]:
    text = re.sub("\x1b\\[[0-9;]*[mJH]", "", screen)
    assert "\x1b" not in text
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_shows_tables_that_fit_it_and_a_program_gets_plain_ones(
    colours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(PARTS)
    assert capsys.readouterr().out.splitlines() == [
        "one line [red]", *TURNS.lines(), *SAID.lines(), "A", "(none)",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "76")
    monkeypatch.setenv("TERM", "xterm")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    screen = shown(monkeypatch, *PARTS, anew=True)
    assert screen.startswith("\x1b[2J\x1b[Hone line [red]\r\n")
    assert ("\x1b[31mfailed" in screen) is colours
    lines = without_colours(screen)
    assert max(map(len, lines)) <= 76
    assert lines[1].split() == ["TURN", "STATE", "CONVERSATION", "ERROR"]  # in TOKENS is nothing
    assert lines[3].split()[:3] == ["0a739ba782", "failed", ID]
    assert "end" in "".join(
        line[-12:].strip() for line in lines[3 : lines.index("TURN        TEXT")]
    )
    assert [line[-1] for line in lines if "word" in line] == ["\u2026"]  # a text is cut
    assert lines[-1] == "(none)"


def test_where_even_that_does_not_fit_a_row_has_several_lines_and_ids_are_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    monkeypatch.setenv("TERM", "xterm")
    rows = [("1", "queued", ID, "-", "me", "hello " * 9), ("2", "failed", "rm", "-", "you", "")]
    head = ("TURN", "STATE", "CONVERSATION", "COST", "FROM", "TEXT")
    screen = shown(monkeypatch, Table(head, rows), Table(("A" * 50,), []))
    assert "\x1b[33mqueued" in screen
    assert without_colours(screen) == [
        "TURN  STATE",
        "  CONVERSATION",
        "  FROM",
        "  TEXT",
        "1     queued",
        f"  {ID}",
        "  me",
        "  hello hello hello hello hello hello hello\u2026",
        "2     failed",
        "  rm",
        "  you",
        "A" * 50,
        "(none)",
    ]


def test_a_dumb_terminal_gets_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(monkeypatch, *PARTS, anew=True)
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        assert coloured("text", "31", terminal) == "text"
        monkeypatch.setenv("TERM", "xterm")
        assert coloured("text", "31", terminal) == "\x1b[31mtext\x1b[0m"
    os.close(leader)
