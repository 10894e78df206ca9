"""Learn the cost of each test while it runs, in processors and memory, from passing attempts of earlier runs. Pure.

The forecast sums up what runs at once. Figures are those of runs on
the same shape of machine and in the same profile.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from orchestra.ledger.run_record import Attempt, RunRecord
from orchestra.plan import Method, Plan, Test
from orchestra.runtime.attempt import needs_browser
from orchestra.runtime.select import task_name

CALM: Final = 0.75
"""This quantile of the processors that attempts kept busy is the cost. Attempts that others hindered took longer with the same
work, and kept fewer busy: that of the less hindered ones counts."""


class Cost(NamedTuple):
    """The cost of a test while it runs.

    Attributes:
        cores: how many processors it keeps busy, in the mean: seconds of processors by the seconds in its slot. None where other
            programs disturbed each attempt: these kept fewer busy than they would have.
        megabytes: of memory, at its most.
    """

    cores: float | None
    megabytes: float


def costs_of(plan: Plan, earlier: Iterable[RunRecord]) -> dict[str, Cost]:
    """Return the cost of each task that earlier runs have measured: of its memory the median.

    Args:
        plan: the suite.
        earlier: runs on one shape of machine, in one profile.
    """
    browsers = {test.id: test.browser for test in plan.tests}
    found: dict[str, list[tuple[Attempt, bool]]] = defaultdict(list)
    for run in earlier:
        for task, one in run.executions.items():
            if one.browser in {"", browsers.get(task.partition(":")[2])}:
                taken = (took for took in one.attempts if took.outcome == "passed" and took.held_seconds)
                found[task] += [(took, not one.disturbed) for took in taken]
    return {task: _cost(taken) for task, taken in found.items() if taken}


def _cost(attempts: Sequence[tuple[Attempt, bool]]) -> Cost:
    """Return the cost by attempts, each with whether nothing disturbed it."""
    cores = sorted(one.cpu_seconds / one.held_seconds for one, calm in attempts if calm)
    usual = cores[math.ceil(CALM * len(cores)) - 1] if cores else None
    return Cost(usual, statistics.median(one.megabytes for one, _ in attempts))


def estimated(plan: Plan, known: Mapping[str, Cost]) -> dict[str, Cost]:
    """Return the cost of each task of a plan, as far as it is known.

    That is its own; without one the median of the tests of its group by the same method that are of its kind (a command, a page),
    else of all tests of its kind by this method. A test without a page or a command has none of its own, and gets none.

    Args:
        plan: the suite.
        known: by task.
    """
    tasks = {
        task_name(method.id, test.id): (method, test)
        for method in plan.methods
        for test in plan.tests
        if method.id in test.methods
    }
    by_group: dict[tuple[str, ...], list[Cost]] = defaultdict(list)
    for task, cost in known.items():
        if task in tasks:
            for key in _keys(*tasks[task]):
                by_group[key].append(cost)
    medians = {key: _median(some) for key, some in by_group.items()}
    found = {
        task: known[task] if task in known else next((medians[key] for key in _keys(*of) if key in medians), None)
        for task, of in tasks.items()
        if not of[1].skip
    }
    return {task: cost for task, cost in found.items() if cost is not None}


def _median(costs: Sequence[Cost]) -> Cost:
    cores = [one.cores for one in costs if one.cores is not None]
    return Cost(statistics.median(cores) if cores else None, statistics.median(one.megabytes for one in costs))


def has_cost(test: Test) -> bool:
    """Return True if the cost of a test is measured: a command, or a page with its browser."""
    return not test.skip and (test.command is not None or needs_browser(test))


def _keys(method: Method, test: Test) -> tuple[tuple[str, ...], ...]:
    """Return the names of those that a test is like, the nearest first."""
    kind = "command" if test.command is not None else "page" if needs_browser(test) else ""
    return ((method.id, kind, test.group), (method.id, kind)) if kind else ()
