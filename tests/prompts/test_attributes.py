"""Attributes that nothing has are found in every branch, and pointed at."""

from collections.abc import Callable

import pytest

from sidecar.config.problems import Position, Problem
from sidecar.prompts.checking.kinds import OF
from sidecar.prompts.contract import SUCH_AS

Problems = Callable[..., tuple[Problem, ...]]

NEVER = '{% if conversation.id == "x" %}'
"""A branch that no sample reaches."""


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('{% if conversation.id == "rm_alerts" %}{{ sender.nme }}{% endif %}', ["sender 'nme'"]),
        ('{% if sender.name == "Zoe" %}{{ message.txt }}{% endif %}', ["message 'txt'"]),
        ("{{ message.txt }}\n{{ sender.nme }}\n{{ route.nam }}",
         ["message 'txt'", "sender 'nme'", "route 'nam'"]),
        ("{{ message.sender.nme }}{{ message['txt'] }}", ["sender 'nme'", "message 'txt'"]),
        ("{% for one in messages %}{{ one.txt }}{% endfor %}", ["message 'txt'"]),
        ("{% for e in history %}{% for m in e.messages %}{{ m.txt }}{% endfor %}{{ e.awser }}"
         "{% endfor %}", ["message 'txt'", "exchange 'awser'"]),
        ("{% set who = sender %}{{ who.nme }}", ["sender 'nme'"]),
        ("{% if room %}{{ room.members[0].nme }}{{ (room.members | first).rol }}{% endif %}",
         ["member 'nme'", "member 'rol'"]),
        ("{% if repo %}{{ repo.brach }}{% endif %}{{ memory.goals }}",
         ["repo 'brach'", "memory 'goals'"]),
        ("{{ sender.NOPE | d }}{{ env.NOPE }}", ["sender 'NOPE'", "env 'NOPE'"]),
        ("{{ sender.nme | default('x') }}{{ room.nme | d('x') }}{{ messages.txt | d }}",
         ["sender 'nme'", "room 'nme'", "messages is a list and 'txt'"]),
        (f"{NEVER}{{{{ account.id }}}}{{{{ message.text.uppr() }}}}{{% endif %}}",
         ["account is a text and 'id'", "message.text is a text and 'uppr'"]),
        (f"{NEVER}{{{{ messages.text }}}}{{{{ activity.entries[0].title.a }}}}{{% endif %}}",
         ["messages is a list and 'text'", "activity.entries[0].title is a text and 'a'"]),
        (f"{NEVER}{{{{ turn.attempt.x }}}}{{{{ message.mentioned.x }}}}{{{{ now.yer }}}}"
         "{% endif %}", ["turn.attempt is a number and 'x'",
          "message.mentioned is true or false and 'x'", "now is a time and 'yer'"]),
        (f"{NEVER}{{{{ env.NOPE }}}}{{{{ env['NONE'] }}}}{{% endif %}}",
         ["env 'NOPE'", "env 'NONE'"]),
        (f"{NEVER}{{{{ messages | map(attribute='txt') | join }}}}"
         "{{ messages | selectattr('mentioned') | join(', ', attribute='sender.nme') }}"
         "{{ messages | groupby('channel') | length }}"
         "{{ (messages | sort(attribute='time') | first).tme }}{% endif %}",
         ["message 'txt'", "sender 'nme'", "message 'channel'", "message 'tme'"]),
    ],
    ids=lambda found: found[:40] if isinstance(found, str) else "",
)  # fmt: skip
def test_unknown_attributes_are_found_where_no_sample_comes(
    problems: Problems, source: str, wrong: list[str]
) -> None:
    found = [problem.message.partition(",")[0].partition(":")[0] for problem in problems(source)]
    assert [one.replace(" has no", "") for one in found] == wrong


