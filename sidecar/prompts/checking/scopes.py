"""The names that nothing gives a value where a template uses them, scope by scope.

Scopes are those of Jinja (https://jinja.palletsprojects.com/en/stable/templates/#assignments): a
loop, a macro, `call`, `with`, `filter`, a `set` with a body and a block have one of their own, an
`if` has not. Where only a run can tell whether a name was set before, it counts as known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from jinja2 import nodes
from jinja2.visitor import NodeVisitor

from sidecar.prompts.checking.references import named
from sidecar.prompts.environment import BUILT_IN, ENVIRONMENT

_OF_MACROS = frozenset(("caller", "kwargs", "varargs"))
_SPECIAL = {"loop": "for", "super": "block", **dict.fromkeys(_OF_MACROS, "macro")}
"""Names that are there only inside of a tag."""
_OF_LOOPS = frozenset(("loop",))
_NONE: frozenset[str] = frozenset()


class Unknown(NamedTuple):
    """A name without a value, the line where it is used, and where the name has one, if it has one
    anywhere."""

    name: str
    line: int
    elsewhere: str


def unknown_names(tree: nodes.Template, known: frozenset[str]) -> list[Unknown]:
    """Each use of a name that has no value there, in the order of the lines. `known` are the names
    that every template has."""
    walk = _walked(tree, known)
    found = [
        Unknown(node.name, node.lineno, walk.elsewhere(node.name, scope))
        for node, scope in walk.found
    ]
    return sorted(found, key=attrgetter("line"))


@dataclass(frozen=True, slots=True)
class _Scope:
    """The names that a part of a template has.

    `here` are those of the scope itself that are set so far, `all` those that it sets anywhere,
    and `around` those of the scopes around it. A block inside gets those of the `context` unless
    it is scoped; `hidden` are names around a block that it does not get, `tag` is what made the
    scope.
    """

    tag: str
    around: frozenset[str]
    all: frozenset[str]
    context: frozenset[str]
    hidden: frozenset[str]
    here: set[str]

    @property
    def visible(self) -> frozenset[str]:
        """What a scope inside of this one has. It may run after all of this one."""
        return self.around | self.all


class _Walk(NodeVisitor):
    """Goes through a template. `given` are the names that its blocks have from the templates that
    it extends.

    What it finds are uses of names that have no value, each with its scope, where names are set,
    with the line and the tag, and the names that each block has from around it.
    """

    def __init__(self, given: Mapping[str, frozenset[str]]) -> None:
        self._given = given
        self.found: list[tuple[nodes.Name | nodes.NSRef, _Scope]] = []
        self.set_in: dict[str, tuple[int, str]] = {}
        self.blocks: dict[str, frozenset[str]] = {}

    def elsewhere(self, name: str, scope: _Scope) -> str:
        """Where a name is known that is not known in a scope; nothing where it never is."""
        if name in scope.hidden:
            return "a block that is scoped has the names around it: {% block … scoped %}"
        if name in scope.all:
            return "it is set, but not before this"
        line, tag = self.set_in.get(name, (0, _SPECIAL.get(name, "")))
        place = f"in line {line}, " if line else ""
        return f"it is known {place}inside of {{% {tag} %}} only" if tag else ""

    def each(self, found: Iterable[nodes.Node], scope: _Scope) -> None:
        """Visit nodes in their order."""
        for node in found:
            self.visit(node, scope)

    def visit_Name(self, node: nodes.Name, scope: _Scope) -> None:  # noqa: N802 - of the node
        if node.ctx != "load":
            self._bind(node.name, node.lineno, scope)
        elif node.name not in scope.here and node.name not in scope.around:
            self.found.append((node, scope))

    def visit_NSRef(self, node: nodes.NSRef, scope: _Scope) -> None:  # noqa: N802
        if node.name not in scope.here and node.name not in scope.around:
            self.found.append((node, scope))

    def visit_If(self, node: nodes.If, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.test, scope)
        before, after = set(scope.here), set[str]()
        for branch in (node.body, node.elif_, node.else_):
            scope.here.clear()
            scope.here.update(before)
            self.each(branch, scope)
            after |= scope.here
        scope.here.update(after)

    def visit_For(self, node: nodes.For, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.iter, scope)
        if node.test is not None:
            self._inside("for", [node.target, node.test], scope)
        self._inside("for", [node.target, *node.body], scope, _OF_LOOPS)
        self._inside("for", node.else_, scope)

    def visit_Macro(self, node: nodes.Macro, scope: _Scope) -> None:  # noqa: N802
        self._bind(node.name, node.lineno, scope)
        self._inside("macro", [*node.args, *node.defaults, *node.body], scope, _OF_MACROS)

    def visit_CallBlock(self, node: nodes.CallBlock, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.call, scope)
        self._inside("call", [*node.args, *node.defaults, *node.body], scope, _OF_MACROS)

    def visit_With(self, node: nodes.With, scope: _Scope) -> None:  # noqa: N802
        self.each(node.values, scope)
        self._inside("with", [*node.targets, *node.body], scope)

    def visit_FilterBlock(self, node: nodes.FilterBlock, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.filter, scope)
        self._inside("filter", node.body, scope)

    def visit_Assign(self, node: nodes.Assign, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.node, scope)
        self.visit(node.target, scope)

    def visit_AssignBlock(self, node: nodes.AssignBlock, scope: _Scope) -> None:  # noqa: N802
        self._inside("set", node.body, scope)
        if node.filter is not None:
            self.visit(node.filter, scope)
        self.visit(node.target, scope)

    def visit_Import(self, node: nodes.Import, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.template, scope)
        self._bind(node.target, node.lineno, scope)

    def visit_FromImport(self, node: nodes.FromImport, scope: _Scope) -> None:  # noqa: N802
        self.visit(node.template, scope)
        for name in _sets([node]):
            self._bind(name, node.lineno, scope)

    def visit_Scope(self, node: nodes.Scope, scope: _Scope) -> None:  # noqa: N802
        self._inside("autoescape", node.body, scope)

    def visit_Block(self, node: nodes.Block, scope: _Scope) -> None:  # noqa: N802
        seen = scope.context | (scope.visible if node.scoped else _NONE)
        self.blocks[node.name] = seen
        around = seen | self._given.get(node.name, _NONE) | {"self", "super"}
        own, hidden = frozenset(_sets(node.body)), scope.visible - around
        self.each(node.body, _Scope("block", around, own, around, hidden, set()))

    def _inside(
        self, tag: str, parts: Sequence[nodes.Node], scope: _Scope, more: frozenset[str] = _NONE
    ) -> None:
        """What has a scope of its own, with `more` names from the start."""
        around, own = scope.visible | more, frozenset(_sets(parts))
        self.each(parts, _Scope(tag, around, own, scope.context, scope.hidden, set()))

    def _bind(self, name: str, line: int, scope: _Scope) -> None:
        scope.here.add(name)
        self.set_in.setdefault(name, (line, scope.tag))


def _walked(tree: nodes.Template, known: frozenset[str]) -> _Walk:
    walk, top = _Walk(_given(tree)), frozenset(_sets(tree.body))
    names = known | ENVIRONMENT.globals.keys()
    walk.each(tree.body, _Scope("", names | {"self"}, top, names | top, _NONE, set()))
    return walk


def _sets(found: Iterable[nodes.Node]) -> Iterator[str]:
    """The names that nodes set in the scope in which they are."""
    for node in found:
        match node:
            case nodes.Name(name=name, ctx="store" | "param"):
                yield name
            case nodes.Macro(name=name) | nodes.Import(target=name):
                yield name
            case nodes.FromImport(names=names):
                yield from (one if isinstance(one, str) else one[1] for one in names)
            case nodes.AssignBlock(target=target):
                yield from _sets([target])
            case nodes.If() | nodes.Assign() | nodes.Tuple() | nodes.ScopedEvalContextModifier():
                yield from _sets(node.iter_child_nodes())


def _given(tree: nodes.Template) -> dict[str, frozenset[str]]:
    """The names that each block has from the templates that the template extends."""
    given: dict[str, frozenset[str]] = {}
    for node in tree.find_all(nodes.Extends):
        for name in named(node.template) or BUILT_IN:
            for block, names in _of_blocks(name).items():
                given[block] = given.get(block, _NONE) | names
    return given


@lru_cache(maxsize=128)
def _of_blocks(name: str) -> Mapping[str, frozenset[str]]:
    """The names that each block of a built-in template has beside those of every template."""
    if name not in BUILT_IN:
        return {}
    return _walked(ENVIRONMENT.parse(BUILT_IN[name]), _NONE).blocks
