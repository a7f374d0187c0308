import math

import pytest

from sidecar.config.text.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xFf", 255),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        (".INF", math.inf),
    ],
)
def test_the_core_schema_of_yaml_1_2_is_followed(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_number() -> None:
    found = resolve(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "Off", "y", "2026-11-24", "1_000", "12:30", "0b1", "nUll", "1.2.3", "-",
     "+", ".", "0o8", "0x", "1e", "tru", "inf", "nan", "\uff10", "9" * 5000],
)  # fmt: skip
def test_everything_else_stays_text(text: str) -> None:
    assert resolve(text) == text
