"""The expected duration of each test, from the durations in the commit alone. Pure.

`baseline.json` is in git, so every job of a pipeline reads the same durations. It may hold those of several machines: one of
them is used for the whole suite, because durations of two machines do not compare.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from orchestra.ledger.baseline import Samples, parts_of
from orchestra.ledger.canonical import digest
from orchestra.plan import Plan, Test
from orchestra.runtime.select import task_name

Key = TypeVar("Key")

STEP_SECONDS = 1.0
"""The expected duration of a step where no test of the suite has a known duration."""


class Durations(NamedTuple):
    """The known durations of a plan's tests.

    Attributes:
        place: the machine and profile that they were measured at; empty where none is known.
        seconds: the median by task.
    """

    place: str
    seconds: Mapping[str, float]

    @property
    def digest(self) -> str:
        """SHA-256 of place and seconds: jobs with the same digest split a selection alike."""
        return digest({"place": self.place, "seconds": dict(self.seconds)})


def durations_of(plan: Plan, samples: Samples) -> Durations:
    """Return the known durations: of the place, in the profile of the plan, that knows most tests; of the first by name
    where several do.

    Args:
        plan: the suite.
        samples: of `baseline.json`, by key.
    """
    tests = dict(_tasks(plan))
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for key in sorted(samples):
        task, browser, place = parts_of(key)
        fits = task in tests and browser in {"-", tests[task].browser}
        if fits and place.partition("/")[2] == plan.profile:
            found[place][task] = statistics.median(samples[key])
    if not found:
        return Durations("", {})
    place = min(found, key=lambda name: (-len(found[name]), name))
    return Durations(place, found[place])


def expected(plan: Plan, durations: Durations) -> dict[str, float]:
    """Return the expected seconds of each task of a plan.

    That is its median; without one the median of the tests of its group by the same method; without these the number of its
    steps, times the usual seconds of a step. A test with `skip` takes no time.

    Args:
        plan: the suite.
        durations: the known ones.
    """
    tasks = dict(_tasks(plan))
    known = {task: seconds for task, seconds in durations.seconds.items() if task in tasks}
    groups = _medians(known, lambda task: (_method(task), tasks[task].group))
    paces = {task: seconds / _steps(tasks[task]) for task, seconds in known.items()}
    by_method, overall = _medians(paces, _method), statistics.median(paces.values()) if paces else STEP_SECONDS

    def guess(task: str, test: Test) -> float:
        pace = by_method.get(_method(task), overall)
        return groups.get((_method(task), test.group), pace * _steps(test))

    return {
        task: 0.0 if test.skip else known[task] if task in known else guess(task, test) for task, test in tasks.items()
    }


def _medians(values: Mapping[str, float], key_of: Callable[[str], Key]) -> dict[Key, float]:
    found: dict[Key, list[float]] = defaultdict(list)
    for task, value in values.items():
        found[key_of(task)].append(value)
    return {key: statistics.median(taken) for key, taken in found.items()}


def _tasks(plan: Plan) -> Iterable[tuple[str, Test]]:
    return (
        (task_name(method.id, test.id), test)
        for method in plan.methods
        for test in plan.tests
        if method.id in test.methods
    )


def _method(task: str) -> str:
    return task.partition(":")[0]


def _steps(test: Test) -> int:
    """Return the number of steps; that of a command is 1."""
    return max(1, len(test.before) + len(test.steps) + len(test.finally_))
