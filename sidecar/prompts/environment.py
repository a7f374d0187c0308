"""The Jinja environment of prompts: it reads only what it is given, and every run is bounded."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from types import BuiltinMethodType
from typing import Any

from jinja2 import DictLoader, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context, LoopContext, StrictUndefined
from jinja2.runtime import Undefined as AnyUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from sidecar.config.problems import near
from sidecar.prompts import meter
from sidecar.prompts.filters import FILTERS
from sidecar.prompts.meter import meter_of

_FOLDER = Path(__file__).with_name("templates")
BUILT_IN = {
    path.relative_to(_FOLDER).as_posix(): path.read_text("utf-8")
    for path in sorted(_FOLDER.glob("*/*.j2"))
}
"""The sources of the templates that others can extend and include, by name."""

_KEPT_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "reverse", "round", "select", "selectattr", "sort", "string", "sum", "title", "trim", "unique",
    "upper", "wordcount",
)  # fmt: skip
_KEPT_GLOBALS = ("cycler", "dict", "joiner", "namespace", "range")
_TEXT_METHODS = frozenset(
    {
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha",
        "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper",
        "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rindex",
        "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
        "title", "upper",
    }
)  # fmt: skip
"""Those that do not make a text longer."""
_MAPPING_METHODS = frozenset(dir(dict))
_LARGEST_FACTOR = 1e9
_LARGEST_EXPONENT = 16
_LONGEST_JOIN = 1 << 24
"""Characters of one run of a template or a macro; its own text is not paid from the meter."""


class View:
    """A value made for templates: they may read all its public attributes."""

    __slots__ = ()


class Environment(ImmutableSandboxedEnvironment):
    """Pays the `Meter` for loops, calls, filters and texts, and refuses what cannot be paid for."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # a prompt is no HTML; texts from outside are sanitised
            undefined=Undefined,
            finalize=meter.printed,
            loader=DictLoader(BUILT_IN),
            auto_reload=False,
        )
        self.filters = {name: JINJA_FILTERS[name] for name in _KEPT_FILTERS}
        self.filters.update(FILTERS)
        self.filters.update(_PAYING_FILTERS)
        self.globals = {name: self.globals[name] for name in _KEPT_GLOBALS}
        self._built_in: dict[str, Any] = {}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        # Jinja 3 has no public hook between its parser and its compiler.
        tree = super()._parse(source, name, filename)
        _Paying().generic_visit(tree)
        return tree

    def get_template(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        """A built-in template, compiled once. Raises TemplateNotFound."""
        if type(name) is not str:
            return super().get_template(name, *args, **kwargs)
        if name not in self._built_in:
            self._built_in[name] = super().get_template(name, *args, **kwargs)
        return self._built_in[name]

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or a macro: a step for the call, and one for each item of a list."""
        budget = meter_of(context)
        budget.step()
        budget.pay((args, kwargs))
        if isinstance(function, BuiltinMethodType):  # such as `upper` of a text
            budget.take(function.__self__)
        if isinstance(function, LoopContext) and args:
            args = (meter.rounds(context, args[0]), *args[1:])
        result = super().call(context, function, *args, **kwargs)
        if isinstance(result, range | list | tuple):
            budget.step(len(result))
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Pay for the result of an operator, and refuse one that may be too large."""
        match operator, left, right:
            case ("+", str(), str()):
                meter_of(context).write(len(left) + len(right))
            case ("+", list() | tuple(), list() | tuple()):
                meter_of(context).step(len(left) + len(right))
                meter_of(context).pay((left, right))
            case ("*", str() as text, int(times)) | ("*", int(times), str() as text):
                meter_of(context).write(len(text) * max(0, times))
            case ("*", int() | float(), int() | float()):
                _check(operator, max(abs(left), abs(right)) <= _LARGEST_FACTOR)
            case ("**", int() | float(), int() | float()):
                _check(operator, abs(left) <= _LARGEST_FACTOR and abs(right) <= _LARGEST_EXPONENT)
            case ("*" | "**", _, _) | ("%", str(), _):
                _check(operator, isinstance(left, AnyUndefined) or isinstance(right, AnyUndefined))
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, or else an item.

        A view, and a mapping that is asked for none of its methods, go without the checks that
        cost most of a run.
        """
        if type(obj) is dict and attribute not in _MAPPING_METHODS:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, View) and attribute[0] != "_":
            try:
                return getattr(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether templates may read an attribute."""
        if isinstance(obj, str):
            return attr in _TEXT_METHODS
        if isinstance(obj, int | float | bytes):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Nothing: `format` is not for templates, its result has no bounds."""
        return None

    def unsafe_undefined(self, obj: Any, attribute: str) -> AnyUndefined:
        """What reading a forbidden attribute gives: an error when it is used."""
        hint = f"templates cannot use {attribute!r} of {_kind(obj)}"
        return self.undefined(hint, obj, attribute, SecurityError)

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """The pieces as one text."""
        texts, length = [], 0
        for piece in pieces:
            length += len(piece)
            if length > _LONGEST_JOIN:
                error = SecurityError("the template makes too much text")
                if isinstance(pieces, Generator):
                    pieces.throw(error)  # so that it arises in the line that goes on and on
                raise error
            texts.append(piece)
        return "".join(texts)


def _check(operator: str, allowed: bool) -> None:
    if not allowed:
        raise SecurityError(f"templates use {operator} with small numbers only")


_SHOWN = 20
"""Names that an error lists."""


class Undefined(StrictUndefined):
    """A value that does not exist. Its error tells what was meant, if something similar exists."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, found = self._undefined_name, self._undefined_obj
        if self._undefined_hint or not isinstance(name, str):
            return super()._undefined_message
        if found is None:
            return f"there is nothing that could have {name!r}: ask first, as in {{% if room %}}"
        if isinstance(found, View):
            known = [name for name in dir(found) if name[0] != "_"]
        elif isinstance(found, dict):
            known = [str(key) for key in found]
        else:
            return super()._undefined_message
        question, there = near(name, known), f"has {', '.join(known[:_SHOWN])}"
        more = f", {question} It {there}" if question else f": it {there if known else 'is empty'}"
        return f"{_kind(found)} has no {name!r}{more}"


def _kind(value: object) -> str:
    """What a value is called in an error."""
    common = {str: "a text", dict: "a mapping", list: "a list", int: "a number", float: "a number"}
    return common.get(type(value)) or type(value).__name__.removesuffix("View").lower()


_PAYING_FILTERS = {
    f".{one.__name__}": one
    for one in (meter.rounds, meter.taken, meter.joined, meter.compared, meter.made)
}  # a name that no template can write


class _Paying(NodeTransformer):
    """Lets loops, filters, `~`, comparisons, slices, lists and mappings pay: the other operators
    and calls have hooks of their own."""

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


ENVIRONMENT = Environment()
"""The one environment: it keeps nothing of a run."""
