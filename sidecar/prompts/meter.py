"""What one rendering may cost: time in steps, memory in characters, both paid before the work.

Templates are the operator's and messages are only data, so this guards against mistakes: a loop in
a loop, a macro that calls itself, a text that doubles.
"""

from collections.abc import Iterable, Iterator

from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.utils import Namespace

from sidecar.prompts.texts import PRINTED, text_of

STEPS = 10_000
"""Rounds of loops, calls and filters; one step takes a few microseconds."""
CHARACTERS = 256_000
"""Of all texts that are built or printed."""
MOST_LISTS = 10_000
"""Lists and mappings inside of one value, at all depths, each as often as it is there."""
METER = " meter"
"""The key of the meter among the names of a template, which have no blanks."""

_TOO_MANY_STEPS = "the template takes too many steps"
_HOLDING = (list, tuple, dict, range, Namespace)


class Meter:
    """The budget of one rendering, larger for a larger input of `given` characters."""

    __slots__ = ("characters", "steps")

    def __init__(self, given: int = 0) -> None:
        self.steps = STEPS + given // 10
        self.characters = CHARACTERS + 4 * given

    def step(self, count: int = 1) -> None:
        """Pay for work. Raises SecurityError when the budget is spent."""
        self.steps -= count
        if self.steps < 0:
            raise SecurityError(_TOO_MANY_STEPS)

    def pay(self, value: object) -> None:
        """Pay for all values inside of one. Raises SecurityError when the budget is spent."""
        if isinstance(value, _HOLDING):
            self.step(_inside(value, 10 * self.steps + 10) // 10)

    def take(self, value: object) -> None:
        """Pay for work on a value, by its size. Raises SecurityError when the budget is spent."""
        if isinstance(value, str):
            self.step(len(value) // 50)
        else:
            self.pay(value)

    def write(self, count: int) -> None:
        """Pay for a text of `count` characters. Raises SecurityError when the budget is spent."""
        self.characters -= count
        if self.characters < 0:
            raise SecurityError("the template makes too much text")


def _inside(value: object, most: int) -> int:
    """How many values are in one, at all depths, each as often as it is there, and ten for each
    list or mapping among them; it stops to count where these are more than `most`.

    Raises SecurityError for more lists and mappings than any plain value has.
    """
    count, lists, todo = 0, 0, [value]
    while todo and count <= most:
        one = todo.pop()
        if isinstance(one, Namespace):
            one = object.__getattribute__(one, "_Namespace__attrs")
        items = one.values() if isinstance(one, dict) else one
        inner = [item for item in items if isinstance(item, _HOLDING)]  # type: ignore[attr-defined]
        lists += len(inner)
        if lists > MOST_LISTS:
            raise SecurityError(_TOO_MANY_STEPS)
        count += len(items) + 10 * len(inner)  # type: ignore[arg-type]
        todo += inner
    return count


def meter_of(context: Context) -> Meter:
    """The meter of a running template."""
    try:
        meter: Meter = context.parent[METER]
    except KeyError:
        raise SecurityError("import and include work `with context` only") from None
    return meter


@pass_context
def rounds(context: Context, items: Iterable[object]) -> Iterable[object]:
    """What a loop goes over, paid for."""
    meter = meter_of(context)
    try:
        count = len(items)  # type: ignore[arg-type]  # whether it has a length shows here
    except TypeError:
        return _each(meter, items)
    meter.step(count)
    return items


def _each(meter: Meter, items: Iterable[object]) -> Iterator[object]:
    for item in items:
        meter.step()
        yield item


@pass_context
def taken(context: Context, value: object) -> object:
    """What a filter takes in, paid for by its size."""
    meter = meter_of(context)
    meter.step()
    meter.take(value)
    return value


@pass_context
def compared(context: Context, value: object) -> object:
    """What is compared, searched or sliced, paid for by its size."""
    if isinstance(value, str):
        meter_of(context).step(len(value) // 1000)
    else:
        meter_of(context).pay(value)
    return value


@pass_context
def made(context: Context, value: object) -> object:
    """A list or a mapping that is written in a template, paid for with all that is in it: one of
    lists that hold the same one twice, and so on, is endless however few they are."""
    meter_of(context).pay(value)
    return value


@pass_context
def joined(context: Context, values: list[object]) -> str:
    """The texts of `a ~ b ~ c` as one, paid for."""
    texts = [text_of(one) for one in values]
    meter_of(context).write(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def printed(context: Context, value: object) -> str:
    """What `{{ … }}` prints, paid for."""
    if isinstance(value, str):
        text = value
    else:  # without a call of its own for the numbers, which are in every prompt
        text = str(value) if isinstance(value, PRINTED) else text_of(value)
    meter_of(context).write(len(text))
    return text
