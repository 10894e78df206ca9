"""The verdict of a task: what it is recorded with, whether it is excused, and when it has reached the disk."""

from __future__ import annotations

from collections import deque

import msgspec

from orchestra.ledger.case import BAD, counted
from orchestra.ledger.event import GroupCompleted, Verdict, VerdictGiven
from orchestra.ledger.outcome import FINE
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.excuse import Excused, excuse, excuse_blocked, excuse_cases, unsearched
from orchestra.runtime.attempts.follow_up import FAILURES
from orchestra.runtime.attempts.incident import Outages
from orchestra.runtime.attempts.verdict import speed_class
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.run.ending import Ending
from orchestra.runtime.run.opening import Run, Task
from orchestra.runtime.servers.matrix import Matrix


class Decisions:
    """Gives verdicts, each once.

    Args:
        run: that is open.
        ending: of the run.
        queue: tasks that wait for others.
        matrix: the health matrix.
        outages: incidents, and the tasks that they touched.
    """

    def __init__(self, run: Run, ending: Ending, queue: Queue, matrix: Matrix, outages: Outages) -> None:
        self._run = run
        self._ending = ending
        self._queue = queue
        self._matrix = matrix
        self._outages = outages
        self._given: deque[tuple[int, str]] = deque()
        self._failures = 0
        self._ended_by = ""

    def take_over(self) -> None:
        """Take over the verdicts of earlier segments."""
        view, retained = self._run.view, self._run.resumed.kept
        for name in retained:
            self._queue.done(name)
        # A kill between the last verdict of a group and its checkpoint is made good here.
        points = {(point.body.method, point.body.group): point.seq for point in view.checkpoints}
        given = [verdict for name in retained if (verdict := view.life(name).given) is not None]
        given.sort(key=lambda verdict: verdict.seq)
        groups = {
            (one.body.method, group): one.seq for one in given for group in self._run.tasks[one.body.task].test.groups
        }
        for method, group in sorted(key for key, seq in groups.items() if seq > points.get(key, 0)):
            self._end_group(method, group)

    def decided(self, name: str) -> bool:
        """Return whether a task has its verdict."""
        return name in self._run.view.verdicts

    def again(self, name: str) -> None:
        """Hand out a task whose verdict is on the disk since an earlier segment."""
        self._given.appendleft((0, name))

    def decide(self, task: Task, verdict: Verdict, reason: str, *, since: str | None = None) -> None:
        """Record the verdict of a task.

        Args:
            task: that has none.
            verdict: its.
            reason: of the verdict, for people.
            since: the run in which an unchanged test passed.
        """
        name, life = task.name, self._run.view.life(task.name)
        verdict, reason, excused = self._excuse(task, verdict, reason)
        seconds = life.last.seconds if life.last is not None else 0.0
        classes = task.method.speed or self._run.plan.speed
        required = [self._matrix.row(row) for row in self._matrix.required_by(task.test.requires, task.worker)]
        event = VerdictGiven(
            task=name,
            test=task.test.id,
            method=task.method.id,
            verdict=verdict,
            reason=reason,
            seconds=seconds,
            attempts=life.number,
            speed_class=speed_class(seconds, verdict, classes) if life.number else None,
            degraded=self._outages.degraded(name, (row.degraded for row in required)),
            inputs=task.inputs,
            reads=bool(task.test.inputs) and not self._run.options.update_looks,
            excused=excused,
            cases=counted(life.last.cases) if life.last is not None else {},
            unchanged_since=since,
            incidents=self._outages.of(name, (row.incident for row in required if verdict == "blocked")),
        )
        self._given.append((self._run.recorder.add(event, later=True).seq, name))
        self._count(event)
        self._queue.done(name)
        for group in task.test.groups:
            self._end_group(task.method.id, group)

    def _count(self, given: VerdictGiven) -> None:
        """Count a failure that fails the run, for the limit of the command line."""
        if given.verdict not in FAILURES or given.excused:
            return
        self._failures += 1
        if self._failures == self._run.options.max_failures:
            number = f"{self._failures} test{'s' * (self._failures > 1)} failed, the last was {given.task}"
            self._ended_by = f"{number} (--max-failures {self._failures})"

    def limit_reached(self) -> str:
        """Return why no further test starts, if so many tests have failed; empty if tests can."""
        return self._ended_by

    def excuse_cases(self, task: Task, result: Result) -> Result:
        """Return a result with excuses for its cases. A run that is ending waits for no pattern."""
        task.inner, task.unsearched = Excused(result.cases), None
        if not self._ending.asked and any(case.verdict in BAD for case in result.cases):
            try:
                task.inner = excuse_cases(task.test, result, self._run.now.date())
            except PatternError as error:
                task.unsearched = error
        return msgspec.structs.replace(result, cases=task.inner.cases)

    def _excuse(self, task: Task, verdict: Verdict, reason: str) -> tuple[Verdict, str, str]:
        """Return the verdict and its reason, and why it does not fail the run; empty when it does."""
        if verdict == "blocked":
            return verdict, reason, excuse_blocked(task.method.id, task.test, self._run.view.verdicts)
        if not self._run.view.life(task.name).number:
            return verdict, reason, ""
        today = self._run.now.date()
        search, inner = not self._ending.asked, task.inner
        if task.unsearched is not None:
            return unsearched(task.test, task.unsearched, reason, today, self._run.place)
        try:
            return verdict, reason, excuse(task.test, verdict, reason, today, search=search, inner=inner)
        except PatternError as error:
            return unsearched(task.test, error, reason, today, self._run.place)

    def _end_group(self, method: str, group: str) -> None:
        """Record a checkpoint when the last verdict of a group was given."""
        if self._queue.completed(method, group):
            self._run.recorder.add(GroupCompleted(method=method, group=group), later=True)

    def waiting(self) -> bool:
        """Return whether a verdict waits for the disk."""
        return bool(self._given)

    def on_disk(self) -> list[str]:
        """Return the tasks whose verdicts have reached the disk since the last call."""
        reached, names = self._run.recorder.settled(), []
        while self._given and self._given[0][0] <= reached:
            names.append(self._given.popleft()[1])
        return names

    def fails(self, name: str) -> str:
        """Return why a verdict fails its doit task; empty when it does not."""
        given = self._run.view.verdicts.get(name)
        if given is None:
            return "error: never ran"
        return "" if given.verdict in FINE or given.excused else f"{given.verdict}: {given.reason}"
