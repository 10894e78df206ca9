"""Split a selection into shards of about the same duration. Pure: the same arguments give the same shards on every machine.

A unit is never split: the tests that `needs` connect or that a test of `after_all` follows, or all tests of a method with one
session. The longest unit goes
first, each to the shard with the least time so far (LPT, Graham 1969); ties go by the name of the first test.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from orchestra.errors import UsageError
from orchestra.plan import Plan, closure
from orchestra.runtime.select import natural, task_name, with_needs


class Unit(NamedTuple):
    """Tasks that one shard must run together.

    Attributes:
        tasks: in the order of the plan.
        seconds: their expected durations together.
        session: the method whose one session they share; empty where `needs` connect them.
    """

    tasks: tuple[str, ...]
    seconds: float
    session: str = ""


class Shard(NamedTuple):
    """One part of a selection: its tasks in the order of the plan, and their expected durations together."""

    tasks: tuple[str, ...]
    seconds: float
    units: tuple[Unit, ...]


class Edge(NamedTuple):
    """A test that `needs` another one."""

    task: str
    need: str


class Split(NamedTuple):
    """A selection split into shards.

    Attributes:
        tasks: all of them, needed ones included, in the order of the plan.
        shards: in order; none is empty.
    """

    tasks: tuple[str, ...]
    shards: tuple[Shard, ...]

    @property
    def share(self) -> float:
        """The seconds of a shard if all were alike."""
        return math.fsum(shard.seconds for shard in self.shards) / len(self.shards)

    @property
    def slowest(self) -> float:
        """The seconds of the slowest shard."""
        return max(shard.seconds for shard in self.shards)

    @property
    def least(self) -> float:
        """The seconds that the slowest shard of any split of these units has at least."""
        return max(self.share, *(unit.seconds for unit in self.units))

    @property
    def units(self) -> list[Unit]:
        """All units, the longest first."""
        return sorted((unit for shard in self.shards for unit in shard.units), key=_longest_first)

    @property
    def too_large(self) -> list[Unit]:
        """The units of more than one test that are larger than a share, the longest first: they bind the split."""
        return [unit for unit in self.units if unit.seconds > self.share and len(unit.tasks) > 1]


def split(plan: Plan, tasks: Iterable[str], number: int, seconds: Mapping[str, float]) -> Split:
    """Split a selection, and what it needs, into a number of shards.

    Args:
        plan: the suite.
        tasks: the selection.
        number: of shards.
        seconds: the expected duration of each task.

    Raises:
        UsageError: there are fewer units than shards, so that one shard would have no test.
    """
    selection = with_needs(plan, tasks)
    units = sorted(_units(plan, selection, seconds), key=_longest_first)
    if number > len(units):
        tests = f"{len(selection)} test{'s' * (len(selection) != 1)}"
        raise UsageError(
            f'{number} shards are too many for {tests} of suite "{plan.suite}": tests that need each other or'
            f" share a session stay together, which leaves {len(units)} to share out",
            f"use at most {len(units)}; `orchestra plan --shards {len(units)}` shows them",
        )
    loads = [(0.0, 0, index) for index in range(number)]
    taken: list[list[Unit]] = [[] for _ in range(number)]
    for unit in units:
        load, count, index = heapq.heappop(loads)
        taken[index].append(unit)
        heapq.heappush(loads, (load + unit.seconds, count + 1, index))
    rank = {task: place for place, task in enumerate(selection)}
    return Split(tuple(selection), tuple(_shard(some, rank) for some in taken))


def _shard(units: Sequence[Unit], rank: Mapping[str, int]) -> Shard:
    tasks = sorted((task for unit in units for task in unit.tasks), key=rank.__getitem__)
    return Shard(tuple(tasks), math.fsum(unit.seconds for unit in units), tuple(units))


def _longest_first(unit: Unit) -> tuple[float, tuple[tuple[int, int, str], ...]]:
    return -unit.seconds, natural(unit.tasks[0])


def edges(plan: Plan, tasks: Iterable[str]) -> Iterator[Edge]:
    """Yield each of the tasks with each task that it needs, in the order of the plan."""
    inside = set(tasks)
    for method in plan.methods:
        for test in plan.tests:
            task = task_name(method.id, test.id)
            needs = (task_name(method.id, need) for need in test.needs) if task in inside else ()
            yield from (Edge(task, need) for need in needs if need in inside)


def _units(plan: Plan, tasks: Sequence[str], seconds: Mapping[str, float]) -> Iterator[Unit]:
    """Yield the connected components of the tasks, those of a method with one session as one."""
    sessions = {method.id for method in plan.methods if method.single_session}
    root = {task: task for task in tasks}

    def find(task: str) -> str:
        while root[task] != task:
            root[task] = task = root[root[task]]
        return task

    for task, need in edges(plan, tasks):
        root[find(task)] = find(need)
    for task, end in _endings(plan, tasks):
        root[find(task)] = find(end)
    found: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        method = task.partition(":")[0]
        found[method if method in sessions else find(task)].append(task)
    for name, some in found.items():
        session = name if name in sessions else ""
        yield Unit(tuple(some), math.fsum(seconds[task] for task in some), session)


def _endings(plan: Plan, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each of the tasks with each test of `after_all` of its groups."""
    closers, inside = plan.closers(), set(tasks)
    for task in tasks:
        method, _, name = task.partition(":")
        ends = (task_name(method, end) for end in closers.get(name, ()))
        yield from ((task, end) for end in ends if end in inside)


