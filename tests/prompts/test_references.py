"""Templates name built-in ones alone: a name that none has is found in every branch."""

from collections.abc import Callable

import pytest

from sidecar.config.problems import Position, Problem

Problems = Callable[..., tuple[Problem, ...]]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('{% include "header.j2" %}', "did you mean 'botcord/header.j2' or 'plain/header.j2'?"),
        ('{% include "quoted" %}', "did you mean 'botcord/quoted.j2' or 'plain/quoted.j2'?"),
        ('{% import "botcord/rom.j2" as x %}', "did you mean 'botcord/room.j2'?"),
        ('{% from "plain/hinnt.j2" import x %}', "did you mean 'plain/hint.j2'?"),
        ('{% include "common.j2" %}', "there are the built-in ones, none of your own: botcord/"),
        ('{% include "botcord/zzzzz.j2" %}', "there are the built-in ones, none of your own"),
        ('{% include ["memry.j2", "a.j2"] %}', "there are the built-in ones, none of your own"),
    ],
)
def test_a_name_that_no_template_has(problems: Problems, source: str, told: str) -> None:
    (problem,) = problems(f'{{% if conversation.id == "x" %}}{source}{{% endif %}}')
    assert problem.message.startswith("no template is named '")
    assert told in problem.message
    (same,) = problems(source)
    assert same.message == problem.message


def test_a_name_is_pointed_at(problems: Problems) -> None:
    (problem,) = problems('a\n{{ message.text }} {% include "common.j2" %}')
    assert problem.position == Position("user.j2", 2, 32, 9)
    (problem,) = problems('{% set name = "common.j2" %}{% include name %}')
    assert "'common.j2': there are the built-in ones, none of your own" in problem.message


def test_what_is_wrong_is_told_in_the_order_of_its_lines(problems: Problems) -> None:
    found = problems('{% include "common.j2" %}\n{{ room }}\n{{ message.txt }}')
    assert [problem.position.line for problem in found] == [1, 2, 3]


@pytest.mark.parametrize(
    "source",
    [
        '{% include "common.j2" ignore missing %}',
        '{% include ["common.j2", "botcord/room.j2"] %}',
        '{% include "botcord/" ~ "room.j2" %}',
    ],
)
def test_a_name_that_need_not_be_there_is_left_alone(problems: Problems, source: str) -> None:
    assert problems(source) == ()
