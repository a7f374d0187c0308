"""What is wrong with a template is told when the configuration is loaded, with its place."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.config.model import Config, Route, State, Template
from sidecar.config.problems import Position, Problem
from sidecar.prompts.render import Prompts

Configure = Callable[..., Config]
Problems = Callable[..., tuple[Problem, ...]]


def test_wrong_syntax(problems: Problems) -> None:
    (problem,) = problems("one\n  {% if message.text %\n")
    assert problem.code == "template-syntax"
    assert problem.position == Position("user.j2", 2, 3, 20)
    assert problem.path == "default_route.user_turn"
    assert problem.level == "error"


def test_an_unknown_name_with_the_one_that_was_meant(problems: Problems) -> None:
    (problem,) = problems("Hi {{ sendr.name }}")
    assert problem.message == "templates have no 'sendr'"
    assert problem.hint.startswith("did you mean 'sender'? there are account, activity, ")
    assert problem.position == Position("user.j2", 1, 7, 5)
    assert problem.code == "template-name"


def test_all_unknown_names_at_once(problems: Problems) -> None:
    found = problems("{{ foo }}\n{% if bar %}{{ baz }}{{ foo }}{% endif %}")
    assert [(one.position.line, one.position.column, one.position.width) for one in found] == [
        (1, 4, 3),
        (2, 7, 3),
        (2, 16, 3),
        (2, 25, 3),
    ]
    assert "message, messages" in found[0].hint


def test_an_unknown_attribute_with_the_one_that_was_meant(problems: Problems) -> None:
    (problem,) = problems("one\n {{ message.txt }}")
    assert problem.message == (
        "message has no 'txt', did you mean 'text'? "
        "It has extra, id, mentioned, old, reply_to, sender, sent_at, text, time"
    )
    assert problem.position == Position("user.j2", 2, 13, 3)
    assert problem.code == "template-error"


def test_what_only_a_run_tells_is_found_by_trying(problems: Problems) -> None:
    (problem,) = problems("one\n {{ message.text[99] }}")
    assert problem.message == "str object has no element 99"
    assert problem.hint == "found by trying a direct message of the owner"
    assert problem.code == "template-error"


def test_a_variable_is_tried_with_its_value(config: Configure) -> None:
    checked = config("{{ env.TEAM.split(',')[1] }}", env=("TEAM",))
    assert Prompts.compile(checked, env={"TEAM": "5,b"})[1] == ()
    (problem,) = Prompts.compile(checked, env={"TEAM": "5"})[1]
    assert "no element 1" in problem.message


def test_all_kinds_of_mistakes_are_told_at_once(problems: Problems) -> None:
    source = "{{ sender.name | uper }} {{ sendr.name }}\n{{ sender.nme }}{{ 1 is evn }}"
    found = [(problem.message.partition(",")[0], problem.position) for problem in problems(source)]
    assert found == [
        ("there is no filter 'uper'", Position("user.j2", 1, 18, 4)),
        ("there is no test 'evn'", Position("user.j2", 2, 25, 3)),
        ("templates have no 'sendr'", Position("user.j2", 1, 29, 5)),
        ("sender has no 'nme'", Position("user.j2", 2, 11, 3)),
    ]


@pytest.mark.parametrize(
    ("source", "sample"),
    [
        ('{% if sender.kind == "agent" %}{{ 1 // 0 }}{% endif %}', "an agent"),
        ("{% if message.mentioned %}{{ 1 // 0 }}{% endif %}", "a person in a group"),
        ("{% if conversation.thread %}{{ 1 // 0 }}{% endif %}", "a thread"),
        ("{% if messages | length > 1 %}{{ 1 // 0 }}{% endif %}", "several messages"),
        ("{% if turn.attempt > 1 %}{{ 1 // 0 }}{% endif %}", "second attempt"),
        ("{{ conversation.title[0] }}", "without a title"),
    ],
)
def test_kinds_of_messages_that_are_rare_are_tried_too(
    problems: Problems, source: str, sample: str
) -> None:
    (problem,) = problems(source)
    assert sample in problem.hint


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("{{ message.text | uper }}", "there is no filter 'uper'", "did you mean 'upper'?"),
        ("{{ message.text is strin }}", "there is no test 'strin'",
         "did you mean 'string'?"),
        ("{% if message.text is strin %}{% endif %}", "there is no test 'strin'",
         "did you mean 'string'?"),
        ("{% iff message %}{% endif %}", "there is no tag 'iff'", "did you mean 'if'?"),
        ("{{ message.text }\n", "unexpected '}'", "a value ends with }}"),
        ("{{ message.text\nmore", "got 'more'", "a value ends with }}: is it missing"),
        ("{% if message.text\nmore %}", "got 'more'", "a tag ends with %}: is it missing"),
        ("{# never", "Missing end of comment tag", "a comment ends with #}"),
        ("{{ room.name }}", "room is none: ask first, {% if room %}", "found by trying"),
        ("{{ env.TOKEN }}", "env has no 'TOKEN'", "`context.env` of the config lists"),
        ('{% extends "botcord/user_trn.j2" %}', "no template is named 'botcord/user_trn.j2'", ""),
        ("{{ env.REGOIN }}", "env has no 'REGOIN', did you mean 'REGION'?", ""),
        ("{{ " + "(" * 3000 + ")" * 3000 + " }}", "the template cannot be compiled", ""),
        ("{% for a in [1] %}" * 30 + "{% endfor %}" * 30, "the template cannot be compiled", ""),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_other_mistakes(problems: Problems, source: str, message: str, hint: str) -> None:
    (problem,) = problems(source, env=("REGION",))
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ("a\n {% if message %}\n{% for a in [1] %}{% endfor %}\n",
         "{% if %} is not closed: {% endif %} is missing", (2, 2, 16)),
        ("{% for a in [1] %}\n  {% if a %}\n{% endfor %}",
         "{% if %} is not closed: {% endif %} is missing before {% endfor %}", (2, 3, 10)),
        ('{% extends "botcord/user_turn.j2" %}\n{% block hint %}\nhi\n',
         "{% block %} is not closed: {% endblock %} is missing", (2, 1, 16)),
    ],
)  # fmt: skip
def test_a_tag_that_is_not_closed_is_pointed_at_where_it_begins(
    problems: Problems, source: str, message: str, place: tuple[int, int, int]
) -> None:
    (problem,) = problems(source)
    found = problem.position
    assert (problem.message, (found.line, found.column, found.width)) == (message, place)


EXTENDS = '{% extends "botcord/system_context.j2" %}\n'


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("{% block memroy %}x{% endblock %}", "has no block 'memroy', so it is never printed", 2),
        ("\n\n You are nice.\n", "outside of blocks nothing is printed", 4),
        ("{% block room %}{% endblock %}\n{{ message.text }}", "outside of blocks nothing", 3),
    ],
)
def test_what_a_template_has_for_nothing_is_told(
    problems: Problems, source: str, message: str, line: int
) -> None:
    (problem,) = problems(f"{EXTENDS}{source}")
    assert message in problem.message
    assert problem.position.line == line
    assert "memory, room" in problem.hint


def test_blocks_in_blocks_and_settings_beside_them_are_for_something(problems: Problems) -> None:
    source = (
        "{# why #}\n{% set name = sender.label %}\n{% macro hi() %}Hi{% endmacro %}\n"
        "{% set a, b = 1, 2 %}{% set c %}3{% endset %}"
        "{% block room %}{% block mine %}{{ hi() }} {{ name }} {{ a + b }} {{ c }}{% endblock %}"
        "{% endblock %}\n"
    )
    assert problems(f"before\n{EXTENDS}{source}") == ()
    assert problems("{% block mine %}x{% endblock %} y") == ()


def test_facts_of_a_channel_cannot_be_checked_before_they_come(problems: Problems) -> None:
    source = (
        "{{ message.extra.topic }}{{ message.extra.a.b[0].c | upper }}"
        "{% for one in message.extra.members %}{{ one.name }}{% endfor %}"
        "{% if message.extra.count > 3 %}x{% endif %}"
    )
    assert problems(source) == ()


def test_a_listed_variable_of_the_environment_is_no_problem(problems: Problems) -> None:
    assert problems("{{ env.REGION | lower }}", env=("REGION",)) == ()


def test_a_template_inside_the_config_is_pointed_at_there() -> None:
    path = Path("/repo")
    routes = (
        Route("a", "x", path, user_turn=Template("config.yaml", "fine\n", line=8)),
        Route("b", "x", path, system_context=Template("config.yaml", "a\n{{ b }}\n", line=12)),
    )
    _, (problem,) = Prompts.compile(Config(State(path), None, routes=routes))
    assert problem.position == Position("config.yaml", 13, 4, 1)
    assert problem.path == "routes[1].system_context"


def test_a_file_that_many_routes_share_is_told_once() -> None:
    path = Path("/repo")
    route = Route("a", "x", path, user_turn=Template("shared.j2", "{{ nope }}"))
    routes = tuple(replace(route, name=f"r{number}") for number in range(50))
    _, problems = Prompts.compile(Config(State(path), None, routes=routes))
    assert [problem.path for problem in problems] == ["routes[0].user_turn"]


def test_the_word_that_is_wrong_is_pointed_at(problems: Problems) -> None:
    (problem,) = problems("{{ sender.name }} and {{ message.text | uper }}")
    assert problem.position == Position("user.j2", 1, 41, 4)
    assert "there are abs, capitalize, " in problem.hint
    (problem,) = problems("a\n b {{ sender.name }} {{ sender.nmae | upper }}")
    assert problem.position == Position("user.j2", 2, 32, 4)


@pytest.mark.parametrize(
    ("written", "text", "place"),
    [
        ("a: >-\n  one\n  two {{ nope }}\n\n  x\n", "one two {{ nope }}\nx", (3, 10)),
        ('a: "one\\n{{ nope }}"\n', "one\n{{ nope }}", (1, 13)),
        ("a: 'it''s {{ nope }}'\n", "it's {{ nope }}", (1, 14)),
        ('a: "{{ \\x6eope }}"\n', "{{ nope }}", (1, 1)),
        ("a: |\n     one\n   {{ nope }}\n", "  one\n{{ nope }}", (3, 7)),
    ],
)
def test_a_template_in_any_form_of_yaml_is_pointed_at_where_it_is_written(
    written: str, text: str, place: tuple[int, int]
) -> None:
    block = "|" in written
    template = Template("config.yaml", text, line=1 + block, indent=3)
    route = Route("a", "x", Path("/repo"), user_turn=template)
    config = Config(State(Path("/")), route)
    _, (problem,) = Prompts.compile(config, sources={"config.yaml": written})
    assert (problem.position.line, problem.position.column) == place
