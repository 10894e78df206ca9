"""Two sides compared: verdicts, disagreements, times in pairs; and the verb on real runs."""

from __future__ import annotations

import random

import pytest

from orchestra.ledger.parts import StepDone
from orchestra.ledger.view import view_of
from orchestra.plan import Baseline
from orchestra.report.compare.comparison import agreements, compare, paired, wall, with_baselines
from orchestra.report.compare.sides import Side, of_method, sides
from orchestra.report.compare.text import agreement_lines, compared_lines, recommended
from tests.support import runs as samples
from tests.support.runs import events


def step(verb, seconds):
    return StepDone(index=0, verb=verb, seconds=seconds, outcome="passed", calls=2, polls=1, lag_seconds=0.1)


def side(verdict="passed", seconds=1.0, steps=(), **more):
    return Side("m:t", verdict, seconds, steps=tuple(step(verb, took) for verb, took in steps), **more)


def test_an_interval_is_made_of_order_statistics():
    assert paired([3.0, 1.0, 2.0]) == (2.0, None, None, 3)
    assert paired([float(number) for number in range(1, 7)]) == (3.5, 1.0, 6.0, 6)
    # n = 20: P(fewer than 6 below the median) = 2.07 %, so the 6th and the 15th
    assert paired([float(number) for number in range(1, 21)]) == (10.5, 6.0, 15.0, 20)


def test_an_interval_holds_the_median_as_often_as_it_says():
    noise = random.Random(1)
    held = 0
    for _ in range(1000):
        low, high = paired([noise.gauss(0, 1) for _ in range(15)])[1:3]
        held += low <= 0 <= high
    assert held >= 950


def test_sides_are_compared_test_by_test():
    one = {f"t{number}": side(seconds=1.0, steps=[("goto", 0.5), ("click", 0.1)]) for number in range(8)}
    other = {f"t{number}": side(seconds=2.0, steps=[("goto", 1.3), ("click", 0.2)]) for number in range(8)}
    one["bad"], other["bad"] = side("failed", message="no button", evidence=("shot.png",)), side()
    one["both"], other["both"] = side("failed"), side("timeout")
    one["alone"] = side()
    found = compare("cli", one, "mcp", other)
    assert found.tests == 10
    assert found.matrix == {("passed", "passed"): 8, ("failed", "passed"): 1, ("failed", "timeout"): 1}
    assert (found.only_first, found.only_second) == (("alone",), ())
    assert list(found.disagreeing) == ["bad"]
    assert found.seconds == (1.0, 1.0, 1.0, 8)
    assert found.ratio == (2.0, 2.0, 2.0, 8)
    assert [(cost.verb, round(cost.more.median, 3)) for cost in found.steps] == [("goto", 0.8), ("click", 0.1)]
    assert (found.totals[0].calls, found.totals[0].polls, found.totals[0].lag) == (32, 16, 0.1)
    assert recommended(found) == (
        "only cli fails bad: look at these first; of 10 tests 9 agree, and cli takes 1 s less a test than mcp: "
        "run cli where time counts"
    )
    text = "\n".join(compared_lines(found))
    assert "9 of 10 agree (good or not)" in text
    assert "a test: +1 s (95 %: +1 to +1), 2.00 x (2.00 to 2.00)" in text
    assert "only cli: alone" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["cli", "\\", "mcp", "passed", "timeout"] in rows
    assert ["failed", "1", "1"] in rows
    assert ["message", "no", "button"] in rows
    assert ["evidence", "shot.png"] in rows


def test_bytes_are_told_where_all_of_them_are_known():
    some = {"a": side(evidence=("x",), bytes=1500, requests=3, sent=2_000_000), "b": side(requests=4, sent=500)}
    part = {"a": side(evidence=("x", "y"), bytes=20, requests=3, sent=10), "b": side()}
    one, other = compare("cli", some, "mcp", part).totals
    assert (one.files, one.bytes, one.requests, one.sent) == (1, 1500, 7, 2_000_500)
    assert (other.files, other.bytes, other.requests, other.sent) == (2, 20, None, None)
    text = "\n".join(compared_lines(compare("cli", some, "mcp", part)))
    assert "cli: 1 file of evidence (1.5 kB), 7 requests of pages, 2 MB of answers" in text
    assert "mcp: 2 files of evidence (20 B)" in text


RULE = Baseline(min_runs=5)


