"""The pause after work that is repeated."""

from __future__ import annotations

import pytest

from orchestra.pause import pause_seconds

CASES = {
    "short work": (0.001, 1.0),
    "long work": (0.02, 4.0),
    "work that took longer than any": (5.0, 10.0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_pause_is_a_multiple_of_the_work_within_its_limits(case):
    took, pause = CASES[case]
    assert pause_seconds(took, parts=200, least=1.0, most=10.0) == pause
