"""The validator of JSON Schemas that finds all mistakes. Importing it takes a while."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import create

from sidecar.config.schemas.mistakes import DEPRECATED


def _deprecated(
    _validator: Any, deprecated: Any, _instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """The keyword `deprecated`: a value that is there is one too many."""
    if deprecated is True:
        yield ValidationError("deprecated")


def _applicable(schema: Any) -> Iterable[tuple[str, Any]]:
    """What holds beside a `$ref`: as in draft 7 nothing, but a deprecated key stays one."""
    if "$ref" not in schema:
        return schema.items()  # type: ignore[no-any-return]  # of any schema
    reference = ("$ref", schema["$ref"])
    return (reference, (DEPRECATED, True)) if schema.get(DEPRECATED) else (reference,)


Validator = create(
    meta_schema=Draft7Validator.META_SCHEMA,
    validators={**Draft7Validator.VALIDATORS, DEPRECATED: _deprecated},
    type_checker=Draft7Validator.TYPE_CHECKER,
    format_checker=Draft7Validator.FORMAT_CHECKER,
    applicable_validators=_applicable,
)


def errors_of(
    validator: Any, data: Mapping[str, Any], key: str, numbers: Iterable[int]
) -> Iterator[ValidationError]:
    """The errors of a mapping, of the list at a key only those of some items."""
    yield from validator.iter_errors({**data, key: []} if key in data else data)
    item = validator.evolve(schema=validator.schema["properties"][key]["items"])
    for number in numbers:
        for error in item.iter_errors(data[key][number]):
            error.path.extendleft((number, key))
            yield error
