"""Attributes that no value has, as far as the source of a template tells: also those in a branch
that no sample reaches."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import nodes

from sidecar.config.problems import near
from sidecar.prompts.checking.kinds import OF, TOP, Kinds, bare, item, kind_of, path, read
from sidecar.prompts.contract import NAMES, PROVIDERS
from sidecar.prompts.environment import MAPPING_METHODS, TEXT_METHODS, no_method
from sidecar.prompts.view import no_attribute


class Found(NamedTuple):
    """What is wrong, in words, and where: in which line, what is written there, and with which
    words that ends that are to be pointed at."""

    message: str
    line: int
    written: str
    wrong: str


_ASKING = ("defined", "undefined")
"""Tests for what may not be there. `"X" in env` asks, too."""
_INSTEAD = ("default", "d")
"""Filters for what may not be there, as variables of `env` may not."""
_FIRST = ("groupby", "rejectattr", "selectattr")
"""Filters whose first argument is an attribute of each item."""
_BY_ATTRIBUTE = ("join", "map", "max", "min", "sort", "sum", "unique", *_FIRST)
_ATTRIBUTES = frozenset(name for of in OF.values() for name in of)
_VIEWS = frozenset(TOP[name].strip("[]") for name in NAMES if name not in PROVIDERS)
_PUBLIC: Mapping[str, frozenset[str]] = {
    kind: frozenset(name for name in dir(type_) if name[0] != "_")
    for kind, type_ in {"text": str, "time": datetime, "list": list}.items()
}
_LIST_METHODS = frozenset(("copy", "count", "index"))
_NUMBERS: Mapping[str, str] = {"int": "a number", "seconds": "a number", "bool": "true or false"}


def missing(found: Sequence[nodes.Node], names: Kinds, env: Collection[str]) -> Iterator[Found]:
    """The attributes that are read in vain. `found` are a template's nodes in their order, `names`
    the kinds of its names, `env` the environment variables that it may read."""
    asked = set(_asked(found, names))
    for node in found:
        for kind, name, called in _read(node, names):
            told = "" if (kind, name) in asked else _told(kind, name, called or "it", env)
            if told:
                written = f"{called}.{name}" if called else name
                yield Found(told, node.lineno, written, name)


def _read(node: nodes.Node, names: Kinds) -> Iterator[tuple[str, str, str]]:
    """What is read by its name: of which kind of value, that name, and how the value is called."""
    part = read(node)
    if part is not None:
        holder, name = part
        kind = kind_of(holder, names)
        if kind is not None and name[:1] not in ("", "_"):
            yield kind, name, path(holder)
    elif isinstance(node, nodes.Filter) and node.name in _BY_ATTRIBUTE:
        pairs = node.iter_child_nodes(only=("kwargs",))
        given = {one.key: one.value for one in pairs if isinstance(one, nodes.Keyword)}
        way = given.get("attribute")
        if way is None and node.name in _FIRST and node.args:
            way = node.args[0]
        if isinstance(way, nodes.Const) and len(node.args) < 2 and "default" not in given:
            kind = item(kind_of(node.node, names))
            for name in str(way.value).split("."):
                if kind is None or name.isdigit() or name[:1] in ("", "_"):
                    break
                yield kind, name, ""
                kind = OF.get(kind, {}).get(name)


def _asked(found: Iterable[nodes.Node], names: Kinds) -> Iterator[tuple[str | None, str]]:
    """What a template asks for before it reads it: kinds of values, and names in them."""
    for node in found:
        match node:
            case nodes.Filter(node=value, name=name) if name in _INSTEAD:
                part = read(bare(value))
                if part is not None and kind_of(part[0], names) == "env":
                    yield "env", part[1]
            case nodes.Test(node=value, name=name) if name in _ASKING:
                part = read(bare(value))
                if part is not None:
                    yield kind_of(part[0], names), part[1]
            case nodes.Compare(expr=value, ops=[nodes.Operand(op="in", expr=holder)]):
                match bare(value):
                    case nodes.Const(value=str(name)):
                        yield kind_of(holder, names), name


def _told(kind: str, name: str, called: str, env: Collection[str]) -> str:
    """That a kind of value has no such attribute; nothing where it may have one."""
    if kind in OF:
        fine = name in OF[kind] or (kind not in _VIEWS and name in MAPPING_METHODS)
        return "" if fine else no_attribute(kind, name, sorted(OF[kind]))
    if kind == "env":
        fine = name in env or name in MAPPING_METHODS
        return "" if fine else no_attribute("env", name, sorted(env))
    if kind[0] == "[":
        return "" if name in _LIST_METHODS else _of_list(kind, name, called)
    if kind == "text":
        return "" if name in TEXT_METHODS else _of_text(name, called)
    if kind == "time":
        known = _PUBLIC["time"]
        return "" if name in known else no_attribute(f"{called} is a time and", name, sorted(known))
    if kind in _NUMBERS:
        return f"{called} is {_NUMBERS[kind]} and has no {name!r}: write {called} alone"
    return ""


def _of_text(name: str, called: str) -> str:
    if name in _PUBLIC["text"]:
        return no_method(name)
    question = "" if name in _ATTRIBUTES else near(name, TEXT_METHODS)
    question = question or f"write {called} alone"
    return f"{called} is a text and has no {name!r}: {question}"


def _of_list(kind: str, name: str, called: str) -> str:
    if name in _PUBLIC["list"]:
        return f"templates cannot use {name!r} of a list"
    one = kind[1:-1]
    has = name in OF[one]
    newest = f"did you mean {one}.{name}? All are " if has and one in TOP else "write "
    loop = f"{{% for {one} in {called} %}}{{{{ {one}.{name if has else '…'} }}}}{{% endfor %}}"
    return f"{called} is a list and has no {name!r}: {newest}{loop}"
