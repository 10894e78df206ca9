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
        cores: how many processors it keeps busy, in the mean: seconds of processors by the seconds in its slot.
        megabytes: of memory, at its most.
    """

    cores: float
    megabytes: float


def costs_of(plan: Plan, earlier: Iterable[RunRecord]) -> dict[str, Cost]:
    """Return the cost of each task that earlier runs have measured: of its memory the median. Attempts that other programs
    disturbed count only where there are no others.

    Args:
        plan: the suite.
        earlier: runs on one shape of machine, in one profile.
    """
    browsers = {test.id: test.browser for test in plan.tests}
    calm, disturbed = defaultdict[str, list[Attempt]](list), defaultdict[str, list[Attempt]](list)
    for run in earlier:
        for task, one in run.executions.items():
            taken = [took for took in one.attempts if took.outcome == "passed" and took.held_seconds]
            if taken and one.browser in {"", browsers.get(task.partition(":")[2])}:
                (disturbed if one.disturbed else calm)[task] += taken
    return {task: _cost(taken) for task, taken in {**disturbed, **calm}.items()}


def _cost(attempts: Sequence[Attempt]) -> Cost:
    cores = sorted(one.cpu_seconds / one.held_seconds for one in attempts)
    return Cost(cores[math.ceil(CALM * len(cores)) - 1], statistics.median(one.megabytes for one in attempts))


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
    medians = {
        key: Cost(statistics.median(one.cores for one in some), statistics.median(one.megabytes for one in some))
        for key, some in by_group.items()
    }
    found = {
        task: known[task] if task in known else next((medians[key] for key in _keys(*of) if key in medians), None)
        for task, of in tasks.items()
        if not of[1].skip
    }
    return {task: cost for task, cost in found.items() if cost is not None}


def _keys(method: Method, test: Test) -> tuple[tuple[str, ...], ...]:
    """Return the names of those that a test is like, the nearest first."""
    kind = "command" if test.command is not None else "page" if needs_browser(test) else ""
    return ((method.id, kind, test.group), (method.id, kind)) if kind else ()
