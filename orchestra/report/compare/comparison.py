"""Two sides of the same tests compared: two methods of a run, two runs, two branches. Pure.

A side is what one of them made of each test. Verdicts are compared by their meaning (good or not), times in pairs of the
tests, and of the steps, that both sides passed.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, NamedTuple

from orchestra.ledger import baseline
from orchestra.ledger.baseline import Samples, Usual
from orchestra.plan import Baseline
from orchestra.report.compare.sides import Side

SURE: Final = 0.95
"""The confidence of intervals."""

ALIKE: Final = 0.1
"""Wall times, and numbers of tests that ran at a time, are alike where they differ by no more, relatively."""

_STEPS: Final = 10
"""Kinds of step that are shown, those with the greatest difference in all."""


class Paired(NamedTuple):
    """The median of paired values, and the interval that holds it with 95 %; None where the pairs are too few."""

    median: float
    low: float | None
    high: float | None
    pairs: int


def paired(values: Sequence[float]) -> Paired:
    """Median and interval of differences or ratios, at least one.

    The interval is between two order statistics, by the binomial distribution of the values below the median (Conover,
    Practical Nonparametric Statistics): it assumes no form of the noise. Fewer than six values have none.
    """
    ordered = sorted(values)
    number = len(ordered)
    tail, rank = 0.0, 0
    while rank < number and tail + math.comb(number, rank) / 2**number <= (1 - SURE) / 2:
        tail += math.comb(number, rank) / 2**number
        rank += 1
    middle = statistics.median(ordered)
    return Paired(middle, ordered[rank - 1], ordered[-rank], number) if rank else Paired(middle, None, None, number)


class StepCost(NamedTuple):
    """The additional time of the second side for a kind of step, in seconds per step."""

    verb: str
    more: Paired


@dataclass(frozen=True, slots=True)
class Totals:
    """The cost of the tests of a side.

    Attributes:
        calls, polls: tool calls and wait calls of the steps.
        lag: how late a wait knew, the median in seconds; None: unknown.
        files, bytes: of evidence.
        requests, sent: of pages, and the bytes of the responses; None unless all of them were counted.
    """

    calls: int
    polls: int
    lag: float | None
    files: int
    bytes: int
    requests: int | None
    sent: int | None


class Wall(NamedTuple):
    """The total time of the tests of a side.

    Attributes:
        seconds: in which at least one of them ran.
        at_once: how many ran at a time, on the average.
    """

    seconds: float
    at_once: float


def wall(sides: Iterable[Side]) -> Wall | None:
    """Return the wall time of the last attempts of a side; None if it took none, or their ends are unknown."""
    spans = [(side.ended - side.seconds, side.ended) for side in sides if side.ended is not None]
    total, until = 0.0, -math.inf
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return Wall(total, sum(end - begin for begin, end in spans) / total) if total > 0 else None


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= ALIKE * max(one, other)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides compared.

    Attributes:
        first, second: their names.
        matrix: tests, and cases of wrapped runners, by the two verdicts.
        only_first, only_second: tests that only one side executed.
        disagreeing: pairs of which one is good and the other not, by test.
        seconds, ratio: what the second takes more a test, over tests good on both; None without any.
        steps: the same by kind of step, the greatest difference in all first.
        totals, walls: of each side, over the tests of both.
        usual: the baselines of both sides by test, where each has one.
        cases: how many of the matrix are cases of tests that both executed.
        gains: the tests that the first side does quicker by its baselines, beyond their noise, and those of the second.
    """

    first: str
    second: str
    matrix: Mapping[tuple[str, str], int]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    disagreeing: Mapping[str, tuple[Side, Side]]
    seconds: Paired | None
    ratio: Paired | None
    steps: tuple[StepCost, ...]
    totals: tuple[Totals, Totals]
    walls: tuple[Wall | None, Wall | None] = (None, None)
    usual: Mapping[str, tuple[Usual, Usual]] = field(default_factory=dict)
    cases: int = 0
    gains: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def tests(self) -> int:
        """Return the number of tests that both executed."""
        return sum(self.matrix.values()) - self.cases

    @property
    def quicker_test(self) -> str:
        """The side by which a test takes less; empty where none is proven."""
        more = self.seconds
        if more is None or more.low is None or more.high is None or more.low <= 0 <= more.high:
            return ""
        return self.first if more.median > 0 else self.second

    @property
    def quicker_run(self) -> str:
        """The side by which all tests together take less, where one ran more of them at a time than the other.

        Empty if none did, if both take about as long, or if it is unknown.
        """
        one, other = self.walls
        if one is None or other is None or any(map(_alike, one, other)):
            return ""
        return self.first if one.seconds < other.seconds else self.second


