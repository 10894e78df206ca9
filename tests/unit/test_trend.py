"""Trends and flakiness: pure, on histories as data; and the verb that shows them, on real runs."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.flaky import Interval, flaky, wilson
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.ledger.trend import Bad, changes, first_bad, slope, sparkline
from orchestra.plan import Baseline
from orchestra.report.advice.trends import LEGEND, overview, story


def test_a_sparkline_goes_from_the_least_to_the_greatest():
    assert sparkline([0.0, 1.0, None, 7.0]) == "▁▂·█"
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([None]) == "·"
    assert sparkline([]) == ""


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=30))
def test_a_sparkline_has_one_sign_a_value(values):
    assert len(sparkline(values)) == len(values)


def test_a_slope_is_not_moved_by_outliers():
    line = [1.0 + 0.5 * number for number in range(20)]
    line[3], line[17] = 100.0, 0.0
    assert slope(line) == pytest.approx(0.5)
    assert slope([3.0]) == 0.0


def noisy(levels, each, sigma=0.1, seed=1):
    noise = random.Random(seed)
    return [level * noise.lognormvariate(0, sigma) for level in levels for _ in range(each)]


def test_changes_of_level_are_found_where_they_are():
    [one] = changes(noisy([1.0, 1.5], 15))
    assert abs(one.at - 15) <= 1
    assert (one.before, one.after) == (pytest.approx(1.0, rel=0.1), pytest.approx(1.5, rel=0.1))
    assert one.chance < 0.01
    first, second = changes(noisy([1.0, 2.0, 1.0], 15))
    assert (abs(first.at - 15) <= 1, abs(second.at - 30) <= 1) == (True, True)
    assert (first.after, second.before) == (second.before, first.after)


def test_noise_is_no_change():
    false = sum(bool(changes(noisy([1.0], 40, 0.3, seed))) for seed in range(200))
    assert false <= 4  # of 200, at a chance of 1 % each


def test_few_or_equal_durations_have_no_change():
    assert changes([1.0] * 50) == ()
    assert changes([1.0, 9.0] * 4) == ()


def run(number, verdict="passed", commit="", inputs="", attempts=None, dirty=0, machine="m", plan="p"):
    taken = attempts or (Attempt("passed" if verdict == "passed" else "failed", 1.0),)
    one = Execution(verdict, inputs=inputs, attempts=taken, message="" if verdict == "passed" else "no button")
    return RunRecord(f"r{number}", machine, plan=plan, commit=commit, dirty=dirty, executions={"cli:a": one})


def test_the_first_bad_run_and_its_commits():
    good, bad, worse = run(1, commit="a" * 40), run(2, "failed", commit="b" * 40), run(3, "timeout", commit="c" * 40)
    assert first_bad("cli:a", [good, bad, worse]) == Bad(good, bad)
    assert Bad(good, bad).commits() == f"{'a' * 12}..{'b' * 12}"
    assert Bad(good, run(2, "failed", commit="a" * 40)).commits() == f"{'a' * 12} both"
    assert Bad(good, run(2, "failed")).commits() == ""
    assert first_bad("cli:a", [good, bad, run(4)]) is None
    assert first_bad("cli:a", [bad]) == Bad(None, bad)
    assert first_bad("cli:z", [bad]) is None


def test_wilson_is_right_at_the_ends():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert wilson(5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


@given(st.integers(1, 500).flatmap(lambda number: st.tuples(st.integers(0, number), st.just(number))))
def test_wilson_holds_the_rate(pair):
    hits, number = pair
    found = wilson(hits, number)
    assert isinstance(found, Interval)
    assert 0 <= found.low <= hits / number + 1e-12
    assert hits / number - 1e-12 <= found.high <= 1


def test_both_outcomes_on_the_same_inputs_are_flaky():
    found = flaky([run(1, inputs="d"), run(2, "failed", inputs="d"), run(3, inputs="d"), run(4, inputs="e")])
    [one] = found
    assert (one.task, one.failed, one.attempts, one.runs, one.rate, one.impact) == ("cli:a", 1, 4, 4, 0.25, 1.0)
    assert (one.last, one.message, one.seconds) == ("r2", "no button", 1.0)
    assert one.interval == wilson(1, 4)


def test_a_retry_that_passes_is_flaky_whatever_is_known_of_the_inputs():
    [one] = flaky([run(1, "flaky", attempts=(Attempt("failed", 2.0), Attempt("passed", 1.0)))])
    assert (one.failed, one.attempts, one.seconds) == (1, 2, 2.0)


@pytest.mark.parametrize(
    "second",
    [
        run(2, "failed", inputs="e"),  # other inputs
        run(2, "failed", commit="c", dirty=1),  # nobody knows what was changed
        run(2, "failed", commit="d"),
        run(2, "failed", commit="c", plan="q"),
        run(2, "failed"),
    ],
)
def test_a_break_is_not_flaky(second):
    first = run(1, inputs="d") if second.executions["cli:a"].inputs else run(1, commit="c")
    assert flaky([first, second, run(3, "failed", inputs="z")]) == ()


def test_without_inputs_plan_and_clean_commit_are_the_inputs():
    assert flaky([run(1, commit="c"), run(2, "failed", commit="c")])
    assert not flaky([run(1, commit="c"), run(2, "failed", commit="c", machine="n")], "m")
    dirty = run(1)
    assert list(dirty.executions["cli:a"].by_inputs(dirty)) == [("r1", Attempt("passed", 1.0))]


def test_a_test_that_broke_and_was_repaired_before_the_run_was_resumed_is_not_flaky():
    broke, passes = Attempt("failed", 2.0), Attempt("passed", 1.0)
    assert flaky([run(1, "passed", attempts=(broke, passes))])
    assert flaky([run(1, "passed", attempts=(msgspec.structs.replace(broke, under="r1.0"), passes))]) == ()
    again = msgspec.structs.replace(broke, under="r1.1")
    [one] = flaky([run(1, "passed", attempts=(broke, again, msgspec.structs.replace(passes, under="r1.1")))])
    assert (one.failed, one.attempts) == (1, 2), "what failed before is a break, what failed and passed after it is not"


def test_the_worst_come_first():
    records = []
    for number in range(10):
        rare = Execution(
            "failed" if number == 0 else "passed",
            inputs="d",
            attempts=(Attempt("failed" if number == 0 else "passed", 1.0),),
        )
        often = Execution(
            "failed" if number % 2 else "passed",
            inputs="d",
            attempts=(Attempt("failed" if number % 2 else "passed", 1.0),),
        )
        records.append(RunRecord(f"r{number}", executions={"cli:rare": rare, "cli:often": often}))
    assert [one.task for one in flaky(records)] == ["cli:often", "cli:rare"]


def test_an_overview_has_a_row_a_test():
    text = overview(["cli:a", "cli:never"], [run(1), run(2, "failed"), run(3)])
    head, row, legend = text.splitlines()
    assert head.split() == ["task", "runs", "good", "verdicts", "seconds", "median", "s", "slope", "s/run"]
    assert row.split() == ["cli:a", "3", "67", "%", ".F.", "▄·▄", "1.000", "+0.0000"]
    assert legend == LEGEND
    assert overview(["cli:never"], [run(1)]) == ""


def test_a_story_has_levels_changes_and_commits():
    records = [
        RunRecord(
            f"r{number:02}",
            "m",
            commit=("a" if number < 15 else "b") * 40,
            executions={"cli:a": Execution("passed", "chromium", attempts=(Attempt("passed", seconds),))},
        )
        for number, seconds in enumerate(noisy([1.0, 2.0], 15, 0.02))
    ]
    records.append(run(99, "failed", commit="c" * 40))
    text = story("cli:a", records, {"cli:a chromium m": (1.0,) * 20}, Baseline())
    assert "cli:a  31 runs" in text
    assert "baseline   median 1.000 s, MAD 0.000 s over 20, slower above 1.500 s" in text
    assert "changed    at r15: " in text
    assert f"commits {'a' * 12}..{'b' * 12} (Pettitt, chance" in text
    assert "    no passing execution" in text
    assert "fails since  r99: failed no button" in text
    assert f"last good run r29, commits {'b' * 12}..{'c' * 12}" in text
    few = story("cli:a", records[:2], {"cli:a chromium m": (1.0,)}, Baseline())
    assert "compared after 5 runs" in few