def base(seconds, runs=5):
    """Samples around a duration, with a little noise."""
    return tuple(seconds + (number - runs // 2) / 100 for number in range(runs))


def test_the_baselines_of_both_are_seen_and_recommend_by_test():
    both = {f"t{number}": side() for number in range(4)}
    samples = {
        "cli:t0 chromium here": base(1.0),
        "mcp:t0 chromium here": base(3.0),
        "cli:t1 chromium here": base(5.0),
        "mcp:t1 chromium here": base(2.0),
        "cli:t2 chromium here": base(1.0),
        "mcp:t2 chromium here": base(1.1),  # within what the rule allows
        "cli:t3 chromium here": base(1.0),
        "mcp:t3 chromium elsewhere": base(9.0),  # of another machine
    }
    plain = compare("cli", both, "mcp", both)
    found = with_baselines(plain, samples, "here", RULE)
    assert {test: (one.median, other.median) for test, (one, other) in found.usual.items()} == {
        "t0": (1.0, 3.0),
        "t1": (5.0, 2.0),
        "t2": (1.0, 1.1),
    }
    assert found.gains == (("t0",), ("t1",))
    assert recommended(found).endswith(
        "by their baselines t0 gain from cli: 2 s less than mcp in the median; "
        "by their baselines t1 gain from mcp: 3 s less than cli in the median"
    )
    rows = [line.split() for line in "\n".join(compared_lines(found)).splitlines()]
    assert ["t1", "5", "s", "5", "2", "s", "5", "0.40", "x"] in rows
    few = {key: taken[:2] for key, taken in samples.items()}
    assert with_baselines(plain, few, "here", RULE).gains == ((), ()), "too few runs"
    assert with_baselines(plain, samples, "nowhere", RULE) == plain


def test_many_baselines_are_cut():
    both = {f"t{number}": side() for number in range(14)}
    samples = {
        f"{method}:{test} - m": base(1.0 + number * place)
        for number, test in enumerate(both)
        for place, method in enumerate(("cli", "mcp"))
    }
    found = with_baselines(compare("cli", both, "mcp", both), samples, "m", RULE)
    text = "\n".join(compared_lines(found))
    assert "and 4 more" in text
    assert "t1, t10, t11, t12, t13, t2, t3, t4 and 5 more gain from cli" in text


def test_each_side_is_set_against_each_other():
    sides = {"a": {"x": side(), "y": side()}, "b": {"x": side("failed"), "y": side()}, "c": {"y": side("flaky")}}
    found = agreements(sides)
    assert found == (("a", "b", 1, 2), ("a", "c", 1, 1), ("b", "c", 1, 1))
    rows = [line.split() for line in "\n".join(agreement_lines(found)).splitlines()]
    assert rows[0] == ["agree", "a", "b", "c"]
    assert rows[1] == ["a", "1", "of", "2", "1", "of", "1"]
    assert rows[3] == ["c", "1", "of", "1", "1", "of", "1"]


def test_nothing_in_common_says_so():
    found = compare("a", {"x": side()}, "b", {"y": side()})
    assert (found.tests, found.seconds, found.ratio, recommended(found)) == (0, None, None, "")
    assert list(compared_lines(found)) == ["b against a: 0 tests by both", "only a: x", "only b: y"]


def test_few_or_equal_times_prove_nothing():
    same = {f"t{number}": side(seconds=1.0 + number / 10) for number in range(8)}
    mixed = {f"t{number}": side(seconds=1.0 + number / 10 + (-1) ** number / 10) for number in range(8)}
    assert recommended(compare("a", same, "b", mixed)) == "no difference of time is proven over 8 tests"
    assert "too few pairs for an interval: 1" in "\n".join(
        compared_lines(compare("a", {"t": side()}, "b", {"t": side()}))
    )


@pytest.mark.parametrize(
    "spans, wanted",
    [
        ([(0.0, 2.0), (2.0, 5.0)], (5.0, 1.0)),  # one after the other
        ([(0.0, 2.0), (0.0, 2.0), (1.0, 3.0)], (3.0, 2.0)),
        ([(0.0, 1.0), (9.0, 10.0)], (2.0, 1.0)),  # the time in between is that of others
        ([(0.0, 4.0), (1.0, 2.0)], (4.0, 1.25)),
        ([], None),
    ],
)
def test_wall_time_is_that_in_which_a_test_ran(spans, wanted):
    made = [side(seconds=end - begin, ended=1e9 + end) for begin, end in spans]
    assert wall(reversed(made)) == (wanted and pytest.approx(wanted))
    assert wall([side()]) is None, "nobody knows when it ended"


def one_by_one(seconds: float, number: int, at_once: int) -> dict[str, Side]:
    """Tests of which so many ran at a time, each in so many seconds."""
    return {f"t{one}": side(seconds=seconds, ended=1e9 + (one // at_once + 1) * seconds) for one in range(number)}


def test_the_time_of_a_test_and_that_of_a_run_are_told_apart_where_more_run_at_a_time_by_one_side():
    """By four workers a test takes longer, and all of them less: to recommend by the test alone would be backwards."""
    found = compare("cli", one_by_one(2.0, 8, 4), "mcp", one_by_one(1.5, 8, 1))
    assert (found.quicker_test, found.quicker_run) == ("mcp", "cli")
    assert recommended(found) == (
        "of 8 tests all verdicts are the same, and mcp takes 0.5 s less a test than cli; all together take 4 s by cli, 4 at a "
        "time and 12 s by mcp, 1 at a time: run cli where the time of a run counts, mcp where that of one test does"
    )
    assert "all tests: cli 4 s (4 at a time), mcp 12 s (1 at a time)" in list(compared_lines(found))
    alike = compare("cli", one_by_one(2.0, 8, 1), "mcp", one_by_one(1.5, 8, 1))
    assert (alike.quicker_run, recommended(alike).endswith("run mcp where time counts")) == ("", True)
    both = compare("cli", one_by_one(1.5, 8, 4), "mcp", one_by_one(2.0, 8, 1))
    assert recommended(both).endswith("16 s by mcp, 1 at a time: run cli where the time of a run counts")
    level = compare("cli", one_by_one(4.0, 8, 2), "mcp", one_by_one(2.0, 8, 1))
    assert level.quicker_run == "", "both take 16 s"


def test_steps_that_are_not_the_same_are_not_compared():
    found = compare("a", {"t": side(steps=[("goto", 1.0)])}, "b", {"t": side(steps=[("click", 1.0)])})
    assert found.steps == ()


def test_a_ledger_gives_its_sides():
    found = sides(view_of(events(samples.everything())))
    assert found
    assert set(of_method(found, "cli")) == {task.partition(":")[2] for task in found if task.startswith("cli:")}
    assert all(one.steps == () or isinstance(one.steps[0], StepDone) for one in found.values())


@pytest.mark.parametrize("text", ["<b> | `x`", "a\nb"])
def test_markdown_is_escaped(text):
    found = compare("cli", {text: side("failed", message=text)}, "mcp", {text: side()})
    told = "\n".join(compared_lines(found, "markdown"))
    assert "<b>" not in told
