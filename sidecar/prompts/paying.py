"""Where a template that is about to be compiled is made to pay the `Meter` for its work."""

from collections.abc import Iterable

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from sidecar.prompts import meter

PAYING_FILTERS = {
    f".{one.__name__}": one
    for one in (meter.rounds, meter.taken, meter.joined, meter.compared, meter.made)
}  # a name that no template can write
"""The filters that do it, which the environment has."""


def make_pay(tree: nodes.Template) -> None:
    """Let a template pay the meter when it runs; the other operators and calls have hooks of their
    own in the environment."""
    _Paying().generic_visit(tree)


class _Paying(NodeTransformer):
    """Lets loops, filters, `~`, comparisons, slices, lists and mappings pay."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        node.iter = _through(".rounds", node.iter, node)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.node is not None:
            node.node = _through(".taken", node.node, node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno, environment=node.environment)
        return _through(".joined", parts, node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not _cheap(node):
            node.expr = _through(".compared", node.expr, node)
            for operand in node.ops:
                operand.expr = _through(".compared", operand.expr, node)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through(".compared", node.node, node)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.args:
            node.node = _through(".compared", node.node, node)
            node.args = [_through(".compared", value, node) for value in node.args]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if _constant(node.items) else _through(".made", node, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        told = node.ctx != "load" or _constant(node.items)
        return node if told else _through(".made", node, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        told = _constant([pair.value for pair in node.items])
        return node if told else _through(".made", node, node)


def _constant(found: Iterable[nodes.Node]) -> bool:
    return all(map(_is_constant, found))


def _is_constant(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const)


def _cheap(node: nodes.Compare) -> bool:
    """Whether one of two values is a constant that the other one equals or not, as in most."""
    [operand, *more] = node.ops
    sides = (node.expr, operand.expr)
    return not more and operand.op in ("eq", "ne") and any(map(_is_constant, sides))


def _through(name: str, value: nodes.Node, place: nodes.Node) -> nodes.Filter:
    return nodes.Filter(
        value, name, [], [], None, None, lineno=place.lineno, environment=place.environment
    )