def group_once(plan: Plan, unit: Unit) -> str:
    """Return the group that holds a unit together because it has tests that run once; empty without one."""
    ids = {task.partition(":")[2] for task in unit.tasks}
    found = (group.id for group in plan.groups if not ids.isdisjoint((*group.before_all, *group.after_all)))
    return next(found, "")


def cut(plan: Plan, unit: Unit, seconds: Mapping[str, float]) -> Edge | None:
    """Return the edge without which a unit falls into two parts of the most even durations.

    None where no single edge parts it, or one session or a group with tests that run once holds it together. Bridges are
    found in one walk (Tarjan 1974).

    Args:
        plan: the suite.
        unit: of a split.
        seconds: the expected duration of each task.
    """
    if unit.session or group_once(plan, unit):
        return None
    links: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
    for edge in edges(plan, unit.tasks):
        links[edge.task].append((edge.need, edge))
        links[edge.need].append((edge.task, edge))
    bridges = _bridges(unit.tasks[0], links, seconds)
    return min(bridges, key=lambda found: max(found[1], unit.seconds - found[1]), default=(None, 0.0))[0]


def _bridges(
    first: str, links: Mapping[str, Sequence[tuple[str, Edge]]], seconds: Mapping[str, float]
) -> list[tuple[Edge, float]]:
    """Return each edge of a connected graph that alone joins its two sides, with the seconds of the side below it."""
    seen, low, below = {first: 0}, {first: 0}, {first: seconds[first]}
    found: list[tuple[Edge, float]] = []
    stack: list[tuple[str, Edge | None, Iterator[tuple[str, Edge]]]] = [(first, None, iter(links.get(first, ())))]
    while stack:
        task, entered, ahead = stack[-1]
        other, edge = next(ahead, (None, None))
        if other is None or edge is None:
            stack.pop()
            if entered is not None:
                parent = stack[-1][0]
                low[parent] = min(low[parent], low[task])
                below[parent] += below[task]
                if low[task] > seen[parent]:
                    found.append((entered, below[task]))
        elif edge is not entered and other in seen:
            low[task] = min(low[task], seen[other])
        elif edge is not entered:
            seen[other] = low[other] = len(seen)
            below[other] = seconds[other]
            stack.append((other, edge, iter(links[other])))
    return found


def services(plan: Plan, shard: Shard) -> list[str]:
    """Return the components that a shard starts, once for all of its tests, in the order of the plan."""
    ids = {task.partition(":")[2] for task in shard.tasks}
    wanted = {name for test in plan.tests if test.id in ids for name in test.requires}
    return [row.id for row in closure(plan.components, wanted)]
