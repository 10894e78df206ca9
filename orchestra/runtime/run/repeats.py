"""Repeats that confirm a suspicious duration, and what disturbs durations so that they confirm nothing."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.runtime.attempt import Result, needs_browser
from orchestra.runtime.attempts.incident import Outages
from orchestra.runtime.pausing import PAUSED_NOTE
from orchestra.runtime.run.decide import Decisions
from orchestra.runtime.run.ending import Ending
from orchestra.runtime.run.load import LOOK_SECONDS, Sampler, disturbance
from orchestra.runtime.run.measure import Measures
from orchestra.runtime.run.opening import Run, Task
from orchestra.runtime.run.schedule import Schedule
from orchestra.runtime.servers.matrix import Matrix


class Repeats:
    """Starts repeats, once nothing disturbs them.

    Args:
        run: that is open.
        ending: of the run.
        matrix: the health matrix.
        outages: incidents, and the attempts that they touched.
        measures: the gates.
        schedule: starts repeats.
        decisions: gives verdicts.
        sampler: knows the load of other programs.
    """

    def __init__(
        self,
        run: Run,
        ending: Ending,
        *,
        matrix: Matrix,
        outages: Outages,
        measures: Measures,
        schedule: Schedule,
        decisions: Decisions,
        sampler: Sampler,
    ) -> None:
        self._run, self._ending = run, ending
        self._matrix, self._outages, self._sampler = matrix, outages, sampler
        self._measures, self._schedule, self._decisions = measures, schedule, decisions
        self._postponed: list[Task] = []

    def disturbed(self, task: Task, result: Result | None, incidents: Sequence[str] = ()) -> str:
        """Return why the duration of a pass confirms nothing; without one, why that of a repeat would not that began now."""
        if result is not None and result.outcome != "passed":
            return ""
        if result is not None and any(note.kind == PAUSED_NOTE for note in result.notes):
            return "it was paused"
        degraded = (self._matrix.row(name).degraded for name in self._schedule.required_by(task))
        now = tuple(filter(None, degraded))
        throttled = self._measures.gates.throttled() or (task.throttled and result is not None)
        return disturbance(
            incidents=incidents,
            degraded=now if result is None else self._outages.degraded(task.name, now),
            throttled=throttled,
            others_percent=self._sampler.others_percent(LOOK_SECONDS if result is None else result.seconds),
            most_percent=self._run.plan.baseline.max_load_percent,
        )

    def follow(self, task: Task, result: Result, disturbed: str) -> bool:
        """Start a repeat when the duration of a pass is in doubt, or let it wait; whether one follows."""
        browser = task.test.browser if needs_browser(task.test) else ""
        if not self._run.pace.after(result, task.test, browser, self._run.recorder.add, disturbed):
            return False
        self._postponed.append(task)
        self.start_due()
        return True

    def waiting(self) -> bool:
        """Return whether a repeat waits for the load of other programs to end."""
        return bool(self._postponed)

    def start_due(self) -> None:
        """Start the repeats that nothing disturbs any more, and give up those that would confirm nothing."""
        pace = self._run.pace
        for task in list(self._postponed):
            rows = map(self._matrix.row, self._schedule.required_by(task))
            ends = self._ending.begun() or any(row.state != "healthy" for row in rows)
            disturbed = "" if ends else self.disturbed(task, None)
            if disturbed and pace.patience(task.name):
                continue
            if not ends and not disturbed and self._schedule.reset_begun(task):
                continue
            self._postponed.remove(task)
            pace.waited(task.name)
            if not ends and not disturbed:
                self._schedule.start(task)
                continue
            if ends:
                pace.leave(task.name)
            else:
                pace.give_up(task.name, task.test, self._run.recorder.add, f"it was not repeated: {disturbed}")
            self._schedule.leave(task)
            self._decisions.decide(task, *task.given)
