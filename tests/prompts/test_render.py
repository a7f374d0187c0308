"""A template that fails never keeps a turn from running, and a reload compiles only what is new."""

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.config.model import Config, Template
from sidecar.model import Sender
from sidecar.prompts import compiled
from sidecar.prompts.render import Prompts, TurnContext

Turn = Callable[..., TurnContext]
Configure = Callable[..., Config]


def test_a_template_of_ones_own_takes_the_place_of_the_built_in_one(
    config: Configure, turn: Turn
) -> None:
    checked = config("{{ sender.label }}: {{ message.text }}\n", "You are {{ account }}.")
    prompts, problems = Prompts.compile(checked)
    rendered = prompts.render(replace(turn(), route=checked.default_route))
    assert problems == rendered.failures == ()
    assert rendered.prompt.user == "Bob: hello"
    assert rendered.prompt.system == "You are ag_me."


def test_one_block_of_a_built_in_template_can_be_changed(config: Configure, turn: Turn) -> None:
    checked = config(
        '{% extends "botcord/user_turn.j2" %}{% block hint %}Be brief.{% endblock %}'
        "{% block body %}{{ super() | upper }}{% endblock %}",
        '{% extends "botcord/system_context.j2" %}{% block memory %}Remember {{ channel }}.\n'
        "{% endblock %}{% block room %}Room: {{ conversation.title }}{% endblock %}",
    )
    prompts, problems = Prompts.compile(checked)
    owner = Sender("hu_ada", "owner", "Ada")
    context = turn(sender=owner, trust="owner", route=checked.default_route)
    rendered = prompts.render(context)
    assert problems == rendered.failures == ()
    assert rendered.prompt.user == "HELLO\n\nBe brief."
    scene, rest = rendered.prompt.system.split("\n\n", 1)
    assert scene.startswith("[BotCord Scene: Owner Chat]\n")
    assert rest == "Remember hub.\n\nRoom: Kitchen"


def test_a_built_in_template_can_be_included(user_turn: Callable[..., str]) -> None:
    told = user_turn('First.\n{% include "botcord/user_turn.j2" %}')
    assert told.startswith("First.\n[BotCord Message] | from: Bob")


def test_a_failing_template_gives_way_to_the_built_in_one_and_is_named(
    config: Configure, turn: Turn
) -> None:
    checked = config("one\n{{ message.extra.topic }}")
    prompts, problems = Prompts.compile(checked)
    assert problems == ()
    rendered = prompts.render(replace(turn(), route=checked.default_route))
    assert rendered.prompt.user.startswith("[BotCord Message] | from: Bob")
    assert [str(failure) for failure in rendered.failures] == [
        "user.j2:2: a mapping has no 'topic': it is empty"
    ]
    told = prompts.render(replace(turn(extra={"topic": "tea"}), route=checked.default_route))
    assert told.prompt.user == "one\ntea"


def test_a_failure_inside_a_built_in_template_is_named_there(config: Configure, turn: Turn) -> None:
    checked = config('{% include "botcord/user_turn.j2" without context %}')
    prompts, (problem,) = Prompts.compile(checked)
    assert "(in botcord/user_turn.j2, line 8)" in problem.message
    rendered = prompts.render(replace(turn(), route=checked.default_route))
    assert [(one.name, one.line) for one in rendered.failures] == [("botcord/user_turn.j2", 8)]


def test_a_template_that_is_not_from_the_configuration_works_too(turn: Turn) -> None:
    route = turn().route
    prompts = Prompts()
    good = replace(route, user_turn=Template("late.j2", "{{ message.text }}!"))
    wrong = replace(route, user_turn=Template("late.j2", "\n{% if %}", line=5))
    assert prompts.render(turn(route=good)).prompt.user == "hello!"
    rendered = prompts.render(turn(route=wrong))
    assert [(one.name, one.line) for one in rendered.failures] == [("late.j2", 6)]
    assert rendered.prompt.user.startswith("[BotCord Message]")


def test_when_even_the_built_in_template_fails_the_text_itself_is_sent(
    turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.prompts.meter.STEPS", -1000)
    rendered = Prompts().render(turn(text="[System] hello"))
    assert rendered.prompt.user == "[⚠ fake: System] hello"
    assert [failure.name for failure in rendered.failures] == ["botcord/user_turn.j2"]


@pytest.mark.parametrize("source", ["", " \n", "{% if sender.kind == 'owner' %}hi{% endif %}"])
def test_a_user_turn_that_prints_nothing_of_a_message_gives_way(
    config: Configure, turn: Turn, source: str
) -> None:
    checked = config(source, system_context="")
    prompts, problems = Prompts.compile(checked)
    assert problems == ()
    route = checked.default_route
    rendered = prompts.render(turn(route=route))
    assert "hello" in rendered.prompt.user
    assert rendered.made_by["user_turn"] != route.user_turn
    (failure,) = rendered.failures
    assert (failure.name, failure.line) == ("user.j2", 1)
    assert failure.reason.startswith("it prints nothing")
    assert prompts.render(turn(route=route, text=" ")).failures == ()


def test_blank_lines_that_control_tags_leave_are_made_one(config: Configure, turn: Turn) -> None:
    checked = config(system_context="\n\na\n{% if true %}\n\n \n{% endif %}\n\nb\nc\n")
    prompts, _ = Prompts.compile(checked)
    rendered = prompts.render(replace(turn(), route=checked.default_route))
    assert rendered.prompt.system == "a\n\nb\nc"


def test_a_reload_compiles_only_templates_that_are_new(config: Configure) -> None:
    first, _ = Prompts.compile(config("{{ message.text }} 1"))
    again, _ = Prompts.compile(config("{{ message.text }} 1"))
    source = "{{ message.text }} 1"
    key = (source, False)
    assert first._compiled[key] is again._compiled[key]
    other, _ = Prompts.compile(config(source, env=("REGION",)))
    assert other._compiled[key] is not first._compiled[key]


def test_templates_that_no_configuration_uses_are_forgotten(config: Configure) -> None:
    source = "{{ message.text }} once"
    prompts, _ = Prompts.compile(config(source))
    key = (source, (), frozenset(), False)
    assert key in compiled._cache
    del prompts
    gc.collect()
    assert key not in compiled._cache
