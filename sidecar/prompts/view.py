"""Values made for templates, and what is told of those that are no text, or lack an attribute."""

from collections.abc import Iterable

from sidecar.config.problems import near
from sidecar.prompts.contract import PROVIDERS, SUCH_AS

SHOWN = 20
"""Attributes that an error lists."""
_INSTEAD = {
    "list": 'write a loop, or {{{{ {0} | join(", ") }}}}, or {{{{ {0} | tojson }}}}',
    "mapping": "print a value in it, or all of it: {{{{ {0} | tojson }}}}",
    "function": "call it, {{{{ {0}() }}}}",
}
"""What to write for a kind of value that is no text, `{0}` being what is printed."""


class View:
    """A value of which templates may read all public attributes. It is no text itself."""

    __slots__ = ()


def parts_of(view: View) -> dict[str, object]:
    """All that templates may read of a view, by name."""
    return {name: getattr(view, name) for name in dir(view) if name[0] != "_"}


def name_of(view: type) -> str:
    """What a view is called in an error."""
    return view.__name__.removesuffix("View").lower()


def no_attribute(kind: str, name: str, known: Iterable[str]) -> str:
    """That a kind of value has no such attribute, with what was meant and what there is."""
    names = list(known)
    question, there = near(name, names), f"has {', '.join(names[:SHOWN])}"
    more = f", {question} It {there}" if question else f": it {there if names else 'is empty'}"
    return f"{kind} has no {name!r}{more}"


def no_text(kind: str, path: str = "") -> str:
    """That a value is no text, with what to print instead. `kind` is one of the contract, with
    `[…]` around that of the items of a list, or `none`, `list`, `mapping`, `function`, or a word
    for another one. `path` is how a template calls the value, where that is known."""
    it = path or "…"
    if kind in SUCH_AS:
        it = path or kind
        below = f", below {{% if {it} %}}" if PROVIDERS.get(kind, kind) is None else ""
        return f"{it} is no text: did you mean {it}.{SUCH_AS[kind]}{below}?"
    if kind == "none":
        return f"{path or 'what is printed'} is none: ask first, {{% if {it} %}}"
    if kind[0] == "[":
        one = kind[1:-1]
        loop = f"{{% for {one} in {it} %}}{{{{ {one}.{SUCH_AS[one]} }}}}{{% endfor %}}"
        newest = f"did you mean {one}.{SUCH_AS[one]}? All are " if path == f"{one}s" else "write "
        return f"{it} is a list, no text: {newest}{loop}"
    told = f"{path or 'what is printed'} is a {kind}, no text"
    return f"{told}: {_INSTEAD[kind].format(it)}" if kind in _INSTEAD else told