def compare(first: str, first_tests: Mapping[str, Side], second: str, second_tests: Mapping[str, Side]) -> Comparison:
    """Compare two sides whose tests have the same names."""
    both = [name for name in first_tests if name in second_tests]
    pairs = [(first_tests[name], second_tests[name]) for name in both]
    tests = [name for name in both if not _is_inner(first_tests[name], second_tests[name])]
    good = [(a, b) for a, b in pairs if a.good and b.good and not _is_inner(a, b)]
    ratios = [b.seconds / a.seconds for a, b in good if a.seconds > 0]
    return Comparison(
        first,
        second,
        Counter((first_tests[name].verdict, second_tests[name].verdict) for name in both),
        _only(first_tests, second_tests),
        _only(second_tests, first_tests),
        {
            name: (first_tests[name], second_tests[name])
            for name in both
            if first_tests[name].good != second_tests[name].good
        },
        paired([b.seconds - a.seconds for a, b in good]) if good else None,
        paired(ratios) if ratios else None,
        _step_costs(good),
        (_totals(first_tests[name] for name in tests), _totals(second_tests[name] for name in tests)),
        (wall(first_tests[name] for name in tests), wall(second_tests[name] for name in tests)),
        cases=len(both) - len(tests),
    )


def _is_inner(a: Side, b: Side) -> bool:
    """Return whether both are cases of wrapped runners: their test is compared, too."""
    return bool(a.inner and b.inner)


def _only(one: Mapping[str, Side], other: Mapping[str, Side]) -> tuple[str, ...]:
    """Return the tests that one side alone executed, and the cases that it alone has of a test that both executed."""
    return tuple(
        name
        for name, side in one.items()
        if name not in other and (not side.inner or side.inner in other or side.inner.partition(":")[2] in other)
    )


def _step_costs(pairs: Iterable[tuple[Side, Side]]) -> tuple[StepCost, ...]:
    more: dict[str, list[float]] = {}
    for a, b in pairs:
        if [step.verb for step in a.steps] == [step.verb for step in b.steps]:
            for x, y in zip(a.steps, b.steps, strict=True):
                if x.outcome == y.outcome == "passed":
                    more.setdefault(x.verb, []).append(y.seconds - x.seconds)
    costs = sorted(more.items(), key=lambda item: (-abs(sum(item[1])), item[0]))
    return tuple(StepCost(verb, paired(values)) for verb, values in costs[:_STEPS])


def _totals(sides: Iterable[Side]) -> Totals:
    calls = polls = files = size = 0
    lags: list[float] = []
    requests: list[int | None] = []
    sent: list[int | None] = []
    for side in sides:
        files += len(side.evidence)
        size += side.bytes
        requests.append(side.requests)
        sent.append(side.sent)
        for step in side.steps:
            calls += step.calls
            polls += step.polls
            lags += [step.lag_seconds] if step.lag_seconds is not None else []
    lag = statistics.median(lags) if lags else None
    return Totals(calls, polls, lag, files, size, _all(requests), _all(sent))


def _all(counts: Sequence[int | None]) -> int | None:
    """Return the sum; None if one value is unknown, because a part would appear as the whole."""
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None


def with_baselines(comparison: Comparison, samples: Samples, place: str, rule: Baseline) -> Comparison:
    """The comparison of two methods with the baselines of both, on this shape of machine and by this profile.

    A test gains by a method if the other one's median lies beyond the limit of the first one's baseline, by the rule
    for regressions: ratio, seconds and noise.

    Args:
        comparison: of two methods, by test.
        samples: as `baseline.known` gives them.
        place: as `baseline.place_of` gives it.
        rule: of the plan.
    """
    by_task = {
        task: taken for key, taken in samples.items() for task, _, where in [baseline.parts_of(key)] if where == place
    }
    usual: dict[str, tuple[Usual, Usual]] = {}
    gains: tuple[list[str], list[str]] = ([], [])
    for test in sorted({task.partition(":")[2] for task in by_task}):
        taken = [by_task.get(f"{method}:{test}") for method in (comparison.first, comparison.second)]
        if taken[0] is None or taken[1] is None:
            continue
        one, other = (baseline.usual(seconds[-rule.window :]) for seconds in (taken[0], taken[1]))
        usual[test] = one, other
        for side, (mine, theirs) in enumerate(((one, other), (other, one))):
            limits = baseline.bounds(mine, rule)
            if (
                limits is not None
                and theirs.runs >= rule.min_runs
                and baseline.suspect(theirs.median, limits) == "slower"
            ):
                gains[side].append(test)
    return replace(comparison, usual=usual, gains=(tuple(gains[0]), tuple(gains[1])))


class Agreement(NamedTuple):
    """The number of tests that two sides executed and that have the same outcome, good or not."""

    first: str
    second: str
    agree: int
    tests: int


def agreements(sides: Mapping[str, Mapping[str, Side]]) -> tuple[Agreement, ...]:
    """Return the agreement of each side with each other, once a pair, in the order given."""
    agreements = []
    for first, second in combinations(sides, 2):
        one, other = sides[first], sides[second]
        both = [name for name in one if name in other and not _is_inner(one[name], other[name])]
        agreements.append(Agreement(first, second, sum(one[name].good == other[name].good for name in both), len(both)))
    return tuple(agreements)


def counted(number: int, word: str) -> str:
    """Return a number of things in words."""
    return f"{number} {word}{'s' * (number != 1)}"
