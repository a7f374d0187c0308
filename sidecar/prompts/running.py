"""One run of a compiled template, and where and why it failed when it did."""

from collections.abc import Iterator, Mapping
from types import TracebackType

from jinja2 import Template, TemplateError, TemplateNotFound

from sidecar.errors import TemplateFailed
from sidecar.prompts.checking.references import no_template
from sidecar.prompts.environment import ENVIRONMENT, Environment
from sidecar.prompts.meter import METER, Meter


def run(
    template: Template,
    values: Mapping[str, object],
    given: int = 0,
    prints: bool = False,
    environment: Environment = ENVIRONMENT,
) -> str:
    """The text of a template. `given` is the number of characters of the texts in the values; one
    that `prints` must make more than blanks of them, where there are any. The `environment` makes
    one text of what the template and its blocks print.

    Raises:
        TemplateFailed: with the name of the built-in template that failed, or without one when
            the given template did. The cause is kept.
    """
    try:
        context = template.new_context({**values, METER: Meter(given)})
        context.environment = environment
        text = environment.concat(template.root_render_func(context))
    except Exception as error:  # a template can raise anything
        name, line = _place(error)
        raise TemplateFailed(name, line, _reason(error)) from error
    if prints and given and not text.strip():
        raise TemplateFailed("", 1, "it prints nothing, and what was said would be lost")
    return text


def _place(error: Exception) -> tuple[str, int]:
    """The innermost template in which an error arose, and the line in it."""
    name, line = "", 1
    for step in _steps(error.__traceback__):
        template = step.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            name, line = template.name or "", template.get_corresponding_lineno(step.tb_lineno)
    return name, line


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _reason(error: Exception) -> str:
    match error:
        case TemplateNotFound():
            return no_template(str(error.name))
        case RecursionError():
            return "the template calls itself too deeply"
        case TemplateError():
            return str(error)
        case _:
            return f"{type(error).__name__}: {error}"
