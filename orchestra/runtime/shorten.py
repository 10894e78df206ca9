"""Find the changes of a plan that would shorten a run most, each simulated with the durations that are known. Pure.

A change is one that a person can make in the spec: another worker, one more of a resource, a test without one of its edges, or
a test that is two. Only those on the path that decides the end can help, so only these are simulated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from orchestra.plan import Plan, Test
from orchestra.runtime.engine.admission import Load
from orchestra.runtime.forecast import SIMULATED_TASKS, Forecast, Known
from orchestra.runtime.simulation import simulate

WORTH_SECONDS: Final = 0.5
WORTH_SHARE: Final = 0.01
"""A change is listed if it saves at least so many seconds, and this part of the run."""

TRIED: Final = 30
"""The number of tests of the path that are looked at, the longest ones; fewer of a large suite."""

HALF: Final = "~2"
"""The end of the id of the second half of a test that is simulated as two."""


class Change(NamedTuple):
    """A change of a plan.

    Attributes:
        kind: `workers`, `resource`, `edge` or `split`.
        text: what to change, for people.
        subject: the method, the resource, or the task that it is about.
        plan: with the change.
        slots: tests that run at once by method, with the change.
        other: the test of an edge that is taken out, empty for others.
    """

    kind: str
    text: str
    subject: str
    plan: Plan
    slots: Mapping[str, int]
    other: str = ""


class Saving(NamedTuple):
    """A change, and the seconds that it takes from the expected time of a run."""

    change: Change
    seconds: float


def shortest(
    known: Known,
    selection: Sequence[str],
    slots: Mapping[str, int],
    found: Forecast,
    number: int = 3,
    load: Load | None = None,
) -> list[Saving]:
    """Return the changes that save most, the greatest saving first; none that is not worth it.

    Args:
        known: durations.
        selection: the tasks, what they need included, in the order of the plan.
        slots: tests that run at once, by method.
        found: the forecast of the same.
        number: of changes, at most.
        load: what tasks take of the machine; None where that bounds nothing.
    """
    now = found.path[-1].ended if found.path else 0.0
    worth = max(WORTH_SECONDS, WORTH_SHARE * found.seconds)
    savings = [
        Saving(change, now - applied(change, selection, known.expected, load))
        for change in _changes(known.plan, slots, found)
    ]
    return sorted((saving for saving in savings if saving.seconds >= worth), key=lambda one: -one.seconds)[:number]


def applied(change: Change, selection: Sequence[str], seconds: Mapping[str, float], load: Load | None = None) -> float:
    """Return the seconds of a simulated run with a change.

    Args:
        change: of the plan.
        selection: the tasks, without the change.
        seconds: of each of them, without the change.
        load: what they take of the machine; None where that bounds nothing. Half a test takes as much as the whole.
    """
    took, tasks = dict(seconds), list(selection)
    if change.kind == "split":
        half = seconds[change.subject] / 2
        took[change.subject] = took[change.subject + HALF] = half
        tasks.insert(tasks.index(change.subject) + 1, change.subject + HALF)
        if load is not None and change.subject in load.needs:
            load = load._replace(needs={**load.needs, change.subject + HALF: load.needs[change.subject]})
    return simulate(change.plan, tasks, change.slots, took, load=load).seconds


def _changes(plan: Plan, slots: Mapping[str, int], found: Forecast) -> Iterator[Change]:
    path = sorted(found.path, key=lambda start: start.begun - start.ended)[
        : min(TRIED, max(3, SIMULATED_TASKS // max(1, found.tasks)))
    ]
    single = {method.id for method in plan.methods if method.single_session}
    for method, count in slots.items():
        if method not in single and any(start.why == "workers" for start in path):
            text = f"{count + 1} workers for {method} instead of {count}, if the machine bears them"
            yield Change("workers", text, method, plan, {**slots, method: count + 1})
    for why in dict.fromkeys(start.why for start in path):
        name = why.removeprefix("resource ")
        if name in plan.resources and name != why:
            more = plan.resources[name] + 1
            changed = msgspec.structs.replace(plan, resources={**plan.resources, name: more})
            yield Change(
                "resource", f"{more} of resource {name} instead of {plan.resources[name]}", name, changed, slots
            )
    for start in path:
        if start.why in {"needs", "order"} and (change := _without(plan, slots, start.task, start.after)) is not None:
            yield change
    for start in path:
        text = f"two tests instead of {start.task}, each of half its steps"
        yield Change("split", text, start.task, _split(plan, start.task.partition(":")[2]), slots)


def _without(plan: Plan, slots: Mapping[str, int], task: str, after: str) -> Change | None:
    """Return the change that takes one edge of a test out; None if no edge of its own makes it wait."""
    method, _, name = task.partition(":")
    before_method, _, before = after.partition(":")
    test = next(one for one in plan.tests if one.id == name)
    if before_method != method or before not in (*test.needs, *test.after):
        return None
    word = "need" if before in test.needs else "wait for"
    changed = msgspec.structs.replace(test, needs=_less(test.needs, before), after=_less(test.after, before))
    text = f"{task} does not {word} {before}"
    return Change("edge", text, task, _with(plan, {name: [changed]}), slots, before)


def _less(names: Iterable[str], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)


def _split(plan: Plan, name: str) -> Plan:
    """Return a plan in which a test is two that can run side by side; all that wait for it wait for both."""
    second = name + HALF
    halves: dict[str, list[Test]] = {}
    for test in plan.tests:
        if test.id == name:
            halves[name] = [test, msgspec.structs.replace(test, id=second)]
        elif name in (*test.needs, *test.after):
            needs = (*test.needs, second) if name in test.needs else test.needs
            after = (*test.after, second) if name in test.after else test.after
            halves[test.id] = [msgspec.structs.replace(test, needs=needs, after=after)]
    return _with(plan, halves)


def _with(plan: Plan, tests: Mapping[str, Sequence[Test]]) -> Plan:
    changed = tuple(one for test in plan.tests for one in tests.get(test.id, (test,)))
    return msgspec.structs.replace(plan, tests=changed)
