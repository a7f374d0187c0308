"""What a template can print: texts, numbers and times, but nothing that has parts, and not none."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta

from jinja2.environment import TemplateModule
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Undefined

from sidecar.prompts.view import View, name_of, no_text


class Unknown(dict[str, object]):
    """Stands for a value of which only a turn tells what it is. It prints as nothing."""

    def __str__(self) -> str:
        return ""


class NoText(TemplateRuntimeError):
    """A value that cannot be printed; `kind` says what it is, as `view.no_text` takes it."""

    def __init__(self, value: object) -> None:
        self.kind = _kind(value)
        super().__init__(no_text(self.kind))


PRINTED = (str, int, float, date, time, timedelta, Undefined, TemplateModule, Unknown)
"""The types of what can be printed. One that does not exist tells that by itself."""


def text_of(value: object) -> str:
    """A value as a text. Raises NoText for one that is none."""
    if isinstance(value, PRINTED):
        return str(value)
    raise NoText(value)


def _kind(value: object) -> str:
    match value:
        case None:
            return "none"
        case View():
            return name_of(type(value))
        case Mapping():
            return "mapping"
        case Iterable():
            return "list"
        case Callable():
            return "function"
    return type(value).__name__.lower()
