"""Simulate a run: the queue of the run itself decides, and each task takes the time that is given. Pure."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestra.plan import Plan
from orchestra.runtime.engine.admission import Load
from orchestra.runtime.engine.pools import wanted
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.select import task_name


class Start(NamedTuple):
    """The start of a task in a simulated run.

    Attributes:
        task: its name.
        begun, ended: seconds from the first start.
        after: the task at whose end it began; empty for one that began at once.
        why: what it waited for: `needs`, `order`, `workers`, `exclusive tests`, `processors` or `memory` by its cost,
            `resource NAME`, `pool NAME`, `sessions of METHOD` or `instances per worker`; empty for one that began at once.
    """

    task: str
    begun: float
    ended: float
    after: str
    why: str


class Peak(NamedTuple):
    """The moment of a simulated run at which its tests have most memory.

    Attributes:
        megabytes: of all tests that run then.
        tasks: these, those of which it is known.
    """

    megabytes: float
    tasks: tuple[str, ...]


class Simulated(NamedTuple):
    """A simulated run: its starts in order, by task."""

    starts: Mapping[str, Start]

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return max((start.ended for start in self.starts.values()), default=0.0)

    def path(self) -> list[Start]:
        """Return the tasks that decide the end of the run, each of which began when the one before it ended."""
        last = max(self.starts.values(), key=lambda start: start.ended, default=None)
        path: list[Start] = []
        while last is not None:
            path.append(last)
            last = self.starts.get(last.after)
        return path[::-1]

    def peak(self, megabytes: Mapping[str, float]) -> Peak:
        """Return the moment at which the tests that run have most memory.

        Args:
            megabytes: by task; a task that is missing counts as none.
        """
        running: dict[str, float] = {}
        ends: list[tuple[float, str]] = []
        most = Peak(0.0, ())
        for start in sorted(self.starts.values(), key=lambda start: start.begun):
            while ends and ends[0][0] <= start.begun:
                running.pop(heapq.heappop(ends)[1], None)
            if start.task in megabytes and start.begun < start.ended:
                running[start.task] = megabytes[start.task]
                heapq.heappush(ends, (start.ended, start.task))
                now = math.fsum(running.values())
                if now > most.megabytes:
                    most = Peak(now, tuple(running))
        return most


def simulate(
    plan: Plan,
    selection: Sequence[str],
    slots: Mapping[str, int],
    expected: Mapping[str, float],
    true: Mapping[str, float] | None = None,
    load: Load | None = None,
) -> Simulated:
    """Return the run of a selection in which each task takes the time that is given.

    Args:
        plan: the suite.
        selection: the tasks, what they need included, in the order of the plan.
        slots: tests that run at once, by method.
        expected: seconds of each task, by which the queue decides.
        true: the seconds that it takes in this run, where they differ.
        load: what tasks take of the machine; None where that bounds nothing.
    """
    return Simulator(plan, selection, expected, load).run(slots, true)


class Simulator:
    """A selection that is made ready once and simulated any number of times.

    Args: as of `simulate`.
    """

    def __init__(
        self, plan: Plan, selection: Sequence[str], expected: Mapping[str, float], load: Load | None = None
    ) -> None:
        self.expected = expected
        self.queue = Queue(plan, selection, expected, load=load)  # each run gets one like it
        self.methods, self.components = {method.id: method for method in plan.methods}, plan.components
        self.tests = {test.id: test for test in plan.tests}
        self.dependents: dict[str, list[str]] = defaultdict(list)
        self.left: dict[str, int] = {}
        chosen = set(selection)
        for task in selection:
            method, _, test = task.partition(":")
            needs = [other for need in self.tests[test].needs if (other := task_name(method, need)) in chosen]
            self.left[task] = len(needs)
            for other in needs:
                self.dependents[other].append(task)

    def run(self, slots: Mapping[str, int], true: Mapping[str, float] | None = None) -> Simulated:
        """Return a run, with what each of its tasks waited for. Args: as of `simulate`."""
        run = _Simulation(self, slots, true or self.expected)
        starts: dict[str, Start] = {}
        run.carry_out(starts)
        return Simulated(starts)

    def seconds(self, slots: Mapping[str, int], true: Mapping[str, float] | None = None) -> float:
        """Return how long a run takes, from its first start to its last end. Args: as of `simulate`."""
        return _Simulation(self, slots, true or self.expected).carry_out()


class _Simulation:
    """One simulated run under way."""

    def __init__(self, ready: Simulator, slots: Mapping[str, int], true: Mapping[str, float]) -> None:
        self._queue, self._left = ready.queue.fresh(), ready.left.copy()
        self._methods, self._components, self._tests = ready.methods, ready.components, ready.tests
        self._dependents = ready.dependents
        self._slots, self._true = slots, true
        self._busy = dict.fromkeys(self._methods, 0)
        self._full = dict.fromkeys(self._methods, False)
        self._running: list[tuple[float, str]] = []

    def carry_out(self, starts: dict[str, Start] | None = None) -> float:
        """Return when the last task ends.

        Args:
            starts: gets those of all tasks; None to leave out the causes, which take a tenth of the time.
        """
        now = 0.0
        ended: list[str] = []
        for task, count in self._left.items():
            if not count:
                self._queue.push(task)
        self._grant(now, ended, starts)
        while self._running:
            now, ended = self._running[0][0], []
            while self._running and self._running[0][0] <= now:
                ended.append(heapq.heappop(self._running)[1])
            for task in ended:
                self._end(task)
            self._grant(now, ended, starts)
        return now

    def _end(self, task: str) -> None:
        self._busy[task.partition(":")[0]] -= 1
        self._queue.release(task)
        self._queue.done(task)
        for dependent in self._dependents.get(task, ()):
            self._left[dependent] -= 1
            if not self._left[dependent]:
                self._queue.push(dependent)

    def _grant(self, now: float, ended: Sequence[str], starts: dict[str, Start] | None) -> None:
        for method in self._methods:
            while self._busy[method] < self._slots[method] and (task := self._queue.take(method)) is not None:
                self._busy[method] += 1
                end = now + self._true[task]
                heapq.heappush(self._running, (end, task))
                if starts is not None:
                    starts[task] = Start(task, now, end, *self._cause(task, ended))
        self._full = {method: busy >= self._slots[method] for method, busy in self._busy.items()}

    def _wanted(self, task: str) -> frozenset[str]:
        method, _, name = task.partition(":")
        return frozenset(wanted(self._tests[name], self._components, self._methods[method]))

    def _cause(self, task: str, ended: Sequence[str]) -> tuple[str, str]:
        """Return the task at whose end one begins, and what it waited for."""
        if not ended:
            return "", ""
        method, _, name = task.partition(":")
        test = self._tests[name]
        for names, why in ((test.needs, "needs"), (test.after, "order")):
            for other in ended:
                if other.partition(":")[0] == method and other.partition(":")[2] in names:
                    return other, why
        if test.exclusive or any(self._tests[other.partition(":")[2]].exclusive for other in ended):
            return ended[-1], "exclusive tests"
        same = next((other for other in ended if other.partition(":")[0] == method), "")
        if self._full[method] and same:
            return same, "workers"
        if lack := self._queue.admission.why(task):
            return ended[-1], lack
        for other in ended:
            shared = self._wanted(task) & self._wanted(other)
            if shared:
                name = min(shared)
                return other, name if " " in name else f"resource {name}"
        return ended[-1], "order"
