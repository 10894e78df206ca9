"""Set the forecast of a run against the truth: by test, in all, and the changes that would have shortened this run. Pure.

The changes are simulated with the durations that the tests of this run had, and with the rule by which it admitted them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from orchestra.ledger.run_record import RunRecord
from orchestra.plan import Plan
from orchestra.runtime.engine.admission import Need
from orchestra.runtime.forecast import forecast, known_of, slots_of
from orchestra.runtime.select import task_name
from orchestra.runtime.shorten import Saving, shortest


class Taken(NamedTuple):
    """A test of the run: seconds that were expected of it by the runs before, and that it took with all its attempts."""

    task: str
    expected: float
    took: float


class Hindsight(NamedTuple):
    """A run, looked back at.

    Attributes:
        seconds: of the run.
        simulated: of its tests, in a schedule with the durations that they had.
        known: how many of its tests had a known duration before.
        tests: of the run, those first that were furthest off.
        savings: the changes that would have shortened it most, the greatest first.
    """

    seconds: float
    simulated: float
    known: int
    tests: Sequence[Taken]
    savings: Sequence[Saving]


def hindsight(plan: Plan, before: Sequence[RunRecord], run: RunRecord, room: Need) -> Hindsight:
    """Return a run, looked back at.

    Args:
        plan: that it executed.
        before: the runs before it, in the order of time.
        run: with at least one test of the plan that it executed.
        room: the capacity of the machine.
    """
    known = known_of(plan, {}, before, run.place, room)
    order = [task_name(method.id, test.id) for method in plan.methods for test in plan.tests]
    took = {
        task: math.fsum(attempt.seconds for attempt in run.executions[task].attempts)
        for task in order
        if task in run.executions
    }
    selection, workers = list(took), run.workers or None
    load = known.load(selection, workers)
    slots = slots_of(known, workers, load)
    own = known._replace(expected={**known.expected, **took}, samples={}, earlier=())
    found = forecast(own, selection, slots, load)
    tests = [Taken(task, known.expected[task], seconds) for task, seconds in took.items()]
    return Hindsight(
        run.seconds,
        found.seconds,
        sum(task in known.samples for task in selection),
        sorted(tests, key=lambda one: -abs(one.took - one.expected)),
        shortest(own, selection, slots, found._replace(seconds=run.seconds), load=load),
    )
