"""Decide which task runs next: a pure queue with order, barriers, resources and priorities.

doit reports when the needs of a task are done; the queue holds it back for order-only edges (`after` of tests, groups
and methods), for counted resources, for tests that run alone, until a slot is free and its cost fits. Among the tasks that can
run, the one with the longest remaining path goes first (list scheduling by critical path: Graham 1969, Kohler 1975), because
it bounds the end of the run.
"""

from __future__ import annotations

import copy
import heapq
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from orchestra.instances import most
from orchestra.ledger.event import Sharding
from orchestra.plan import Plan, Test
from orchestra.runtime.engine.admission import LOOKED, Admission, Load, Need
from orchestra.runtime.engine.pools import INSTANCES, Pools, sessions, wanted
from orchestra.runtime.select import task_name

_Place: TypeAlias = tuple[float, int, str]
"""The place of a task among those that can run: less its longest path, its turn, its name; the least goes first."""

UNKNOWN_SECONDS = 1.0
"""The duration that is taken for a test that has none yet. Only ratios matter for the order."""


@dataclass(slots=True)
class _Bucket:
    """The tasks of one group by one method, those of groups inside it, too; its own are held back together."""

    left: int = 0
    blockers: int = 0
    held: list[str] = field(default_factory=list)
    followers: list[_Bucket] = field(default_factory=list)


