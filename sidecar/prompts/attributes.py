"""Attributes that no value has, as far as the source of a template tells.

Also those in a branch that no sample reaches. Names that a template sets are known where it sets
them to what the contract knows, as a loop over `messages` does, and are left alone elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jinja2 import nodes

from sidecar.prompts.contract import CONTRACT, NAMES, PROVIDERS
from sidecar.prompts.view import no_attribute


class Missing(NamedTuple):
    """An attribute that a kind of value has not, in words, and where it is read."""

    message: str
    line: int
    name: str


_Kinds = dict[str, str | None]
"""What kind of value each name has; None for one that has several, or an unknown one."""
_LISTS = ("first", "last")
_ASKING = ("default", "d", "defined", "undefined")
"""Filters and tests for what may not be there."""


def _kinds() -> dict[str, str]:
    """The kind of each value of the contract by its name, `[kind]` for a list."""
    found = {}
    for entry in CONTRACT:
        kind = entry.type.partition(" or ")[0]
        listed = kind.removeprefix("list of ")
        found[entry.name] = kind if listed == kind else f"[{listed}]"
    return found


def _attributes(kinds: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The kinds of what each kind of value has, by their names."""
    found: dict[str, dict[str, str]] = {}
    for name, kind in kinds.items():
        holder, _, attribute = name.rpartition(".")
        if holder:
            of = kinds[holder.removesuffix("[]")].strip("[]")
            found.setdefault(of, {})[attribute] = kind
    return found


_ALL = _kinds()
_TOP: _Kinds = {name: _ALL[name] for name in NAMES}
_OF = _attributes(_ALL)
_VIEWS = frozenset(_ALL[name].strip("[]") for name in NAMES if name not in PROVIDERS)
_METHODS = frozenset(dir(dict))
"""What mappings have besides: the values of context providers are such."""


def missing(found: Sequence[nodes.Node]) -> Iterator[Missing]:
    """The attributes that are read in vain. `found` are a template's nodes that `SEEN` names, in
    their order."""
    names = _names(found)
    asked = {
        _read(_bare(node.node), names)
        for node in found
        if isinstance(node, nodes.Filter | nodes.Test) and node.name in _ASKING
    }
    for node in found:
        kind, name = _read(node, names)
        if kind not in _OF or name in _OF[kind] or (kind, name) in asked:
            continue
        if name[:1] not in ("", "_") and (kind in _VIEWS or name not in _METHODS):
            yield Missing(no_attribute(kind, name, sorted(_OF[kind])), node.lineno, name)


def _names(found: Iterable[nodes.Node]) -> _Kinds:
    """What kind of value each name has."""
    names, bound = dict(_TOP), set()
    for node in found:
        match node:
            case nodes.For(target=nodes.Name() as target, iter=value):
                bound.add(id(target))
                _bind(names, target.name, _item(_kind(value, names)))
            case nodes.Assign(target=nodes.Name() as target, node=value):
                bound.add(id(target))
                _bind(names, target.name, _kind(value, names))
            case nodes.Name(ctx="store" | "param", name=name) if id(node) not in bound:
                _bind(names, name, None)
            case nodes.Macro(name=name) | nodes.Import(target=name):
                _bind(names, name, None)
            case nodes.FromImport(names=pairs):
                for pair in pairs:
                    _bind(names, pair if isinstance(pair, str) else pair[1], None)
    return names


SEEN = (
    nodes.Getattr, nodes.Getitem, nodes.For, nodes.Assign, nodes.Name, nodes.Macro, nodes.Import,
    nodes.FromImport, nodes.Filter, nodes.Test,
)  # fmt: skip


def _bind(names: _Kinds, name: str, kind: str | None) -> None:
    names[name] = kind if names.get(name, kind) == kind else None


def _read(node: nodes.Node | None, names: _Kinds) -> tuple[str | None, str]:
    """The kind of value of which something is read by its name, and that name."""
    match node:
        case nodes.Getattr(node=holder, attr=name):
            return _kind(holder, names), name
        case nodes.Getitem(node=holder, arg=nodes.Const(value=str(name))):
            return _kind(holder, names), name
    return None, ""


def _kind(node: nodes.Node | None, names: _Kinds) -> str | None:
    """The kind of an expression, None for one that only a run can tell."""
    match node := _bare(node):
        case nodes.Name(name=name):
            return names.get(name)
        case nodes.Getitem(node=listed, arg=nodes.Const(value=int())):
            return _item(_kind(listed, names))
        case nodes.Filter(node=listed, name=name) if name in _LISTS:
            return _item(_kind(listed, names))
        case nodes.Getattr() | nodes.Getitem():
            kind, name = _read(node, names)
            return _OF.get(kind or "", {}).get(name)
    return None


def _item(kind: str | None) -> str | None:
    return kind[1:-1] if kind is not None and kind[0] == "[" else None


def _bare(node: nodes.Node | None) -> nodes.Node | None:
    """An expression without what pays for it."""
    while isinstance(node, nodes.Filter) and node.name[0] == ".":
        node = node.node
    return node