@pytest.mark.parametrize(
    "source",
    [
        "{{ message.extra.topic }}{{ env.REGION.upper() }}{{ sender.name.upper() }}",
        "{% for sender in [{'nme': 1}] %}{{ sender.nme }}{% endfor %}",
        "{% set room = {'nme': 1} %}{{ room.nme }}",
        "{% set it = sender %}{% set it = {'nme': 1} %}{{ it.nme }}",
        "{% macro m(message) %}{{ message.txt }}{% endmacro %}{{ m({'txt': 1}) }}",
        "{% with sender = {'nme': 1} %}{{ sender.nme }}{% endwith %}",
        "{% import 'botcord/quoted.j2' as sender with context %}{{ sender.nme is defined }}",
        "{% set n = namespace(sender=1) %}{% set n.sender = 2 %}{{ n.sender }}",
        "{% if sender.nme is defined %}{{ sender.nme }}{% endif %}",
        "{% for key, value in memory.items() %}{{ key }}{% endfor %}",
        "{% for a, sender in [(1, {'nme': 2})] %}{{ sender.nme }}{% endfor %}",
        "{{ (quoted or room or {'nme': 1}).nme | d(1) }}",
        "{{ message.extra.nme | d('x') }}{{ room.name | d('x') }}",
        "{{ env.NOPE | d('x') }}",
        "{% if env.NOPE is defined %}{{ env.NOPE }}{% endif %}",
        "{% if 'NOPE' in env %}{{ env.NOPE }}{% endif %}{{ env.get('NOPE', '') }}",
        "{{ message.text.upper() }}{{ message.text['upper']() }}{{ message.text[:1] }}",
        "{{ now.year }}{{ now.isoformat() }}{{ messages.index(message) }}",
        "{{ messages | map(attribute='txt', default='') | join }}",
        "{{ messages | groupby('sender.id') | length }}{{ [1] | map('string') | list | length }}",
        "{{ history | map(attribute='messages.0.text') | join }}",
        "{% for text in message.text.split() %}{{ text.upper() }}{% endfor %}",
    ],
)
def test_attributes_that_there_may_be_are_left_alone(problems: Problems, source: str) -> None:
    assert problems(source, env=("REGION",)) == ()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ messages.text }}", "did you mean message.text? All are "
         "{% for message in messages %}{{ message.text }}{% endfor %}"),
        ("{{ activity.entries.title }}",
         "write {% for entry in activity.entries %}{{ entry.title }}{% endfor %}"),
        ("{{ messages.foo }}", "write {% for message in messages %}{{ message.… }}{% endfor %}"),
        ("{{ message.text.uppr() }}", "did you mean 'upper'?"),
        ("{{ account.id }}", "write account alone"),
        ("{{ turn.attempt.x }}", "write turn.attempt alone"),
        ("{{ now.yer }}", "did you mean 'year'?"),
        ("{{ message.text.format(1) }}",
         "templates cannot use 'format' of a text: write {{ a ~ b }}"),
        ("{{ message.text.replace('a', 'b') }}",
         "cannot use 'replace' of a text: there is a filter, {{ … | replace }}"),
        ("{{ message.text.zfill(3) }}", "templates cannot use 'zfill' of a text"),
        ("{{ messages.clear() }}", "templates cannot use 'clear' of a list"),
        ("{{ env.REGOIN }}", "did you mean 'REGION'?"),
        ("{{ env.REGION.uppr() }}", "env.REGION is a text and has no 'uppr'"),
    ],
)  # fmt: skip
def test_what_to_write_instead_is_told(problems: Problems, source: str, told: str) -> None:
    (problem,) = problems(f"{NEVER}{source}{{% endif %}}", env=("REGION",))
    assert told in problem.message
    assert ("context.env" in problem.hint) is ("env has" in problem.message)


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("{% set s = message %}{{ s.txt }}{{ message.txt }}", [(27, 3), (44, 3)]),
        ("{{ sender.nme }} {{ sender.nme }}", [(11, 3), (28, 3)]),
        ("txt: {{ message.txt }}", [(17, 3)]),
        ("{{ message.sender.txt }}{{ message.txt }}", [(19, 3), (36, 3)]),
        # which of two is wrong, nothing in the line tells
        ("sender.nme: {{ sender.nme }}", [(1, 28)]),
    ],
)
def test_each_of_several_in_a_line_is_pointed_at(
    problems: Problems, source: str, places: list[tuple[int, int]]
) -> None:
    found = [problem.position for problem in problems(source)]
    assert found == [Position("user.j2", 1, column, width) for column, width in places]


def test_of_each_kind_with_attributes_one_is_known_that_is_a_text() -> None:
    assert SUCH_AS.keys() == OF.keys()
    assert all(OF[kind][name] in ("text", "int") for kind, name in SUCH_AS.items())
