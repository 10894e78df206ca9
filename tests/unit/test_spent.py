"""Where the time of a run went: each moment is in one row, and the rows add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.spent import Spent


def stamp(second: float) -> str:
    return f"2026-01-02T03:04:{second:09.6f}Z"


def spent(*parts: tuple[float, int, bool, bool, bool], opening: float = 0.0, executed: float = 0.0) -> dict[str, float]:
    """The rows of a segment of parts: seconds, tests under way, whether one had begun, waiting tests, rising servers."""
    fold, at = Spent(executed=executed), 0.0
    fold.began(stamp(at), opening)
    for seconds, tests, started, waiting, servers in parts:
        at += seconds
        fold.until(stamp(at), tests=tests, started=started, waiting=waiting, servers=servers)
    return {name: round(seconds, 6) for name, seconds in fold.rows().items() if seconds}


@pytest.mark.parametrize(
    "part, row",
    [
        ((1.0, 0, False, True, False), "starting"),
        ((1.0, 0, False, True, True), "servers"),
        ((1.0, 0, True, True, True), "servers"),
        ((1.0, 0, True, True, False), "between"),
        ((1.0, 0, True, False, True), "closing"),
        ((1.0, 1, True, True, True), "around"),
    ],
)
def test_each_moment_is_in_one_row(part, row):
    assert spent(part) == {row: 1.0}


def test_what_tests_report_of_themselves_is_shared_by_those_under_way():
    two = (4.0, 2, True, True, False)  # eight seconds of two tests
    assert spent(two, executed=6.0) == {"tests": 3.0, "around": 1.0}
    assert spent(two, executed=9.0) == {"tests": 4.0}, "clocks differ"


def test_what_lies_between_two_segments_is_in_no_row():
    fold = Spent()
    fold.began(stamp(0), 0.5)
    fold.until(stamp(1), tests=0, started=True, waiting=False, servers=False)
    fold.began(stamp(30), 0.25)
    fold.until(stamp(32), tests=0, started=False, waiting=True, servers=False)
    fold.until(stamp(31), tests=0, started=False, waiting=True, servers=False)
    assert {name: seconds for name, seconds in fold.rows().items() if seconds} == {
        "opening": 0.75,
        "starting": 2.0,
        "closing": 1.0,
    }
    assert tuple(fold.rows()) == ("opening", "starting", "tests", "around", "between", "servers", "closing")


part = st.tuples(st.floats(0.001, 3.0), st.integers(0, 4), st.booleans(), st.booleans(), st.booleans())


@given(st.lists(part, max_size=15), st.floats(0, 9), st.floats(0, 99))
def test_the_rows_add_up(parts, opening, executed):
    whole = opening + sum(round(seconds, 6) for seconds, *_ in parts)
    assert sum(spent(*parts, opening=opening, executed=executed).values()) == pytest.approx(whole, abs=1e-3)
