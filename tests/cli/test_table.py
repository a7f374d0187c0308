"""What people read at a terminal: tables that fit, and texts from outside that do no harm."""

import pytest

from sidecar.cli.status import render
from sidecar.cli.table import age, dollars, one_line, printable, table, tokens

HOSTILE = "a\x1b]0;title\x07\x1b[2J\r\nb\u202ec\x9b1m"


def test_a_text_from_outside_cannot_act_on_the_terminal() -> None:
    assert one_line(HOSTILE) == "a�]0;title��[2J b�c�1m"
    assert printable("tab\there\nline\x1b[31m") == "tab\there\nline�[31m"


def test_a_long_text_is_cut_to_its_column() -> None:
    assert one_line("word " * 100, 12) == "word word w…"
    assert one_line(None) == ""
    assert one_line("x" * 12, 12) == "x" * 12


def test_columns_are_as_wide_as_their_widest_cell_and_an_empty_table_says_so() -> None:
    assert list(table(("A", "B"), [("long", "1"), ("s", "2")])) == ["A     B", "long  1", "s     2"]
    assert list(table(("A", "B"), [])) == ["A  B", "(none)"]


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
        "control_plane": None, "remarks": [],
    }  # fmt: skip
    lines = [line.split() for line in render(picture, 3600.0).splitlines()]
    assert ["team", "$1.50", "$5.00", "day", "1h"] in lines
    assert ["other", "$0.2500", "-", "day", "1h"] in lines
