"""What a template prints: what is no text, as far as its source tells, and what that calls the
value for which a run failed."""

import re
from collections.abc import Iterable, Iterator, Sequence

from jinja2 import nodes

from sidecar.errors import TemplateFailed
from sidecar.prompts.checking.attributes import Found
from sidecar.prompts.checking.kinds import OF, Kinds, bare, kind_of, kinds_of_names, path, read
from sidecar.prompts.contract import PROVIDERS
from sidecar.prompts.environment import ENVIRONMENT
from sidecar.prompts.filters import PRINTING
from sidecar.prompts.texts import NoText
from sidecar.prompts.view import no_text

_ANOTHER = ("default", "d")
"""Filters that give another value where there is none."""
_MAKING_TEXTS = PRINTING | {".joined", "length", "tojson"}
_OF_NONE = re.compile(r"nothing that could have '([^']+)'")
_OR_NONE = ("seconds", *(name for name, empty in PROVIDERS.items() if empty is None))
"""The kinds of what may be none."""


def unprintable(found: Sequence[nodes.Node], names: Kinds) -> Iterator[Found]:
    """What is printed and is no text. `found` are a template's nodes in their order, `names` the
    kinds of its names."""
    for value in _printed(found):
        kind = kind_of(value, names)
        kind = "mapping" if kind == "env" else kind
        if kind is not None and (kind in OF or kind == "mapping" or kind[0] == "["):
            called = path(value)
            yield Found(no_text(kind, called), value.lineno, called, called)


def blamed(source: str, failed: TemplateFailed) -> tuple[str, str]:
    """Why the template of a source failed, and the value that is to blame as the template writes
    it; nothing where that cannot be told."""
    cause, of_none = failed.__cause__, _OF_NONE.search(failed.reason)
    if failed.name or not (of_none or isinstance(cause, NoText)):
        return failed.reason, ""
    kind = cause.kind if isinstance(cause, NoText) else "none"
    found = list(ENVIRONMENT.parse(source).find_all(nodes.Node))
    names = kinds_of_names(found)
    values = _holders(found, of_none[1]) if of_none else _printed(found)
    # What is known to be a text, or something else that never fails so, is not to blame.
    possible = (None, *_OR_NONE) if kind == "none" else (None,)
    called = {
        path(value)
        for value in values
        if value.lineno == failed.line and kind_of(value, names) in possible
    }
    one = called.pop() if len(called) == 1 else ""
    return (no_text(kind, one), one) if one else (failed.reason, "")


def _holders(found: Iterable[nodes.Node], name: str) -> Iterator[nodes.Node]:
    """The expressions of which something is read by this name."""
    for node in found:
        part = read(node)
        if part is not None and part[1] == name:
            yield part[0]


def _printed(found: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """The expressions of which the value itself is printed, or made a text."""
    for node in found:
        match node:
            case nodes.Output(nodes=values):
                for value in values:
                    yield from _values(value)
            case nodes.Filter(name=".joined", node=nodes.List(items=values)):
                for value in values:
                    yield from _values(value)
            case nodes.Filter(name=name, node=value) if name in PRINTING:
                yield from _values(value)


def _values(node: nodes.Node | None) -> Iterator[nodes.Node]:
    """What an expression may give as its value, but for what is known to be a text."""
    if isinstance(node, nodes.Filter) and node.name in _MAKING_TEXTS:
        return
    match node := bare(node):
        case nodes.Or(left=left, right=right):
            yield from _values(left)
            yield from _values(right)
        case nodes.And(right=right):
            yield from _values(right)
        case nodes.CondExpr(expr1=yes, expr2=no):
            yield from _values(yes)
            yield from _values(no)
        case nodes.Filter(node=value, name=name) if name in _ANOTHER:
            yield from _values(value)
        case nodes.TemplateData() | nodes.Const(value=str()):
            pass
        case nodes.Expr():
            yield node