class Queue:
    """The selected tasks of a run and which of them may start.

    Args:
        plan: the suite.
        selection: the tasks of the run, in the plan's order.
        seconds: measured durations by task.
        seed: of a random order among the tasks that can run, in a single session, too; None for the order above.
        shard: the part of a selection that this is; None for a whole one.
        load: what tasks take of the machine; None where that bounds nothing.

    Attributes:
        pools: which task holds which entries.
        admission: which task waits until its cost fits.
    """

    def __init__(
        self,
        plan: Plan,
        selection: Sequence[str],
        seconds: Mapping[str, float] | None = None,
        seed: int | None = None,
        shard: Sharding | None = None,
        load: Load | None = None,
    ) -> None:
        self.admission = Admission(load, selection)
        self._tests = {test.id: test for test in plan.tests}
        self._wanted = {test.id: wanted(test, plan.components) for test in plan.tests}
        remote = {method.id: method for method in plan.methods if sessions((method,))}
        self._remote = {
            task: wanted(test, plan.components, remote[method])
            for task in (selection if remote else ())
            for method, test in (self._parts(task),)
            if method in remote
        }
        self.pools = Pools(plan, shard)
        # Where ports do not bound the instances, the slots do.
        self._free = {**plan.resources, **self.pools.counts(), **sessions(plan.methods)}
        self._free[INSTANCES] = most(plan.components) or len(selection)
        self._running: set[str] = set()
        self._alone = ""
        self._isolated: set[str] = set()
        self._rank = {task: index for index, task in enumerate(selection)}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._methods: dict[str, _Bucket] = {}
        self._after: dict[str, int] = {}
        self._followers: dict[str, list[str]] = defaultdict(list)
        self._needs: dict[str, int] = {}
        self._dependents: dict[str, list[str]] = defaultdict(list)
        self._pushed: set[str] = set()
        self._coming: dict[str, set[str]] = {method.id: set() for method in plan.methods}
        self._ready: dict[str, list[_Place]] = {method.id: [] for method in plan.methods}
        self._parked: dict[str, list[str]] = defaultdict(list)
        self._link(plan, selection)
        self._turn = self._rank if seed is None else _shuffled(selection, seed)
        self._priority = _priorities(plan, self._rank, seconds or {}) if seed is None else {}
        # In a single session tests share a page: there the order of the plan is kept, whatever would be quicker.
        self._in_order = frozenset(method.id for method in plan.methods if method.single_session)

    def _link(self, plan: Plan, selection: Sequence[str]) -> None:
        for task in selection:
            method, test = self._parts(task)
            for group in test.groups or ("",):
                self._buckets.setdefault((method, group), _Bucket()).left += 1
            self._methods.setdefault(method, _Bucket()).left += 1
            before = [other for name in test.after if (other := task_name(method, name)) in self._rank]
            self._after[task] = len(before)
            for other in before:
                self._followers[other].append(task)
            needs = [other for name in test.needs if (other := task_name(method, name)) in self._rank]
            self._needs[task] = len(needs)
            for other in needs:
                self._dependents[other].append(task)
        after = {group.id: group.after for group in plan.groups}
        passed_on = {name: [*others] for name, others in after.items()}
        for one in plan.groups:
            for outer in one.outer:
                passed_on[outer].append(one.id)
        for (method, own), bucket in self._buckets.items():
            for barrier in self._barriers(method, passed_on, after.get(own, ())):
                barrier.followers.append(bucket)
                bucket.blockers += 1
        self._sequence(plan)

    def fresh(self) -> Queue:
        """Return a queue like this one, which was never used itself. To link tasks takes as long as half of a simulated run."""
        other = copy.copy(self)
        other.detach()
        return other

    def detach(self) -> None:
        """Take over what changes in a run, as a copy of a queue that was never used."""
        self.admission, self.pools = copy.copy(self.admission), copy.copy(self.pools)
        self.admission.detach()
        self.pools.detach()
        self._free, self._after, self._needs = self._free.copy(), self._after.copy(), self._needs.copy()
        self._running, self._isolated, self._pushed = set(), set(), set()
        self._coming = {method: set() for method in self._coming}
        self._ready = {method: [] for method in self._ready}
        self._parked = defaultdict(list)
        own = _copies((*self._buckets.values(), *self._methods.values()))
        self._buckets = {key: own[id(bucket)] for key, bucket in self._buckets.items()}
        self._methods = {key: own[id(bucket)] for key, bucket in self._methods.items()}

    def _barriers(self, method: str, passed_on: Mapping[str, Iterable[str]], after: Iterable[str]) -> list[_Bucket]:
        """Return the groups that must end first; one of which nothing is selected passes its own barriers on, and those
        of the groups inside it.
        """
        found: dict[str, _Bucket] = {}
        stack, seen = list(after), set[str]()
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            bucket = self._buckets.get((method, name))
            if bucket is None:
                stack += passed_on.get(name, ())
            else:
                found[name] = bucket
        return list(found.values())

    def _sequence(self, plan: Plan) -> None:
        """Chain the methods one after the other, except those with `parallel: true`."""
        earlier: list[_Bucket] = []
        for method in plan.methods:
            mine = self._methods.get(method.id)
            if mine is None:
                continue
            if not method.parallel:
                for (name, _), bucket in self._buckets.items():
                    if name == method.id:
                        bucket.blockers += len(earlier)
                        for before in earlier:
                            before.followers.append(bucket)
            earlier.append(mine)

    def _parts(self, task: str) -> tuple[str, Test]:
        method, _, name = task.partition(":")
        return method, self._tests[name]

    def push(self, task: str) -> None:
        """Add a task whose needs are done: it can run once order, resources and slots allow."""
        self._pushed.add(task)
        self._coming[task.partition(":")[0]].discard(task)
        if self._after[task] == 0:
            self._enter(task)

    def _enter(self, task: str) -> None:
        method, test = self._parts(task)
        bucket = self._buckets[method, test.group]
        if bucket.blockers:
            bucket.held.append(task)
        else:
            heapq.heappush(self._ready[method], self._place(method, task))

    def _place(self, method: str, task: str) -> _Place:
        """Return the place of a task among those that can run; the least goes first."""
        if task in self._isolated:
            return math.inf, self._turn[task], task
        priority = 0.0 if method in self._in_order else self._priority.get(task, 0.0)
        return -priority, self._turn[task], task

    def take(self, method: str, free: int | None = None) -> str | None:
        """Return the next task of a method that may start now, its resources taken; None when there is none.

        Args:
            method: its id.
            free: the number of its free slots while doit has not yet pushed the tasks that the last verdicts released;
                None when it has. Until then a slot is held for each of these that goes before what can run: granted
                at once, it would often go to a short task, and the critical path would wait for the next slot.
        """
        if self._alone:
            return self._take_alone(method)
        ready, heavy = self._ready[method], list[_Place]()
        try:
            while ready and len(heavy) < LOOKED:
                place = heapq.heappop(ready)
                task = place[-1]
                if task not in self._pushed:
                    continue  # it got its verdict without running
                lacking = self._lacking(task)
                if lacking is not None:
                    self._parked[lacking].append(task)
                    self.admission.forget(task)
                    continue
                alone = self._parts(task)[1].exclusive or task in self._isolated
                if not self._fits(task, alone=alone, first=not heavy, offered=free is None):
                    heavy.append(place)
                    if free is not None and task != self.admission.first:
                        return None  # a task that doit is about to push may be lighter, or be held back instead
                    if self.admission.full():
                        return None
                    continue
                if free is not None and not self._goes_now(method, place, free):
                    heavy.append(place)
                    return None
                if task in self._isolated and (free is not None or self._running or self._others_ready()):
                    heavy.append(place)
                    return None
                if alone:
                    self._alone = task
                    heapq.heappush(ready, place)
                    return self._take_alone(method)
                return self._taken(task)
            return None
        finally:
            for place in heavy:
                heapq.heappush(ready, place)

    def _fits(self, task: str, *, alone: bool, first: bool, offered: bool) -> bool:
        """Return whether the cost of a task fits next to those that run, and its turn has come.

        Args:
            task: that could run else.
            alone: whether it waits until no other runs, and then fits.
            first: whether none goes before it.
            offered: whether all that goes before it is known.
        """
        held = self.admission.first
        if self.admission.closed and task != held:
            return False
        lack = None if alone else self.admission.lacks(task)
        if lack is not None and first and offered and not held:
            self.admission.hold(task, lack)
        return lack is None

    def isolate(self, task: str) -> None:
        """Put a task that was taken back: it starts when no other can run, and runs alone."""
        self.release(task)
        self._isolated.add(task)
        self._enter(task)

    def isolated(self, task: str) -> bool:
        """Return whether a task was put back, and waits."""
        return task in self._isolated and task not in self._running

    def _others_ready(self) -> bool:
        """Return whether a task can run that was not put back."""
        for ready in self._ready.values():
            while ready and ready[0][-1] not in self._pushed:
                heapq.heappop(ready)  # it got its verdict without running
        return any(ready and ready[0][-1] not in self._isolated for ready in self._ready.values())

    def _take_alone(self, method: str) -> str | None:
        """Return the exclusive task that is next once no other runs; until it has ended none other starts."""
        if self._running or not self._alone.startswith(f"{method}:"):
            return None
        ready = self._ready[method]
        ready.remove(self._place(method, self._alone))
        heapq.heapify(ready)
        return self._taken(self._alone)

    def _taken(self, task: str) -> str:
        self._running.add(task)
        self.admission.start(task)
        for name, count in self._needed(task).items():
            self._free[name] -= count
        self.pools.take(task, self._parts(task)[1])
        return task

    def _needed(self, task: str) -> dict[str, int]:
        """Return the counted resources of a task."""
        return (self._remote and self._remote.get(task)) or self._wanted[task.partition(":")[2]]

    def _lacking(self, task: str) -> str | None:
        """Return the name of a resource of which too little is free for a task."""
        needed = self._needed(task)
        return _short(needed, self._free) if needed else None

    def _goes_now(self, method: str, place: _Place, free: int) -> bool:
        """Return whether slots and resources suffice for a task and for all that doit is about to push before it."""
        left = dict(self._free)
        coming = [self._place(method, task) for task in self._coming[method] if not self._held_back(task)]
        earlier = sorted(before for before in coming if before < place)
        if any(self._parts(task)[1].exclusive for *_, task in ([*earlier, place] if earlier else ())):
            return False
        ahead: dict[str, Need] = {}
        for *_, task in earlier:
            needed = self._needed(task)
            if _short(needed, left) is None:
                if self.admission.lacks(task, ahead) is not None:
                    return False
                ahead[task] = self.admission.need(task)
                free -= 1
                for name, count in needed.items():
                    left[name] -= count
        fits = self.admission.lacks(place[-1], ahead) is None
        return free > 0 and fits and _short(self._needed(place[-1]), left) is None

    def _held_back(self, task: str) -> bool:
        """Return whether a task waits for others that it does not need, in order only."""
        method, test = self._parts(task)
        return bool(self._after[task] or self._buckets[method, test.group].blockers)

    def release(self, task: str) -> None:
        """Give back the resources and the entries of a task that was taken; it may be pushed or taken again, or be done."""
        self._running.discard(task)
        self.admission.end(task)
        if self._alone == task:
            self._alone = ""
        self.pools.release(task)
        for name, count in self._needed(task).items():
            self._free[name] += count
            for parked in self._parked.pop(name, ()):
                self._enter(parked)

    def done(self, task: str) -> None:
        """Record that a task has its verdict, and release the tasks that waited for it in order."""
        method, test = self._parts(task)
        self._pushed.discard(task)
        self._isolated.discard(task)
        self.admission.forget(task)
        if self._alone == task:
            self._alone = ""
        self._coming[method].discard(task)
        self._needs[task] = 0  # a verdict of an earlier segment may come before those of its needs
        for dependent in self._dependents[task]:
            self._needs[dependent] -= 1
            if self._needs[dependent] == 0 and dependent not in self._pushed:
                self._coming[method].add(dependent)
        for follower in self._followers[task]:
            self._after[follower] -= 1
            if self._after[follower] == 0 and follower in self._pushed:
                self._enter(follower)
        for bucket in (*(self._buckets[method, name] for name in test.groups or ("",)), self._methods[method]):
            bucket.left -= 1
            if bucket.left == 0:
                for follower_bucket in bucket.followers:
                    self._open(follower_bucket)

    def _open(self, bucket: _Bucket) -> None:
        bucket.blockers -= 1
        if bucket.blockers == 0:
            held, bucket.held = bucket.held, []
            for task in held:
                self._enter(task)

    def count(self) -> int:
        """Return how many tasks were pushed and are not done."""
        return len(self._pushed)

    def waiting(self) -> list[str]:
        """Return the tasks that were pushed and are not done, in the plan's order."""
        return sorted(self._pushed, key=self._rank.__getitem__)

    def completed(self, method: str, group: str) -> bool:
        """Return True if every selected test of a group has its verdict by a method."""
        return self._buckets[method, group].left == 0


