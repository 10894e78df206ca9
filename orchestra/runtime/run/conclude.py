"""Conclude one attempt: from its result to the verdict of its test.

The way of a result: its failure is held until the components of its test have been asked (`Outages.sift`), its files
are searched, cleaned and cut to size (`Aftermath`), then it is recorded, and leads to a retry, to a repeat that
confirms its duration, or to a verdict.
"""

from __future__ import annotations

from collections import deque

from orchestra.ledger.event import AttemptFinished
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.aftermath import Aftermath, Ended, Work
from orchestra.runtime.attempts.excuse import strictly
from orchestra.runtime.attempts.follow_up import final_verdict
from orchestra.runtime.attempts.incident import Outages
from orchestra.runtime.attempts.overtaken import Overtaken
from orchestra.runtime.attempts.record import attempt_finished, missing_evidence, repeated
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.logins import Shown
from orchestra.runtime.pausing import changed_by_hand
from orchestra.runtime.run.decide import Decisions
from orchestra.runtime.run.ending import Ending
from orchestra.runtime.run.measure import Measures
from orchestra.runtime.run.opening import Run, Task
from orchestra.runtime.run.repeats import Repeats
from orchestra.runtime.run.schedule import Schedule
from orchestra.runtime.servers.matrix import Matrix


class Conclusion:
    """Takes results, and brings each to its end.

    Args:
        run: that is open.
        ending: of the run.
        engine: gives results.
        matrix: the health matrix.
        outages: incidents, and the attempts that they touched.
        overtaken: attempts whose servers moved under them.
        measures: counts the evidence that is missing.
        schedule: starts retries and repeats.
        decisions: gives verdicts.
        repeats: start when a duration is in doubt.
        logins: their secrets are learnt before a result is recorded.
    """

    def __init__(
        self,
        run: Run,
        ending: Ending,
        *,
        engine: Leases,
        matrix: Matrix,
        outages: Outages,
        overtaken: Overtaken,
        measures: Measures,
        schedule: Schedule,
        decisions: Decisions,
        repeats: Repeats,
        logins: Shown,
    ) -> None:
        self._run, self._ending, self._logins = run, ending, logins
        self._engine, self._matrix = engine, matrix
        self._outages, self._overtaken = outages, overtaken
        self._measures, self._schedule, self._decisions = measures, schedule, decisions
        self._repeats = repeats
        self._aftermath = Aftermath(self._work_of, run.masks, matrix.hear, engine.wake)
        self._results: deque[Ended] = deque()

    def take(self, patience: float | None) -> None:
        """Wait for attempts to end, and bring those to their end whose failures are explained.

        Args:
            patience: wait for so many seconds at most; None for as long as it takes.
        """
        if not self._results:
            at_once = self._ending.begun()
            results = self._engine.poll(patience)
            if results:
                self._logins.learn()
            ended = self._outages.sift(results, self._matrix.look, at_once=at_once)
            self._results.extend(self._aftermath.sift(map(self._overtaken.ended, ended), ending=at_once))
        asked = self._ending.asked
        while self._results:  # kept, not iterated: when one cannot be recorded, the end of the run takes the others
            result, error = self._results.popleft()
            task = self._schedule.running.pop(result.task)
            if error is not None:
                raise error
            self._conclude(task, result)
            if self._ending.asked != asked:  # the others are taken when the run knows that it ends
                return

    def _conclude(self, task: Task, result: Result) -> None:
        if self._run.pace.repeating(task.name):
            disturbed = self._record_repeat(task, result)
        elif (attempt := self._last(task, result)) is not None:
            disturbed = attempt.disturbed
        else:
            return
        if self._repeats.follow(task, result, disturbed):
            return
        self._schedule.leave(task)
        self._decisions.decide(task, *task.given)

    def _work_of(self, result: Result) -> Work:
        """Return what is to be done with the files of an attempt that has ended."""
        task = self._schedule.running[result.task]
        folder = self._run.folder / self._schedule.folder_of(task, result.attempt)
        marks = {} if self._run.pace.repeating(task.name) else task.marks
        return Work(task.test, task.method.id, self._run.folder, folder, marks)

    def _last(self, task: Task, result: Result) -> AttemptFinished | None:
        """Record an attempt, and set the verdict that it leads to; None if another attempt was started instead."""
        run, test = self._run, task.test
        result = self._decisions.excuse_cases(task, result)
        life = run.view.life(task.name)
        follow_up, incidents = self._outages.ended(result, run.retries_of(test), held=life.held)
        again = follow_up.again and not self._ending.begun()
        ended = attempt_finished(
            test,
            task.method.id,
            result,
            run.passed.kept(result, run.folder / self._schedule.folder_of(task, result.attempt)),
            where=run.places.text(result.failure.pointers) if result.failure is not None else "",
            follow_up=follow_up,
            retry=again,
            incidents=incidents,
            inputs=(task.inputs or "") if test.inputs and not changed_by_hand(result) else "",
            names=self._matrix.names(task.worker),
            disturbed=self._repeats.disturbed(task, result, incidents),
        )
        run.recorder.add(ended)
        self._measures.evidence_missing += missing_evidence(test, task.method, result, len(ended.evidence))
        self._session_changed(result)
        if again and not (follow_up.retry_cause and run.retries_of(test).isolated):
            self._schedule.admit(task)
            return None
        overlapped = self._outages.of(task.name)
        verdict, reason = final_verdict(
            result, held=life.held, suspect=follow_up.suspect, cut=follow_up.again, incidents=overlapped
        )
        task.given = strictly(test, verdict, reason, task.inner)
        if again:
            self._schedule.isolate(task)
            return None
        return ended

    def _record_repeat(self, task: Task, result: Result) -> str:
        """Record a repeat, and return why it confirms nothing."""
        disturbed = self._repeats.disturbed(task, result)
        folder = self._schedule.folder_of(task, result.attempt)
        evidence = self._run.passed.kept(result, self._run.folder / folder)
        self._run.recorder.add(repeated(task.test, task.method.id, result, evidence, folder, disturbed))
        self._session_changed(result)
        return disturbed

    def _session_changed(self, result: Result) -> None:
        """Record the browser session that an attempt was carried out in, and what else it remarks."""
        for note in result.notes:
            self._run.recorder.add(note)
        if result.session is not None:
            self._run.recorder.add(result.session)
