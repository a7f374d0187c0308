"""How problems look."""

import json

from sidecar.config.problems import (
    Position,
    Problem,
    dotted,
    near,
    render_github,
    render_json,
    render_text,
)

PROBLEM = Problem(
    code="unknown-key",
    message="unknown key 'runtme'",
    position=Position("config.yaml", 2, 3, 6),
    path="routes[0].runtme",
    hint="did you mean 'runtime'?",
)
SOURCES = {"config.yaml": "routes:\n- runtme: a\n"}


def test_a_problem_is_shown_with_its_line_a_caret_and_what_to_do() -> None:
    assert render_text([PROBLEM], SOURCES) == (
        "config.yaml:2:3: error: unknown key 'runtme'\n"
        "    2 | - runtme: a\n"
        "      |   ^^^^^^\n"
        "      = did you mean 'runtime'?"
    )


def test_a_second_place_is_shown_too() -> None:
    problem = Problem("x", "again", Position("c", 2), related=Position("c", 1, 2))
    assert render_text([problem], {"c": "abc\ndef"}) == (
        "c:2:1: error: again\n"
        "    2 | def\n"
        "      | ^\n"
        "      = see also c:1:2\n"
        "    1 | abc\n"
        "      |  ^"
    )


def test_a_place_that_cannot_be_shown_is_still_told() -> None:
    for position in (Position("gone"), Position("c", 9), Position("c", 0)):
        shown = render_text([Problem("x", "m", position)], {"c": "a"})
        assert shown == f"{position.file}:{position.line}:{position.column}: error: m"


def test_a_caret_stays_within_its_line_and_tabs_keep_it_in_place() -> None:
    shown = render_text([Problem("x", "m", Position("c", 1, 2, 99))], {"c": "\tab\nsecond"})
    assert shown.splitlines()[1:] == ["    1 |  ab", "      |  ^^"]
    shown = render_text([Problem("x", "m", Position("c", 1, 99, 5))], {"c": "ab"})
    assert shown.splitlines()[1:] == ["    1 | ab", "      |   ^"]


def test_nothing_in_a_config_can_steer_the_terminal() -> None:
    problem = Problem("x", "a\x1b[2Jb\nc", Position("c"), hint="\x07h")
    shown = render_text([problem], {"c": "x\x1b[31m\u202ey"})
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert shown.count("\n") == 3


def test_colours_are_added_only_where_they_are_wanted() -> None:
    shown = render_text([PROBLEM], SOURCES, colours=True)
    assert "\x1b[31m" in shown
    assert "\x1b[33m" in render_text(
        [Problem("x", "m", Position("c"), level="warning")], {}, colours=True
    )
    plain = shown
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[31m"):
        plain = plain.replace(code, "")
    assert plain == render_text([PROBLEM], SOURCES)


def test_programs_get_every_field() -> None:
    second = Problem("y", "m", Position("d"), level="warning", related=Position("c", 2, 3))
    assert json.loads(render_json([PROBLEM, second])) == [
        {
            "level": "error",
            "code": "unknown-key",
            "message": "unknown key 'runtme'",
            "hint": "did you mean 'runtime'?",
            "path": "routes[0].runtme",
            "file": "config.yaml",
            "line": 2,
            "column": 3,
            "width": 6,
            "related": None,
        },
        {
            "level": "warning",
            "code": "y",
            "message": "m",
            "hint": "",
            "path": "",
            "file": "d",
            "line": 1,
            "column": 1,
            "width": 1,
            "related": {"file": "c", "line": 2, "column": 3},
        },
    ]


def test_github_gets_annotations_with_what_would_end_them_escaped() -> None:
    problem = Problem("a:b", "100%\nreally", Position("a,b.yaml", 3, 2, 4), hint="go")
    assert render_github([problem, PROBLEM]).splitlines() == [
        "::error file=a%2Cb.yaml,line=3,col=2,endColumn=6,title=a%3Ab::100%25%0Areally (go)",
        "::error file=config.yaml,line=2,col=3,endColumn=9,title=unknown-key"
        "::unknown key 'runtme' (did you mean 'runtime'?)",
    ]


def test_places_are_written_as_people_write_them() -> None:
    assert dotted(("routes", 0, "cwd")) == "routes[0].cwd"
    assert dotted(("channels", "a.b", "grant")) == 'channels["a.b"].grant'
    assert dotted(("env", 'x"y')) == 'env["x\\"y"]'
    assert dotted(()) == ""


def test_only_a_similar_word_is_offered() -> None:
    assert near("runtme", ["runtime", "cwd"]) == "did you mean 'runtime'?"
    assert near("xyz", ["runtime", "cwd"]) == ""
