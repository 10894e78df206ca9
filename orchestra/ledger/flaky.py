"""Which tests are flaky, how much, and what that costs. Pure.

A test is flaky if the same inputs gave both outcomes: within one run, if a retry passed, or in several runs. The inputs
of two attempts are the same if the digest of the files that the test reads is the same (`inputs` of the spec); for a
test without `inputs`, in one segment of a run, or if plan and commit are the same and no file differed from the commit.
Inputs that are not provably the same are no evidence: a test that broke and was fixed is not flaky, in a further run or
in a resumed one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from orchestra.ledger.case import MARK
from orchestra.ledger.run_record import Execution, RunRecord

Z: Final = 1.959964
"""Of a confidence of 95 %."""


class Interval(NamedTuple):
    """From and to."""

    low: float
    high: float


def wilson(hits: int, number: int, z: float = Z) -> Interval:
    """Return the interval of a rate by its score (Wilson 1927): right for few cases and for rates near 0 and 1, too."""
    if not number:
        return Interval(0.0, 1.0)
    rate = hits / number
    divisor = 1 + z * z / number
    middle = (rate + z * z / (2 * number)) / divisor
    half = z * math.sqrt(rate * (1 - rate) / number + z * z / (4 * number * number)) / divisor
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


class Flaky(NamedTuple):
    """A flaky test.

    Attributes:
        task: `cli:B004`; of a case its name follows after `::`.
        failed, attempts: under inputs that also passed.
        rate, interval: failed over attempts, and where the true rate lies with 95 %.
        runs: that executed it.
        impact: rate x runs, the failures to expect in as many more.
        seconds: spent on attempts that failed though the same inputs pass.
        last: the run in which it last failed so.
        message: why.
    """

    task: str
    failed: int
    attempts: int
    rate: float
    interval: Interval
    runs: int
    impact: float
    seconds: float
    last: str
    message: str


def flaky(records: Sequence[RunRecord], machine: str = "") -> tuple[Flaky, ...]:
    """Return the flaky tests and cases of wrapped runners, those with the greatest impact first.

    Args:
        records: runs in the order of time.
        machine: count only runs on this shape of machine; all without it.
    """
    executed: dict[str, list[tuple[RunRecord, Execution]]] = defaultdict(list)
    for record in records:
        if not machine or record.machine == machine:
            for task, one in record.executions.items():
                executed[task].append((record, one))
                for name, inner in one.by_case:
                    executed[f"{task}{MARK}{name}"].append((record, inner))
    found = [flaky for task, pairs in executed.items() if (flaky := _flaky_of(task, pairs)) is not None]
    return tuple(sorted(found, key=lambda one: (-one.impact, one.task)))


def _flaky_of(task: str, pairs: Iterable[tuple[RunRecord, Execution]]) -> Flaky | None:
    failed: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    last: dict[str, tuple[str, str]] = {}
    runs = 0
    for record, one in pairs:
        runs += 1
        for key, attempt in one.by_inputs(record):
            if attempt.outcome == "passed":
                passed[key] += 1
            else:
                failed[key] += 1
                seconds[key] += attempt.seconds
                last[key] = record.run, one.message
    both = [key for key in failed if passed[key]]
    if not both:
        return None
    # Inputs that only failed are a break, not a flake; those that only passed show its frequency.
    bad = sum(failed[key] for key in both)
    attempts = bad + sum(passed.values())
    when, why = max(last[key] for key in both)
    rate = bad / attempts
    spent = sum(seconds[key] for key in both)
    return Flaky(task, bad, attempts, rate, wilson(bad, attempts), runs, rate * runs, spent, when, why)
