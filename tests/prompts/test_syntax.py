"""What cannot be parsed is told in words for its author, and pointed at."""

from collections.abc import Callable

import pytest

from sidecar.config.problems import Problem

Problems = Callable[..., tuple[Problem, ...]]


@pytest.mark.parametrize(
    ("source", "message", "hint", "place"),
    [
        ("{% if 1 %}a{% endfor %}", "{% endif %} is missing before {% endfor %}", "", (1, 23)),
        ("a{% endfor %}", "{% endfor %} closes nothing", "no {% for … %} is open", (5, 6)),
        ("{% if 1 %}{% endfi %}{% endif %}", "no tag 'endfi'", "did you mean 'endif'?", (14, 5)),
        ("a{% else %}", "{% else %} has no place here", "or in a loop, once", (5, 4)),
        ("{% if 1 %}{% elsif 2 %}", "there is no tag 'elsif'", "write {% elif … %}", (14, 5)),
        ("{% if 1 %}{% else if 2 %}", "got 'if'", "write {% elif … %}", (14, 7)),
        ('{% if sender.kind = "a" %}', "got '='", "values are compared with ==", (19, 1)),
        ("{{ 1 if f(a=1) = 'c' else 2 }}", "got '='", "values are compared with ==", (16, 1)),
        ("{% set a = b = 1 %}", "got '='", "a tag ends with %}", (1, 19)),
        ("{% if a === b %}", "unexpected '='", "compared with ==", (9, 3)),
        ("a {{ a && b }}", "unexpected char '&'", "{{ a and b }}", (8, 1)),
        ("{{ a || b }}", "got '|'", "{{ a or b }}", (6, 2)),
        ("{% if !a %}", "unexpected char '!'", "{{ not a }}", (7, 1)),
        ("{{ a ? b : c }}", "unexpected char '?'", "{{ a if condition else b }}", (6, 1)),
        ("{{ 'a }}", 'unexpected char "\'"', "the quote with which it begins", (4, 1)),
        ("{{ `a` }}", "unexpected char '`'", "", (4, 1)),
    ],
)  # fmt: skip
def test_what_is_written_as_elsewhere(
    problems: Problems, source: str, message: str, hint: str, place: tuple[int, int]
) -> None:
    for before, line in (("", 1), ("one\r\ntwo\r\n", 3)):
        (problem,) = problems(f"{before}{source}")
        at = problem.position
        assert message in problem.message
        assert hint in problem.hint
        assert (at.line, at.column, at.width) == (line, *place)
