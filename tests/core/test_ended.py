"""Outcomes of runtimes that keep to their contract, and of some that do not."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.ended import flaw
from sidecar.model import Failure, TurnEnded, Usage

GOOD = TurnEnded("text", "session", Failure("api", "why", resets_at=1), Usage(1, 2, 0.5), Usage(3))


@pytest.mark.parametrize("ended", [TurnEnded(""), GOOD])
def test_what_keeps_to_the_contract_has_no_flaw(ended: TurnEnded) -> None:
    assert flaw(ended) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"text": None}, "`text` of its TurnEnded is of the type NoneType, not str"),
        ({"session": 7}, "`session` of its TurnEnded is of the type int, not str or None"),
        ({"failure": "api"}, "`failure` of its TurnEnded is of the type str, not Failure or None"),
        ({"failure": Failure("odd", "")}, "`failure.kind` of its TurnEnded is 'odd'"),  # type: ignore[arg-type]
        ({"failure": Failure("api", b"")}, "`failure.detail` of"),  # type: ignore[arg-type]
        ({"failure": Failure("api", "", resets_at="soon")}, "`failure.resets_at` of"),  # type: ignore[arg-type]
        ({"usage": {}}, "`usage` of its TurnEnded is of the type dict, not Usage or None"),
        ({"usage": Usage("1")}, "`usage.input_tokens` of"),  # type: ignore[arg-type]
        ({"total": Usage(1, "2")}, "`total.output_tokens` of"),  # type: ignore[arg-type]
        ({"total": Usage(1, 2, Decimal(1))}, "is of the type Decimal, not int or float or None"),  # type: ignore[arg-type]
    ],
)
def test_a_part_of_another_type_is_named(changes: dict[str, Any], told: str) -> None:
    assert told in str(flaw(replace(GOOD, **changes)))
