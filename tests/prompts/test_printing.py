"""What is no text is not printed, and its author is told what to write instead."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.config.model import Config
from sidecar.config.problems import Position, Problem
from sidecar.prompts.render import Prompts, TurnContext

Problems = Callable[..., tuple[Problem, ...]]
Render = Callable[..., str]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ sender }}", "sender is no text: did you mean sender.label?"),
        ("{{ message.sender }}", "message.sender is no text: did you mean message.sender.label?"),
        ("{{ turn ~ '' }}", "turn is no text: did you mean turn.id?"),
        ("{{ route | label }}", "route is no text: did you mean route.name?"),
        ("{{ session | string }}", "session is no text: did you mean session.turns?"),
        ("{{ memory }}", "memory is no text: did you mean memory.goal?"),
        ("{{ activity }}", "activity is no text: did you mean activity.total?"),
        ("{{ room }}", "room is no text: did you mean room.name, below {% if room %}?"),
        ("{{ repo or '' }}", "repo is no text: did you mean repo.branch, below {% if repo %}?"),
        ("{{ quoted | default('') }}", "did you mean quoted.text, below {% if quoted %}?"),
        ("{{ sender if room else '' }}", "sender is no text"),
        ("{{ (room and room.members) or '-' }}", "room.members is a list"),
        ("{{ messages }}", "messages is a list, no text: did you mean message.text? All are "
         "{% for message in messages %}{{ message.text }}{% endfor %}"),
        ("{{ room.members }}", "room.members is a list, no text: write "
         "{% for member in room.members %}{{ member.name }}{% endfor %}"),
        ("{{ memory.sections | upper }}", "memory.sections is a list, no text"),
        ("{% for one in activity.entries %}{{ one }}{% endfor %}", "did you mean one.preview?"),
        ("{{ message.extra }}", "message.extra is a mapping, no text: print a value in it, or all "
         "of it: {{ message.extra | tojson }}"),
        ("{{ env }}", "env is a mapping, no text"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_found_in_every_branch(
    problems: Problems, source: str, told: str
) -> None:
    (problem,) = problems(f'{{% if conversation.id == "x" %}}{source}{{% endif %}}')
    assert told in problem.message
    assert told in problems(source)[0].message


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{% set x = [1] %}{{ x }}",
         'x is a list, no text: write a loop, or {{ x | join(", ") }}, or {{ x | tojson }}'),
        ("{% set x = {1: 2} %}{{ x }} {{ sender.name }}", "x is a mapping, no text"),
        ("{{ message.text.upper }}",
         "message.text.upper is a function, no text: call it, {{ message.text.upper() }}"),
        ("{% macro m() %}{% endmacro %}{{ m }}", "m is a function, no text"),
        ("{{ messages | map('string') }}", "what is printed is a list, no text"),
        ("{{ messages | join(', ') }}", "message is no text: did you mean message.text?"),
        ("{{ 'at ' ~ [conversation] }}", "what is printed is a list, no text"),
        ("{{ range(3) }}", "what is printed is a list, no text"),
        ("{{ namespace() }}", "what is printed is a namespace, no text"),
        ("{{ memory.updated_at }}",
         "memory.updated_at is none: ask first, {% if memory.updated_at %}"),
        ("{{ memory.updated_at | timeago }} {{ sender.name }}", "memory.updated_at is none"),
        ("{{ memory.updated_at | date('%H') }}", "memory.updated_at is none"),
        ("{{ memory.updated_at | label }}", "memory.updated_at is none"),
        ("{{ memory.updated_at ~ '' }}", "memory.updated_at is none"),
        ("{% set x = none %}{{ x }} {{ message.text }}", "x is none: ask first, {% if x %}"),
        ("{{ none }}", "what is printed is none: ask first, {% if … %}"),
        ("{{ room and room.name }}", "what is printed is none"),
        ("{{ [1, none] | join }}", "what is printed is none"),
        ("{{ [none] | map('upper') | list | length }}", "what is printed is none"),
        ("{{ [none] | first }}", "what is printed is none"),
        ("{{ room.name }}", "room is none: ask first, {% if room %}"),
        ("{{ quoted.text }} {{ message.text }}", "quoted is none: ask first, {% if quoted %}"),
        ("{{ repo.branch }}", "repo is none: ask first, {% if repo %}"),
        ("{% for one in room.members %}{% endfor %}", "room is none: ask first, {% if room %}"),
    ],
)  # fmt: skip
def test_what_only_a_run_finds_is_told_with_the_words_of_the_template(
    problems: Problems, source: str, told: str
) -> None:
    (problem,) = problems(f"one\n{source}")
    assert told in problem.message
    assert problem.position.line == 2
    assert "found by trying" in problem.hint


def test_what_is_no_text_is_pointed_at(problems: Problems) -> None:
    (problem,) = problems("{{ sender.name }} {{ message.sender }}")
    assert problem.position == Position("user.j2", 1, 22, 14)
    (problem,) = problems("{{ sender.name }} {{ memory.updated_at | timeago }}")
    assert problem.position == Position("user.j2", 1, 22, 17)
    (problem,) = problems("{{ sender.id }} {{ quoted.text }}")
    assert problem.position == Position("user.j2", 1, 27, 4)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ memory.updated_at or 'never' }}", "never"),
        ("<{{ room.name if room }}><{{ room.name if room else '-' }}>", "<><->"),
        ("{{ memory.updated_at | default('never', true) }}", "never"),
        ("{{ messages | map(attribute='text') | join(', ') }}", "hello"),
        ("{{ messages | join(', ', attribute='sender.label') }}", "Bob"),
        ("{{ [message.extra, [1], none] | tojson }}", "[{}, [1], null]"),
        ("{{ message.mentioned }} {{ 1.5 }} {{ now - message.time }}", "False 1.5 0:00:00"),
        ("{{ message.time }} {{ now.date() }}", "2023-11-14 22:13:20+00:00 2023-11-14"),
        ("{% set x %}a{% endset %}{{ x }}{% filter upper %}a{% endfilter %}", "aA"),
        ("{% import 'botcord/hint.j2' as x with context %}{{ x }}", "[Answer only if you are ment"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}a{% endcall %}", "a"),
        ("{% set c = cycler(1, 2) %}{{ c.next() }}{{ joiner()() }}", "1"),
    ],
)
def test_what_can_be_printed(user_turn: Render, source: str, expected: str) -> None:
    assert user_turn(source)[: len(expected)] == expected


def test_what_another_package_tells_may_be_a_text(
    problems: Problems, config: Callable[..., Config]
) -> None:
    checked = config("{{ notes }}{{ notes | upper }}{{ 'a' ~ notes }}")
    others = replace(checked.context, others={"notes": {}})
    assert Prompts.compile(replace(checked, context=others))[1] == ()


def test_a_template_that_fails_in_a_turn_names_what_is_to_blame(
    config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> None:
    source = 'one\n{{ message.text }}: {% if message.text == "x" %}{{ quoted.text }}{% endif %}'
    for text, facts, told in (
        ("x", {}, "quoted is none: ask first, {% if quoted %}"),
        ("y", {"tags": [1]}, "message.extra.tags is a list, no text: write a loop"),
    ):
        checked = config(f"{source} {{{{ message.extra.tags }}}}")
        prompts, problems = Prompts.compile(checked)
        assert problems == ()
        context = replace(turn(text=text, extra=facts), route=checked.default_route)
        rendered = prompts.render(context)
        assert "[BotCord Message]" in rendered.prompt.user  # the built-in one takes its place
        (failed,) = rendered.failures
        assert (failed.name, failed.line) == ("user.j2", 2)
        assert told in failed.reason
