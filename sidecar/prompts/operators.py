"""What operators of templates cost, and how large what they work on may be."""

from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined

from sidecar.prompts.meter import meter_of

CHECKED = frozenset(("+", "*", "**", "%", "/", "//"))
"""Those whose time or result grows faster than what is paid for what they work on."""

_LARGEST_FACTOR = 1e9
_LARGEST_EXPONENT = 16
_LARGEST_DIVIDED = 1e18


def check(context: Context, operator: str, left: object, right: object) -> None:
    """Pay for what an operator makes. Raises SecurityError when that may be too large, or takes too
    long."""
    match operator, left, right:
        case ("+", str(), str()):
            meter_of(context).write(len(left) + len(right))
        case ("+", list() | tuple(), list() | tuple()):
            meter = meter_of(context)
            meter.step(len(left) + len(right))
            meter.pay(left)
            meter.pay(right)
        case ("*", str() as text, int(times)) | ("*", int(times), str() as text):
            meter_of(context).write(len(text) * max(0, times))
        case ("*", int() | float(), int() | float()):
            allow(operator, max(abs(left), abs(right)) <= _LARGEST_FACTOR)
        case ("**", int() | float(), int() | float()):
            allow(operator, abs(left) <= _LARGEST_FACTOR and abs(right) <= _LARGEST_EXPONENT)
        case ("%" | "/" | "//", int(), int()):
            allow(operator, max(abs(left), abs(right)) <= _LARGEST_DIVIDED)
        case ("*" | "**", _, _) | ("%", str(), _):
            _only_undefined(operator, left, right)


def allow(what: str, allowed: bool) -> None:
    """Raises SecurityError where something is not allowed."""
    if not allowed:
        raise SecurityError(f"templates use {what} with small numbers only")


def _only_undefined(operator: str, left: object, right: object) -> None:
    """Refuse all but a value that does not exist, which tells that by itself."""
    is_undefined = isinstance(left, Undefined) or isinstance(right, Undefined)
    if operator == "%" and not is_undefined:
        raise SecurityError("texts have no %: write {{ a ~ b }}")
    allow(operator, is_undefined)
