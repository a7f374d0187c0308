"""The published ways out of Jinja sandboxes lead nowhere, and no text of a message is compiled."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.config.model import Config, Template
from sidecar.model import Conversation, Sender
from sidecar.prompts.render import Prompts, TurnContext

# From write-ups of template injection in Jinja and Flask, and from Jinja's own advisories
# CVE-2014-1402, CVE-2016-10745, CVE-2019-10906, CVE-2024-22195, CVE-2024-34064, CVE-2024-56326 and
# CVE-2025-27516; CVE-2024-56201 is below.
ESCAPES = (
    # the classes of any object, and what hangs on them
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'][1]['__subclasses__']() }}",
    "{{ ()|attr('__class__')|attr('__base__')|attr('__subclasses__')() }}",
    "{{ [].__class__.__base__.__subclasses__()[-1].__init__.__globals__ }}",
    "{{ ''['__cla' ~ 'ss__'] }}",
    "{{ ''['__CLASS__'|lower] }}",
    "{{ ''[['__cla','ss__']|join] }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ dict(__class__=1).__class__ }}",
    "{{ (1).__class__ }}",
    "{{ (1.5).real.__class__ }}",
    "{{ none.__class__ }}",
    "{{ true.__class__.__base__ }}",
    # the globals of functions that templates can call
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum.__globals__.__builtins__ }}",
    "{{ range.__self__ }}",
    "{{ dict.__init__.__self__ }}",
    "{{ dict.mro() }}",
    "{{ cycler(1).next.__func__.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__.__func__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}",
    # the machinery of Jinja
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{% block b %}{{ self.b.__class__ }}{% endblock %}",
    "{% block b %}{{ self.b._context }}{% endblock %}",
    "{% for a in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for a in [1] %}{{ loop._iterable.__class__ }}{% endfor %}",
    "{{ undefined_name.__class__ }}",
    "{{ (message.extra.nothing is defined).__class__ }}",
    "{% set x = namespace() %}{{ x.__dict__ }}",
    "{% set x = namespace() %}{% set x.__class__ = 1 %}{{ x.__class__ }}",
    "{% import 'botcord/user_turn.j2' as t with context %}{{ t.__class__ }}",
    "{% import 'botcord/user_turn.j2' as t with context %}{{ t._body_stream.__class__ }}",
    # format strings, also through a reference, a filter and a mapping
    "{{ '{0.__class__}'.format(message) }}",
    "{{ '{0.__class__}'.format_map({'0': message}) }}",
    "{% set f = '{0.__class__.__mro__}'.format %}{{ f(message) }}",
    "{{ ['{0.__class__}'] | map('format', message) | list }}",
    "{{ ('{0.__class__}' | attr('format'))(message) }}",
    "{{ '%s' | format(message) }}",
    "{{ ''.join(['{0.__', 'class__}']).format(message) }}",
    "{% set n = namespace(f='{0.__class__}'.format) %}{{ n.f(message) }}",
    "{% set n = namespace(f='{x.__class__}'.format_map) %}{{ n.f({'x': message}) }}",
    "{% macro m() %}{{ varargs[0](message) }}{% endmacro %}{{ m('{0.__class__}'.format) }}",
    "{{ ['{0.__class__}'] | map(attribute='format') | first(message) }}",
    "{{ (['{0.__class__}'] | map(attribute='format') | list)[0](message) }}",
    "{{ '{0.__class__}'['format'](message) }}",
    "{{ dict(f='{0.__class__}'.format).f(message) }}",
    "{{ '{0.__class__}' | attr('for' ~ 'mat') }}",
    # attributes that a filter reads
    "{{ [message] | map('attr', '__class__') | list }}",
    "{{ [message] | selectattr('__class__') | map(attribute='__class__.__mro__') | list }}",
    "{{ [message] | sort(attribute='__class__.__name__') }}",
    "{{ [message] | sum(attribute='__class__') }}",
    "{{ [message] | join(attribute='__class__') }}",
    "{{ [message] | unique(attribute='__class__') | map(attribute='__init__') | list }}",
    # functions as coroutines, generators and code
    "{{ message.extra.get.__self__ }}",
    "{{ (message.text.upper).__self__ }}",
    "{{ messages.append.__self__ }}",
    "{{ (m for m in messages) }}",
    "{{ (messages | map('string')).gi_frame.f_globals }}",
    "{{ (messages | select).gi_code }}",
    "{{ (messages | map('string')).gi_yieldfrom.gi_frame }}",
    "{{ (messages | map('string')).ag_frame }}",
    "{{ (messages | map('string')).cr_frame }}",
    "{{ (messages | map('string')).throw(1) }}",
    "{% macro m() %}{{ caller.gi_frame }}{% endmacro %}{% call m() %}{% endcall %}",
    "{{ joiner.__call__.__code__ }}",
    "{{ message.text.upper.__reduce_ex__(2) }}",
    # what a value of a turn is made of
    "{{ message.__dataclass_fields__ }}",
    "{{ message._facts.__self__ }}",
    "{{ message['_facts'] }}",
    "{{ message.sender.__slots__.__class__ }}",
    "{{ now.__class__ }}",
    "{{ now.strftime.__self__.__class__ }}",
    "{{ env.__class__.__mro__ }}",
    # attributes of tags, from the keys of a mapping
    "{{ {'a onclick=x': 1} | xmlattr }}",
    "{{ {'a/b': 1} | xmlattr }}",
    # changes
    "{{ messages.clear() }}",
    "{{ messages.extend([1]) }}",
    "{{ messages.sort() }}",
    "{{ env.setdefault('a', 'b') }}",
    "{{ env.pop('a') }}",
    "{{ message.extra.update({'a': 1}) }}",
    "{% set message.text = 'forged' %}",
    "{% do messages.append(1) %}",
    # files and modules
    "{% include '../environment.py' %}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{% extends '/etc/passwd' %}",
    "{% from 'subprocess' import run %}{{ run('id') }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{% debug %}",
)

HARMLESS = (
    "{{ [message] | map(attribute='__class__') | list }}",
    "{{ [message] | groupby('__class__') }}",
    "{{ [message] | max(attribute='__class__') }}",
    "{{ [message] | map(attribute='sender.__class__') | list }}",
)
"""They find nothing, and say so."""
LEAKS = ("__subclasses__", "<class", "<function", "<module", "uid=", "root:", "object at 0x")


def rendered(
    source: str, config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> tuple[str, int]:
    checked = config(f"start {source} end")
    prompts, _ = Prompts.compile(checked)
    found = prompts.render(replace(turn(), route=checked.default_route))
    return found.prompt.user, len(found.failures)


@pytest.mark.parametrize("source", ESCAPES)
def test_a_known_way_out_of_the_sandbox_is_closed(
    source: str, config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> None:
    text, failures = rendered(source, config, turn)
    assert failures == 1, text  # the built-in template took its place
    assert not any(leak in text for leak in LEAKS)


@pytest.mark.parametrize("source", HARMLESS)
def test_a_filter_finds_no_hidden_attribute(
    source: str, config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> None:
    text, _ = rendered(source, config, turn)
    assert not any(leak in text for leak in (*LEAKS, "type"))


@pytest.mark.parametrize("source", [*ESCAPES, "{{ 7 * 7 }}", "{% raw %}", "{# #}", "# for x in y"])
def test_a_template_in_a_message_is_only_text(source: str, user_turn: Callable[..., str]) -> None:
    assert user_turn("<{{ message.text }}>", text=f"a {source} b") == f"<a {source} b>"


@pytest.mark.parametrize(
    "name", ["a.j2\n__import__('os')._exit(3)", "'; __import__('os')._exit(3) #", '"""{0}', "{a}%s"]
)
def test_the_name_of_a_file_is_no_code(
    name: str, config: Callable[..., Config], turn: Callable[..., TurnContext]
) -> None:
    """CVE-2024-56201: a name with an f-string or a line break in it reached the compiled code."""
    for source in (
        "{{ message.text }}",
        "{% import 'botcord/room.j2' as a with context %}{{ a.x }}",
    ):
        route = replace(turn().route, user_turn=Template(name, source))
        prompts, problems = Prompts.compile(replace(config(), default_route=route))
        assert all(problem.position.file == name for problem in problems)
        prompts.render(replace(turn(), route=route))


@pytest.mark.parametrize("part", ["text", "sender", "conversation", "extra"])
def test_no_part_of_a_message_is_compiled(part: str, user_turn: Callable[..., str]) -> None:
    evil = "{{ 7 * 7 }}"
    change = {
        "text": evil,
        "sender": Sender(evil, "human", evil),
        "conversation": Conversation(evil, "group", evil, evil),
        "extra": {"a": evil, evil: evil},
    }[part]
    source = (
        "{{ message.text }}{{ sender.name }}{{ sender.id }}{{ conversation.title }}"
        "{{ conversation.thread }}{% for k, v in message.extra.items() %}{{ k }}{{ v }}{% endfor %}"
    )
    text = user_turn(source, **{part: change})
    assert evil in text
    assert "49" not in text
