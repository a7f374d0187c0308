"""What kind of value each expression of a template has, as far as its source tells.

Names that a template sets are known where it sets them to what the contract knows, as a loop over
`messages` does, and are left alone elsewhere.
"""

from collections.abc import Iterable, Mapping

from jinja2 import nodes

from sidecar.prompts.contract import CONTRACT, NAMES

Kinds = dict[str, str | None]
"""What kind of value each name has, `[kind]` for a list; None for one that has several, or an
unknown one."""
_OF_LISTS = ("first", "last")
"""Filters that give an item of a list."""
_LISTS = ("list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique")
"""Filters that give items of a list as a list."""


def _kinds() -> dict[str, str]:
    """The kind of each value of the contract by its name."""
    found = {}
    for entry in CONTRACT:
        kind = entry.type.partition(" or ")[0]
        listed = kind.removeprefix("list of ")
        found[entry.name] = kind if listed == kind else f"[{listed}]"
    return {**found, "env": "env"}


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
TOP: Mapping[str, str] = {name: _ALL[name] for name in NAMES}
"""The kinds of the names at the top."""
OF = _attributes(_ALL)
"""The kinds of what each kind of value has, by their names."""


def kinds_of_names(found: Iterable[nodes.Node]) -> Kinds:
    """What kind of value each name has. `found` are a template's nodes, in their order."""
    names, bound = Kinds(TOP), set()
    for node in found:
        match node:
            case nodes.For(target=nodes.Name() as target, iter=value):
                bound.add(id(target))
                _bind(names, target.name, item(kind_of(value, names)))
            case nodes.Assign(target=nodes.Name() as target, node=value):
                bound.add(id(target))
                _bind(names, target.name, kind_of(value, names))
            case nodes.Name(ctx="store" | "param", name=name) if id(node) not in bound:
                _bind(names, name, None)
            case nodes.Macro(name=name) | nodes.Import(target=name):
                _bind(names, name, None)
            case nodes.FromImport(names=pairs):
                for pair in pairs:
                    _bind(names, pair if isinstance(pair, str) else pair[1], None)
    return names


def _bind(names: Kinds, name: str, kind: str | None) -> None:
    names[name] = kind if names.get(name, kind) == kind else None


def read(node: nodes.Node | None) -> tuple[nodes.Node, str] | None:
    """Of what something is read by its name, and that name; None where nothing is."""
    match node:
        case nodes.Getattr(node=holder, attr=name):
            return holder, name
        case nodes.Getitem(node=holder, arg=nodes.Const(value=str(name))):
            return holder, name
    return None


def kind_of(node: nodes.Node | None, names: Kinds) -> str | None:
    """The kind of an expression, None for one that only a run can tell."""
    match node := bare(node):
        case nodes.Name(name=name):
            return names.get(name)
        case nodes.Getitem(node=listed, arg=nodes.Const(value=int())):
            return item(kind_of(listed, names))
        case nodes.Filter(node=listed, name=name) if name in _OF_LISTS:
            return item(kind_of(listed, names))
        case nodes.Filter(node=listed, name=name) if name in _LISTS:
            kind = kind_of(listed, names)
            return kind if item(kind) else None
    part = read(node)
    if part is None:
        return None
    holder = kind_of(part[0], names)
    return "text" if holder == "env" else OF.get(holder or "", {}).get(part[1])


def item(kind: str | None) -> str | None:
    """The kind of the items of a list; None of what is none."""
    return kind[1:-1] if kind is not None and kind[0] == "[" else None


def bare(node: nodes.Node | None) -> nodes.Node | None:
    """An expression without what pays for it."""
    while isinstance(node, nodes.Filter) and node.name[0] == ".":
        node = node.node
    return node


def path(node: nodes.Node | None) -> str:
    """An expression as its template writes it, where it is only a name and what is read of it;
    else nothing."""
    match node := bare(node):
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=holder, attr=name) if told := path(holder):
            return f"{told}.{name}"
        case nodes.Getitem(node=holder, arg=nodes.Const(value=value)) if told := path(holder):
            return f"{told}[{value!r}]"
    return ""
