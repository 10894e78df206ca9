"""Suggest how to make a suite quicker, by rules that show their data. Pure.

A rule applies only if the saving in seconds per run is known and at least `WORTH`; it never changes a verdict. Figures
of this run come from its report, those of earlier runs from the history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from orchestra.ledger.failure_odds import causes, failure_odds
from orchestra.ledger.flaky import flaky
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.run_record import RunRecord
from orchestra.plan import AUTO_SLOTS, Plan
from orchestra.report.advice.waits import Wait
from orchestra.report.compare.comparison import counted
from orchestra.report.rows import Advice, Report

WORTH: Final = 1.0
"""The saving in seconds per run below which a rule does not apply."""

ENOUGH: Final = 10
"""Passes, or runs, from which earlier runs are believed."""

ENOUGH_WAITS: Final = 20
"""Passes of a wait from which its p99 is believed."""

GENEROUS: Final = 5.0
"""A limit is over-generous when it is so many times the p99."""

SPARE: Final = 3.0
"""The proposed limit: a multiple of the p99."""

VAIN: Final = 0.2
"""Retries are in vain where the chance that one passes is no greater."""

TRIED: Final = 20
"""Links of the longest chain that are looked at: each asks for the longest chain without it."""

SHOWN: Final = 5
"""Of each rule, those that save most."""


class Known(NamedTuple):
    """The input of the rules.

    Attributes:
        plan: the suite.
        report: of the run.
        earlier: the runs before it on the same shape of machine, in the order of time.
        workers: that the command line asked for, 0 for those of the spec.
        waits: of the run.
    """

    plan: Plan
    report: Report
    earlier: Sequence[RunRecord] = ()
    workers: int = 0
    waits: Sequence[Wait] = ()


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile by nearest rank, of at least one value."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1]


class Chain(NamedTuple):
    """The longest chain of tests that wait for each other: its tests in order, and its seconds."""

    tests: tuple[str, ...]
    seconds: float


def longest(seconds: Mapping[str, float], before: Mapping[str, Iterable[str]]) -> Chain:
    """Return the longest chain by seconds.

    Args:
        seconds: of each test.
        before: what each test waits for; a test without seconds took none. Free of cycles, as a plan is.
    """
    best: dict[str, Chain] = {}
    for first in seconds:
        stack = [first]
        while stack:
            test = stack[-1]
            waiting = [other for other in before.get(test, ()) if other not in best]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            above = max((best[other] for other in before.get(test, ())), key=lambda one: one.seconds, default=_NONE)
            best[test] = Chain((*above.tests, test), above.seconds + seconds.get(test, 0.0))
    return max(best.values(), key=lambda one: one.seconds, default=_NONE)


_NONE = Chain((), 0.0)


class _Load(NamedTuple):
    """The work of a method: seconds of each test, the tests that it waited for, a fixed number of workers (0: by the
    machine).
    """

    method: str
    seconds: dict[str, float]
    before: dict[str, tuple[str, ...]]
    workers: int

    @property
    def work(self) -> float:
        return sum(self.seconds.values())


def _loads(known: Known) -> Iterator[_Load]:
    before = {test.id: (*test.needs, *test.after) for test in known.plan.tests}
    for method in known.plan.methods:
        seconds = {row.test: row.seconds for row in known.report.rows if row.method == method.id and row.attempts}
        if seconds:
            yield _Load(method.id, seconds, before, 1 if method.single_session else known.workers or method.workers)


def _workers(known: Known) -> Iterator[Advice]:
    """Twice the workers. Any order on m workers ends within work / m + (1 - 1 / m) x longest chain (Graham 1966)."""
    single = {method.id for method in known.plan.methods if method.single_session}
    for load in _loads(known):
        held = any(test.resources for test in known.plan.tests if test.id in load.seconds)
        if not load.workers or load.method in single or held:  # the bound knows nothing of resources
            continue
        twice, chain = 2 * load.workers, longest(load.seconds, load.before)
        now = max(load.work / load.workers, chain.seconds)
        saved = now - (load.work / twice + (1 - 1 / twice) * chain.seconds)
        yield Advice(
            "workers",
            load.method,
            saved,
            f"{_seconds(load.work)} of tests on {counted(load.workers, 'worker')} take at least {_seconds(now)}; the "
            f"longest chain takes {_seconds(chain.seconds)}, so {twice} workers end in {_seconds(now - saved)}, if the machine "
            "bears them",
        )


def _needs(known: Known) -> Iterator[Advice]:
    """Yield a need on the longest chain that never kept a test from running in vain."""
    needed = {test.id: test.needs for test in known.plan.tests}
    for load in _loads(known):
        chain = longest(load.seconds, load.before)
        most = load.workers or AUTO_SLOTS * int(dict(known.report.provenance).get("cores", "0"))
        floor = load.work / most if most else 0.0
        for first, then in _cuts(load, chain):
            runs, bad = _outcomes(f"{load.method}:{first}", known.earlier)
            if first not in needed.get(then, ()) or bad or runs < ENOUGH:
                continue
            freed = {**load.before, then: tuple(one for one in load.before[then] if one != first)}
            saved = chain.seconds - max(floor, longest(load.seconds, freed).seconds)
            yield Advice(
                "needs",
                f"{load.method}:{then}",
                saved,
                f"it waits for {first}, which was good in all of {runs} earlier runs; the chain {' > '.join(chain.tests)} takes "
                f"{_seconds(chain.seconds)}: drop the need if {then} does not read what {first} makes",
            )


def _cuts(load: _Load, chain: Chain) -> list[tuple[str, str]]:
    """Return the links of a chain, those first at which it would be cut into the most even parts; the rest cannot save
    more.
    """
    ends = list(accumulate(load.seconds.get(test, 0.0) for test in chain.tests))
    links = sorted(range(len(chain.tests) - 1), key=lambda at: max(ends[at], chain.seconds - ends[at]))
    return [(chain.tests[at], chain.tests[at + 1]) for at in links[:TRIED]]


def _outcomes(task: str, records: Iterable[RunRecord]) -> tuple[int, int]:
    """Return how many runs executed a task, and in how many of them it was not good."""
    verdicts = [record.executions[task].verdict for record in records if task in record.executions]
    return len(verdicts), sum(verdict not in GOOD for verdict in verdicts)


def _timeout(known: Known) -> Iterator[Advice]:
    """Yield a timeout far above what a pass takes, which hung tests have waited for."""
    limits = {test.id: test.timeout_seconds for test in known.plan.tests}
    for task in dict.fromkeys(row.task for row in known.report.rows):
        limit = limits.get(task.partition(":")[2])
        taken = [
            attempt
            for record in known.earlier
            if task in record.executions
            for attempt in record.executions[task].attempts
        ]
        passed = [one.seconds for one in taken if one.outcome == "passed"]
        hung = [one.seconds for one in taken if one.outcome == "timeout"]
        if limit is None or len(passed) < ENOUGH or not hung or limit < GENEROUS * p99(passed):
            continue
        enough = max(1, math.ceil(SPARE * p99(passed)))
        runs, _ = _outcomes(task, known.earlier)
        yield Advice(
            "timeout",
            task,
            sum(max(0.0, one - enough) for one in hung) / runs,
            f"it hung {counted(len(hung), 'time')} in {runs} earlier runs, to {_seconds(max(hung))}; 99 of 100 passes take at "
            f"most {_seconds(p99(passed))} ({len(passed)} passes): `timeout_seconds: {enough}` instead of {limit:g}",
        )


def _flaky(known: Known) -> Iterator[Advice]:
    """Suggest the cost of attempts that failed although the same inputs pass."""
    reported = {row.task for row in known.report.rows}
    for task in flaky(known.earlier):
        if task.task in reported and task.runs >= ENOUGH:
            low, high = 100 * task.interval.low, 100 * task.interval.high
            yield Advice(
                "flaky",
                task.task,
                task.seconds / task.runs,
                f"{task.failed} of {task.attempts} attempts failed although the same inputs pass ({100 * task.rate:.1f} %, "
                f"with 95 % between {low:.1f} and {high:.1f} %): {_seconds(task.seconds)} lost in {task.runs} earlier runs",
            )


def _retries(known: Known) -> Iterator[Advice]:
    """Retries after a cause that hardly ever pass."""
    tests = {test.id: test for test in known.plan.tests}
    tried = {
        row.task: test.retries
        for row in known.report.rows
        if (test := tests.get(row.test)) is not None and test.retries.max
    }
    for cause, one in causes(failure_odds(known.earlier, tried)).items():
        asking = sum(cause in retry.on for retry in tried.values())
        if asking and one.retried >= ENOUGH and one.chance <= VAIN:
            yield Advice(
                "retries",
                cause,
                one.lost / len(known.earlier),
                f"{one.transient} of {one.known} failures by this cause were transient (chance that a retry passes: "
                f"{one.chance:.2f}, smoothed), and {_seconds(one.lost)} of retries in {len(known.earlier)} earlier runs were in "
                f"vain: take {cause} out of `retries.on` of {counted(asking, 'task')}",
            )


def _wait(known: Known) -> Iterator[Advice]:
    """Yield a wait whose limit is far above its p99, and that was waited out in vain."""
    for wait in known.waits:
        if not wait.expired or len(wait.passed) < ENOUGH_WAITS or wait.limit < GENEROUS * p99(wait.passed):
            continue
        enough = max(1, math.ceil(SPARE * p99(wait.passed)))
        yield Advice(
            "wait",
            f"{wait.verb} at {wait.place}",
            wait.expired * (wait.limit - enough),
            f"it waited {counted(wait.expired, 'time')} in vain, {wait.limit:g} s each; 99 of 100 of its {len(wait.passed)} "
            f"passes take at most {_seconds(p99(wait.passed))}: `within_seconds: {enough}`",
        )


def _method(known: Known) -> Iterator[Advice]:
    """Yield a method that takes longer and has found nothing that the other has not, in this run and the earlier ones."""
    for comparison in known.report.comparisons:
        more, quick = comparison.seconds, comparison.quicker_test
        slow = comparison.second if quick == comparison.first else comparison.first
        if (
            more is None
            or more.low is None
            or more.high is None
            or not quick
            or comparison.disagreeing
            or comparison.quicker_run == slow
        ):
            continue
        pairs = [_agree(record, quick, slow) for record in known.earlier]
        both, same = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
        runs = sum(pair[0] > 0 for pair in pairs)
        if runs < ENOUGH or both != same:
            continue
        yield Advice(
            "method",
            slow,
            abs(more.median) * more.pairs,
            f"it takes {_seconds(abs(more.median))} more a test than {quick} (with 95 % between {_seconds(abs(more.low))} and "
            f"{_seconds(abs(more.high))}, {more.pairs} pairs), and found the same in this run and in {both} pairs of "
            f"{runs} earlier ones: run {slow} less often",
        )


def _agree(record: RunRecord, first: str, second: str) -> tuple[int, int]:
    """Return how many tests a run executed by both methods, and how many of them had the same outcome."""
    sides = {task: one.verdict in GOOD for task, one in record.executions.items()}
    pairs = [
        (good, sides[other])
        for task, good in sides.items()
        if task.startswith(f"{first}:") and (other := f"{second}:{task.partition(':')[2]}") in sides
    ]
    return len(pairs), sum(one == two for one, two in pairs)


RULES: Final[Mapping[str, Callable[[Known], Iterator[Advice]]]] = {
    "workers": _workers,
    "needs": _needs,
    "timeout": _timeout,
    "flaky": _flaky,
    "retries": _retries,
    "wait": _wait,
    "method": _method,
}
"""The rules by id."""


def advise(known: Known) -> tuple[Advice, ...]:
    """Return the advice of each rule, the greatest saving first; nothing for a run that has not ended by itself."""
    if known.report.seconds is None or known.report.interrupted:
        return ()
    advice: list[Advice] = []
    for rule in RULES.values():
        worth = [entry for entry in rule(known) if entry.saved >= WORTH]
        advice += sorted(worth, key=lambda entry: (-entry.saved, entry.about))[:SHOWN]
    return tuple(advice)


def _seconds(value: float) -> str:
    return f"{value:.1f} s"
