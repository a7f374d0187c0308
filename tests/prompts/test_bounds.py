"""A template that runs away is stopped quickly, and its author is told where and why."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from jinja2.exceptions import SecurityError

from sidecar.config.model import Config
from sidecar.errors import TemplateFailed
from sidecar.prompts.meter import MOST_LISTS, Meter
from sidecar.prompts.render import Prompts, TurnContext
from tests.growth import seconds

STEPS, TEXT = "too many steps", "too much text"

RUNAWAYS = {
    "{% for a in range(3000) %}{% for b in range(3000) %}{% endfor %}{% endfor %}": STEPS,
    "{% for a in range(9000) %}{% endfor %}{% for b in range(9000) %}{% endfor %}": STEPS,
    "{% for a in range(60000) %}{% endfor %}": STEPS,
    "{% for i in range(10**9) %}{% endfor %}": "Range too big",
    "{% set n = namespace(i=0) %}{% for a in cycler(1, 2) %}{% endfor %}": "not iterable",
    "{% block b %}{{ self.b() }}{% endblock %}": "calls itself too deeply",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}":
        "calls itself too deeply",
    "{% for a in [1] recursive %}{{ loop(range(9000)) }}{% endfor %}": STEPS,
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(20) }}": STEPS,
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "calls itself too deeply",
    "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}":
        STEPS,
    "{% for i in range(500) %}{{ ('x ' * 9000) | wordcount }}{% endfor %}": TEXT,
    "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}":
        TEXT,
    "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}":
        TEXT,
    "{% set n = namespace(x='ab') %}{% for i in range(60) %}"
    "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}": TEXT,
    "{{ 'a' * 10**8 }}": TEXT,
    "{{ 10**8 * 'a' }}": TEXT,
    "{{ ['x' * 1000] * 1000 }}": "small numbers",
    "{{ '%100000000d' % 1 }}": "texts have no %: write {{ a ~ b }}",
    "{{ 10**9 * 10**9 * 10 }}": "small numbers",
    "{{ 2 ** 1000 }}": "small numbers",
    "{{ 'a'.center(10**8) }}": "cannot use 'center' of a text",
    "{{ '{:100000000}'.format(1) }}": "cannot use 'format' of a text",
    "{{ (5).to_bytes(10**9, 'big') }}": "cannot use 'to_bytes' of a number",
    "{{ range(5000) | join('x' * 1000) | length }}": TEXT,
    "{% set x = 'a' * 9000 %}{{ x | replace('', x) | length }}": TEXT,
    "{{ ('a\\n' * 5000) | indent(100) | length }}": TEXT,
    "{% set x = 'a' * 90000 %}{{ [x, x, x] | tojson | length }}": TEXT,
    "{% set x = 'a' * 10000 %}{% for i in range(30) %}{{ x }}{% endfor %}": TEXT,
    "{% set x = 'a ' * 50000 %}{% for i in range(99) %}{{ x | wordcount }}{% endfor %}": STEPS,
    "{% set x = range(4000) | list %}{% for i in range(99) %}{{ x | length }}{% endfor %}": STEPS,
    "{% set x = range(2000) | list %}{% for i in range(9) %}"
    "{% for n in x | map('string') %}{% endfor %}{% endfor %}": STEPS,
    **{
        "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}" + change
        + "{% endfor %}" + use: STEPS
        for change, use in {
            # a few lists that hold one another are endless when they are printed or compared
            "{% set n.x = [n.x, n.x] %}": "{{ n.x }}",
            "{% set n.x = (n.x, n.x) %}": "{{ n.x | tojson }}",
            "{% set n.x = {1: n.x, 2: n.x} %}": "{{ n.x ~ '' }}",
            "{% set n.x = dict(a=n.x, b=n.x) %}": "{{ n.x | string }}",
            "{% set n.x = namespace(a=n.x, b=n.x) %}": "{{ n.x | label }}",
            "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}": "{{ n.x == n.y }}",
            "{% set n.x = [n.x] + [n.x] %}": "{{ n.x in [n.x] }}",
            "{% set n.x = [n] %}{% set n.y = [n.x] %}": "{{ n.y | length }}",
        }.items()
    },
    "{% macro m() %}{% set n.x = kwargs %}{% endmacro %}{% set n = namespace(x=[1]) %}"
    "{% for i in range(60) %}{{ m(a=n.x, b=n.x) }}{% endfor %}": STEPS,
    "{% set x = range(3000) | list %}{% for i in range(3000) %}{{ 'a' in x }}{% endfor %}": STEPS,
    "{% set x = 'é' * 90000 %}{% for i in range(3000) %}{% if x.upper() %}{% endif %}{% endfor %}":
        STEPS,
    "{% set x = 'é' * 90000 %}{% for i in range(3000) %}{% if x[::2] %}{% endif %}{% endfor %}":
        STEPS,
    "{% set x = range(900) | list %}{% for i in range(3000) %}{{ x is eq(x + []) }}{% endfor %}":
        STEPS,
    "{{ 1 | round(100000000, 'floor') }}": "small numbers",
    "{{ 3.14 | round('3000000' | int, 'ceil') }}": "small numbers",
    "{{ 1 | round(-100000000) }}": "small numbers",
    "{{ [1] | map('round', 100000000, 'floor') | list }}": "small numbers",
    "{{ 3 % 10**19 }}": "small numbers",
    "{{ 10**19 // 3 }}": "small numbers",
    "{{ 10**19 / 3 }}": "small numbers",
    "{{ (10**19) is divisibleby(3) }}": "small numbers",
    "{{ '%100000000d' is divisibleby(1) }}": "small numbers",
    "{% set n = namespace() %}{% set n.n = n %}{{ n == n }}": STEPS,
    "{% set n = namespace(x=['é' * 90000]) %}{% for i in range(10) %}{% set n.x = n.x + n.x %}"
    "{% endfor %}{{ n.x | map('upper') | list | length }}": STEPS,
    "{% set x = range(3000) | list %}{{ x | select('in', x + [0.5]) | list | length }}": STEPS,
    "{% set x = range(4900) %}{% for a in [0] recursive %}{% if not loop.depth0 %}{{ loop(x) }}"
    "{% endif %}{% endfor %}": STEPS,
    "{{ 'a' | indent(10**8) }}": "at most 100 characters",
    "{{ [1] | tojson(indent=10**8) }}": "at most 100 characters",
    "{% for i in range(4000) %}" + "x" * 10_000 + "{% endfor %}": TEXT,
}  # fmt: skip


@pytest.fixture(scope="module")
def moment() -> float:
    """The time of the processor that a million small steps of a program take here."""
    return seconds(lambda: sum(1 for _ in range(1_000_000)))


@pytest.fixture
def fail(
    config: Callable[..., Config], turn: Callable[..., TurnContext], moment: float
) -> Callable[[str], TemplateFailed]:
    """The failure of a template, which does not keep the prompt from being made."""

    def run(source: str) -> TemplateFailed:
        checked = config(source)
        prompts, problems = Prompts.compile(checked)
        assert problems
        context = replace(turn(), route=checked.default_route)
        began = time.process_time()
        rendered = prompts.render(context)
        assert time.process_time() - began < 20 * moment
        assert "[BotCord Message]" in rendered.prompt.user
        return rendered.failures[0]

    return run


@pytest.mark.parametrize(("source", "reason"), RUNAWAYS.items(), ids=lambda text: text[:40])
def test_a_runaway_is_stopped(
    fail: Callable[[str], TemplateFailed], source: str, reason: str
) -> None:
    failed = fail(f"one\n{source}")
    assert (failed.name, failed.line) == ("user.j2", 2)
    assert reason in failed.reason


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ message.__class__ }}",
        "{{ message._facts }}",
        "{{ message['_facts'] }}",
        "{{ [].append(1) }}",
        "{{ env.update(a=1) }}",
        "{{ ''['__class__'] }}",
        "{{ [message] | map(attribute='__class__') | first }}",
        "{{ namespace.__init__ }}",
        "{{ self.__class__ }}",
    ],
)
def test_a_template_reaches_nothing_but_its_values(
    fail: Callable[[str], TemplateFailed], source: str
) -> None:
    assert "cannot use" in fail(source).reason


@pytest.mark.parametrize("source", ["{{ '/etc/passwd' | open }}", "{% include '/etc/passwd' %}"])
def test_a_template_reads_no_files(fail: Callable[[str], TemplateFailed], source: str) -> None:
    assert "passwd" in fail(source).reason or "no filter" in fail(source).reason


def test_a_long_message_gives_its_template_more_room(user_turn: Callable[..., str]) -> None:
    text = "word " * 100_000
    assert user_turn("{{ message.text | trim | upper }}", text=text) == text.strip().upper()


def test_a_list_made_of_many_messages_is_no_runaway(user_turn: Callable[..., str]) -> None:
    source = (
        "{% for n in range(2000) %}{{ loop.index }}{% if not loop.last %},{% endif %}{% endfor %}"
    )
    assert user_turn(source) == ",".join(str(number) for number in range(1, 2001))


@pytest.mark.parametrize(
    "source",
    ["{% set n = namespace() %}{% set n.n = n %}{{ n == n }}", "{{ 1 | round(9 ** 9, 'floor') }}"],
)
def test_what_is_endless_stays_so_with_a_long_message(
    config: Callable[..., Config], turn: Callable[..., TurnContext], moment: float, source: str
) -> None:
    checked = config(source)
    context = replace(turn(text="a" * 1_000_000), route=checked.default_route)
    began = time.process_time()
    rendered = Prompts().render(context)
    assert time.process_time() - began < 20 * moment
    assert len(rendered.failures) == 1


def test_lists_inside_of_one_another_are_bounded_however_long_the_message_is() -> None:
    with pytest.raises(SecurityError, match=STEPS):
        Meter(given=10_000_000).pay([[]] * (MOST_LISTS + 1))


def test_a_number_of_thousands_of_digits_is_none(user_turn: Callable[..., str]) -> None:
    source = "{{ message.text | int(7, 16) }} {{ '42.7' | int }} {{ 1.26 | round(1) }}"
    assert user_turn(source, text="f" * 60_000) == "7 42 1.3"
