"""The Jinja environment of prompts: it reads only what it is given, and every run is bounded."""

import re
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

from sidecar.prompts import meter
from sidecar.prompts.filters import FILTERS, divisible
from sidecar.prompts.meter import meter_of
from sidecar.prompts.operators import CHECKED, check
from sidecar.prompts.paying import PAYING_FILTERS, make_pay
from sidecar.prompts.view import View, name_of, no_attribute

_FOLDER = Path(__file__).with_name("templates")
_FILES = {
    path.relative_to(_FOLDER).as_posix(): path.read_text("utf-8")
    for path in sorted(_FOLDER.glob("*/*.j2"))
}
_BLOCK = re.compile(r"{% block (\w+)(?: scoped)? %}\n(.*?){% endblock %}", re.DOTALL)
"""None of the built-in blocks is inside of another one."""
_BLOCKS = {
    f"{name.partition('/')[0]}/{block}.j2": text
    for name, source in _FILES.items()
    for block, text in _BLOCK.findall(source)
}
BUILT_IN = {**_BLOCKS, **_FILES}
"""The sources of the templates that others can extend and include, by name. Each block is one; to
include it where it stands would take a sixth of the time of a prompt."""

_KEPT_FILTERS = (
    "abs", "count", "d", "default", "dictsort", "first", "float", "groupby", "items", "last",
    "length", "list", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "sum", "unique",
)  # fmt: skip
_INSTEAD = {"format": "write {{ a ~ b }}", "format_map": "write {{ a ~ b }}"} | {
    name: f"there is a filter, {{{{ … | {name} }}}}" for name in (*_KEPT_FILTERS, *FILTERS)
}
"""What to write for a method of texts that templates cannot use."""
_KEPT_GLOBALS = ("cycler", "dict", "joiner", "namespace", "range")
TEXT_METHODS = frozenset(
    {
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha",
        "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper",
        "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rindex",
        "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
        "title", "upper",
    }
)  # fmt: skip
"""Those that do not make a text longer."""
MAPPING_METHODS = frozenset(dir(dict))
_LONGEST_JOIN = 1 << 24
"""Characters of one run of a template or a macro; its own text is not paid from the meter."""


class Environment(ImmutableSandboxedEnvironment):
    """Pays the `Meter` for loops, calls, filters and texts, and refuses what cannot be paid for."""

    intercepted_binops = CHECKED

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
        self.filters.update(PAYING_FILTERS)
        self.tests = {**self.tests, "divisibleby": divisible}
        self.globals = {name: self.globals[name] for name in _KEPT_GLOBALS}
        self._built_in: dict[str, Any] = {}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        # Jinja 3 has no public hook between its parser and its compiler.
        tree = super()._parse(source, name, filename)
        make_pay(tree)
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
        if args or kwargs:
            budget.step((len(args) + len(kwargs)) // 10)
            for value in (*args, *kwargs.values()):
                budget.pay(value)
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
        check(context, operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call_filter(
        self,
        name: str,
        value: Any,
        args: Any = None,
        kwargs: Any = None,
        context: Context | None = None,
        eval_ctx: Any = None,
    ) -> Any:
        """A filter of one item, as `map` has it, paid for by the size of the item."""
        if context is not None:
            meter_of(context).take(value)
        return super().call_filter(name, value, args, kwargs, context, eval_ctx)

    def call_test(
        self,
        name: str,
        value: Any,
        args: Any = None,
        kwargs: Any = None,
        context: Context | None = None,
        eval_ctx: Any = None,
    ) -> Any:
        """A test of one item, as `select` has it, paid for by the size of what is compared."""
        if context is not None:
            for one in (value, *(args or ())):
                meter.compared(context, one)
        return super().call_test(name, value, args, kwargs, context, eval_ctx)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, or else an item.

        A view, and a mapping that is asked for none of its methods, go without the checks that
        cost most of a run.
        """
        if type(obj) is dict and attribute not in MAPPING_METHODS:
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
            return attr in TEXT_METHODS
        if isinstance(obj, int | float | bytes):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Nothing: `format` is not for templates, its result has no bounds."""
        return None

    def unsafe_undefined(self, obj: Any, attribute: str) -> AnyUndefined:
        """What reading a forbidden attribute gives: an error when it is used."""
        told = f"templates cannot use {attribute!r} of {_kind(obj)}"
        hint = no_method(attribute) if isinstance(obj, str) else told
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


class Undefined(StrictUndefined):
    """A value that does not exist. Its error tells what was meant, if something similar exists."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, found = self._undefined_name, self._undefined_obj
        if self._undefined_hint or not isinstance(name, str):
            return super()._undefined_message
        if found is None:
            return f"there is nothing that could have {name!r}: ask first, with {{% if … %}}"
        if isinstance(found, View):
            known = [name for name in dir(found) if name[0] != "_"]
        elif isinstance(found, dict):
            known = [str(key) for key in found]
        else:
            return super()._undefined_message
        return no_attribute(_kind(found), name, known)


def no_method(name: str) -> str:
    """That templates cannot use a method of texts, with what there is instead."""
    instead = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
    return f"templates cannot use {name!r} of a text{instead}"


def _kind(value: object) -> str:
    """What a value is called in an error."""
    common = {str: "a text", dict: "a mapping", list: "a list", int: "a number", float: "a number"}
    return common.get(type(value)) or name_of(type(value))


ENVIRONMENT = Environment()
"""The one environment: it keeps nothing of a run."""