def _copies(buckets: Iterable[_Bucket]) -> dict[int, _Bucket]:
    """Return a copy of each bucket, with copies of its followers, by the `id` of the bucket."""
    before = list(buckets)
    copies = {id(bucket): _Bucket(bucket.left, bucket.blockers) for bucket in before}
    for bucket in before:
        copies[id(bucket)].followers = [copies[id(follower)] for follower in bucket.followers]
    return copies


def _short(wanted: Mapping[str, int], free: Mapping[str, int]) -> str | None:
    """Return the name of the first resource of which less is free than wanted; None if all suffice."""
    return next((name for name, count in wanted.items() if free.get(name, 0) < count), None)


def _shuffled(selection: Sequence[str], seed: int) -> dict[str, int]:
    """Return the place of each task in a random order, the same for a seed and a selection."""
    order = list(selection)
    random.Random(seed).shuffle(order)  # noqa: S311 - an order to repeat, no secret
    return {task: index for index, task in enumerate(order)}


def _priorities(plan: Plan, rank: Mapping[str, int], seconds: Mapping[str, float]) -> dict[str, float]:
    """For each task the length of the longest path that starts with it, in seconds. The plan's order is topological."""
    followed_by: dict[str, list[str]] = defaultdict(list)
    for group in plan.groups:
        for other in group.after:
            followed_by[other].append(group.id)
    longest: dict[str, float] = {}
    below: dict[str, float] = defaultdict(float)
    of_group: dict[tuple[str, str], float] = defaultdict(float)
    for method in plan.methods:
        for test in reversed(plan.tests):
            task = task_name(method.id, test.id)
            if task not in rank:
                continue
            followers = (name for group in test.groups for name in followed_by[group])
            later = max((of_group[method.id, name] for name in followers), default=0.0)
            path = seconds.get(task, UNKNOWN_SECONDS) + max(below[task], later)
            longest[task] = path
            of_group[method.id, test.group] = max(of_group[method.id, test.group], path)
            for name in (*test.needs, *test.after):
                before = task_name(method.id, name)
                below[before] = max(below[before], path)
    return longest
