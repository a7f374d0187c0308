"""A name is a mistake where nothing gives it a value, and only there."""

from collections.abc import Callable

import pytest

from sidecar.config.problems import Problem

Problems = Callable[..., tuple[Problem, ...]]


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}{% block a scoped %}{{ loop.index }}{{ m.text }}{% endblock %}"
        "{% endfor %}",
        "{% for m in messages %}{% block a scoped %}{% block b %}{{ m.text }}{% endblock %}"
        "{% endblock %}{% endfor %}",
        "{% with who = 1 %}{% block a scoped %}{{ who }}{% endblock %}{% endwith %}",
        "{% macro f(m) %}{% block a scoped %}{{ m.text }}{% endblock %}{% endmacro %}"
        "{{ f(message) }}",
        '{% if sender.kind == "owner" %}{% set who = 1 %}{% elif true %}{% set who = 2 %}'
        "{% else %}{% set who = 3 %}{% endif %}{{ who }}{% block a %}{{ who }}{% endblock %}",
        "{% if true %}{% macro f() %}x{% endmacro %}{% endif %}"
        "{% block a %}{{ f() }}{% endblock %}",
        "{% set a, (b, c) = 1, (2, 3) %}{% block d %}{{ a + b + c }}{% endblock %}",
        "{% set _a %}1{% endset %}{% block b %}{{ _a }}{% endblock %}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}x{% endmacro %}{{ a() }}",
        "{% macro f(a, b=a) %}{{ b }}{{ varargs | length }}{{ kwargs | length }}"
        "{{ caller is defined }}{% endmacro %}{{ f(1) }}",
        "{% macro f() %}{{ caller(1) }}{% endmacro %}{% call(n) f() %}{{ n }}{% endcall %}",
        "{% for m in messages if m.text %}{{ m.text }}{{ loop.index }}{% else %}-{% endfor %}",
        "{% for m in messages recursive %}{{ loop.depth }}{% endfor %}",
        "{% for m in messages %}{% macro f() %}{{ loop.index }}{{ m.text }}{% endmacro %}{{ f() }}"
        "{% endfor %}",
        "{% set n = namespace(x=1) %}{% for m in messages %}{% set n.x = 2 %}{% endfor %}{{ n.x }}",
        "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{% filter upper %}{{ x }}{% endfilter %}",
        "{% autoescape true %}{% set y = 1 %}{% for m in messages %}{{ y }}{% endfor %}"
        "{% endautoescape %}",
        "{% import 'botcord/quoted.j2' as q with context %}"
        "{{ q }}{% block a %}{{ q }}{% endblock %}",
        "{% block a %}x{% endblock %}{{ self.a() }}",
        '{% extends "botcord/user_turn.j2" %}{% block header %}{{ loop.index }}{{ super() }}'
        "{% block mine %}{{ loop.first }}{% endblock %}{% endblock %}",
        '{% set of = "plain/user_turn.j2" %}{% extends of %}'
        "{% block body %}{{ loop.index }}{% endblock %}",
    ],
)
def test_what_jinja_gives_a_value_is_no_mistake(problems: Problems, source: str) -> None:
    assert problems(source) == ()


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("a {{ sendr }}\n{# sendr #}\n{% if sender.kind == 'x' %}{{ sendr.name }}{% endif %}",
         [(1, 6, "sendr"), (3, 31, "sendr")]),
        ("{{ sendr.name }} {{ sendr.id }}", [(1, 4, "sendr"), (1, 21, "sendr")]),
        ("{% for m in messages %}\n{{ m.text }}\n{% endfor %}\n\nlast: {{ m.text }}",
         [(5, 10, "m")]),
        ("{% macro f(name) %}{{ name }}{% endmacro %}\n{{ f(1) }}{{ name }}", [(2, 14, "name")]),
        ("{% with a = 1, b =\na %}{{ a }}{{ b }}{% endwith %}", [(2, 1, "a")]),
        ("{% for m in messages if\nloop.index %}{% else %}\n{{ m.id }}{% endfor %}",
         [(2, 1, "loop"), (3, 4, "m")]),
        ("{% set x %}\n{% set y = 1 %}{% endset %}\n{{ y }}", [(3, 4, "y")]),
        ("{% if true %}{% set x = 1 %}{% else %}\n{{ x }}{% endif %}", [(2, 4, "x")]),
        ("{% set ns.x = 1 %}", [(1, 8, "ns")]),
        ("{% macro f() %}{% endmacro %}{% call(n) f() %}{% endcall %}\n{{ n }}{{ caller }}",
         [(2, 4, "n"), (2, 11, "caller")]),
        ('{% extends "botcord/user_turn.j2" %}{% block hint %}\n{{ loop }}{% endblock %}',
         [(2, 4, "loop")]),
    ],
)  # fmt: skip
def test_a_name_is_told_at_each_place_where_it_has_no_value(
    problems: Problems, source: str, places: list[tuple[int, int, str]]
) -> None:
    found = [(one.position.line, one.position.column, one.message) for one in problems(source)]
    assert [(line, column, told.split("'")[1]) for line, column, told in found] == places


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("{% for m in messages %}{% endfor %}\n{{ m.id }}", "in line 1, inside of {% for %} only"),
        ("{% for m in messages %}{% block a %}\n{{ m.id }}{% endblock %}{% endfor %}",
         "{% block … scoped %}"),
        ("{{ x }}\n{% set x = 1 %}", "it is set, but not before this"),
        ("{{ loop.index }}", "it is known inside of {% for %} only"),
        ("{{ super() }}", "it is known inside of {% block %} only"),
    ],
)  # fmt: skip
def test_where_a_name_has_a_value_is_told(problems: Problems, source: str, hint: str) -> None:
    (problem,) = problems(source)
    assert problem.message.endswith(" here")
    assert hint in problem.hint
