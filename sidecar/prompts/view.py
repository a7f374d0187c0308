"""Values made for templates, and what is told of an attribute that one has not."""

from collections.abc import Iterable
from typing import ClassVar

from jinja2.exceptions import TemplateRuntimeError

from sidecar.config.problems import near

SHOWN = 20
"""Attributes that an error lists."""


class View:
    """A value of which templates may read all public attributes. It is no text itself: `_such_as`
    is the attribute that somebody may have meant who prints it."""

    __slots__ = ()
    _such_as: ClassVar[str]

    def __str__(self) -> str:
        """Nothing. Raises TemplateRuntimeError."""
        kind = kind_of(type(self))
        raise TemplateRuntimeError(f"{kind} is no text: did you mean {kind}.{self._such_as}?")


def kind_of(view: type) -> str:
    """What a view is called in an error."""
    return view.__name__.removesuffix("View").lower()


def no_attribute(kind: str, name: str, known: Iterable[str]) -> str:
    """That a kind of value has no such attribute, with what was meant and what there is."""
    names = list(known)
    question, there = near(name, names), f"has {', '.join(names[:SHOWN])}"
    more = f", {question} It {there}" if question else f": it {there if names else 'is empty'}"
    return f"{kind} has no {name!r}{more}"
