"""What several runs of a turn used together."""

import math

import pytest

from sidecar.core.usage import together
from sidecar.model import Usage


def test_what_neither_run_tells_stays_unknown() -> None:
    assert together(None, None) is None
    assert together(None, Usage(1)) == Usage(1)
    assert together(Usage(1, None, 0.5), Usage(2, None, 0.25)) == Usage(3, None, 0.75)
    assert together(Usage(1), Usage(cost_usd=0.0)) == Usage(1, None, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [Usage(10**30), Usage(-1), Usage(0, -1), Usage(None, None, -2.0), Usage(cost_usd=math.nan),
     Usage(cost_usd=math.inf)],
)  # fmt: skip
def test_a_figure_that_no_run_can_have_counts_as_unknown(wrong: Usage) -> None:
    known = Usage(3, 4, 0.5)
    assert together(known, wrong) == known
    assert together(wrong, known) == known
    alone = together(None, wrong)
    assert alone is not None
    assert not alone.input_tokens
    assert (alone.output_tokens, alone.cost_usd) == (None, None)
