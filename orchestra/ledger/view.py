"""The meaning of a run: the one fold of its events.

A `View` takes events one by one and holds their meaning: the segments of the run, each task with the attempts that
count and the verdict that is valid after every resume and rollback, incidents, gates, health, sessions. State, audit,
history, reports, resume and gates are read from it; none of them folds events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from orchestra.ledger.chain import GENESIS
from orchestra.ledger.event import (
    VERDICTS,
    AttemptFinished,
    AttemptStarted,
    Attested,
    BaselineChanged,
    Compared,
    Done,
    Event,
    GateJudged,
    GroupCompleted,
    HeldBack,
    Incident,
    Interrupted,
    Logs,
    NodeChanged,
    Note,
    Repeated,
    Reports,
    ResourceSampled,
    RolledBack,
    RunFinished,
    RunResumed,
    RunStarted,
    Seal,
    Segment,
    ServiceChanged,
    SessionChanged,
    Unknown,
    VerdictGiven,
)
from orchestra.ledger.health import Health
from orchestra.ledger.life import B, Life, RunSegment, Seen, summed
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.spent import Spent
from orchestra.ledger.use import Use

Phase: TypeAlias = Literal["idle", "starting", "running", "closing", "finished"]

LATEST: Final = 100
"""The number of latest failed attempts in a view; all of them are counted."""


class View:
    """A run, as far as its events have been seen.

    Args:
        steps: keep the steps of attempts that passed; else only their sums, so that ten thousand passes stay small.

    Attributes:
        seq, head, time, sealed: the latest event: its number, hash and time, and whether it is a seal.
        begun, started, ended: times of the first event, of the start of the run, and of the latest event before it was closed.
        unknown: how many events were of a newer type or version.
        start: how the run began; None when not even that was recorded.
        segments: from its start, and from each resume; never empty.
        phase: what the run does.
        lives: the valid life by task; in the order of the selection.
        earlier_lives: by task, what was taken back, in order.
        verdicts: those that stand, in the order in which they were given.
        counts: how many verdicts of each word stand.
        pending: tasks that wait, in order.
        current: tasks with an attempt and without a verdict, with the start of the latest one.
        failed: the latest attempts that did not pass, whatever followed; `failures` is how many there were.
        gates: by `phase:name`, in this segment.
        health: the rows of the health matrix, and the incidents.
        sessions: the latest event of each browser session, by method.
        nodes: the latest event of each node, by its name, in this segment.
        checkpoints: the completed groups that one can go back to.
        baseline: digest of the baseline that the run set; `baselines` has each change of it.
        held: for what each task waited whose cost did not fit next to those that ran, when it was its turn.
        attested: the results that were seen by hand, in order.
        rollbacks: each time that verdicts were taken back.
        spent: where the time of the segments went.
        sample, use: the latest sample of the machine, and the sum of all.
        logs, reports: the whole logs and the files of the report as they were bound in this segment.
    """

    def __init__(self, *, steps: bool = True) -> None:
        self._steps = steps
        self.seq = self.unknown = self.failures = 0
        self.head = GENESIS
        self.time = self.begun = self.started = self.ended = ""
        self.sealed = False
        self.start: RunStarted | None = None
        self.segments = [RunSegment()]
        self.phase: Phase = "idle"
        self.lives: dict[str, Life] = {}
        self.earlier_lives: dict[str, list[Life]] = {}
        self.verdicts: dict[str, VerdictGiven] = {}
        self.counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        self.pending: dict[str, None] = {}
        self.current: dict[str, Seen[AttemptStarted]] = {}
        self.failed: deque[Seen[AttemptFinished]] = deque(maxlen=LATEST)
        self.gates: dict[str, Seen[GateJudged]] = {}
        self.health = Health()
        self.sessions: dict[str, Seen[SessionChanged]] = {}
        self.nodes: dict[str, Seen[NodeChanged]] = {}
        self.checkpoints: list[Seen[GroupCompleted]] = []
        self.baseline: str | None = None
        self.baselines: list[Seen[BaselineChanged]] = []
        self.held: dict[str, HeldBack] = {}
        self.attested: list[Seen[Attested]] = []
        self.rollbacks: list[Seen[RolledBack]] = []
        self.samples: list[Seen[ResourceSampled]] = []
        self.use = Use()
        self.spent = Spent()
        self.logs: Seen[Logs] | None = None
        self.reports: Seen[Reports] | None = None

    def see(self, event: Event) -> None:
        """Take one event in. One of a type or a version that this program does not know is counted, and no more."""
        time, kind = event.time, type(event.body)
        self.seq, self.head, self.time = event.seq, event.hash, time
        self.begun = self.begun or time
        self.sealed = kind is Seal
        if kind not in _CLOSING:
            self.ended = time
        of_run = kind not in _OUTSIDE
        if of_run and not self.segments[-1].closed:
            self._spend(time)
        self._take(event)
        if of_run and not (segment := self.segments[-1]).closed:
            segment.ended = time

    def _spend(self, time: str) -> None:
        """Count the time up to an event, by what went on until then."""
        if time == self.spent.time:
            return
        self.spent.until(
            time,
            tests=len(self.current),
            started=self.segments[-1].attempted,
            waiting=bool(self.pending) or self.phase in {"idle", "starting"},
            servers=bool(self.health.rising),
        )

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one case a type of event, what is frequent first
        body = event.body
        match body:
            case AttemptStarted():
                self._attempt_started(_seen(event, body))
            case AttemptFinished():
                self._attempt_finished(_seen(event, body))
            case VerdictGiven():
                self._verdict(_seen(event, body))
            case ServiceChanged():
                self.health.changed(_seen(event, body))
            case GateJudged():
                self._gate(_seen(event, body))
            case SessionChanged():
                self.sessions[body.method] = _seen(event, body)
            case NodeChanged():
                self.nodes[body.node] = _seen(event, body)
            case Incident():
                self.health.incident(_seen(event, body))
            case GroupCompleted():
                self.checkpoints.append(_seen(event, body))
            case Repeated():
                self.spent.executed += body.seconds
                life = self._life(body.task)
                life.repeats = (*life.repeats, body)
            case Compared():
                self._life(body.task).comparison = body
            case RunStarted():
                self._run_started(_seen(event, body))
            case RunResumed():
                self._run_resumed(_seen(event, body))
            case RolledBack():
                self._rolled_back(_seen(event, body))
            case Interrupted():
                self.segment.interrupted = body.signal
            case RunFinished():
                self._run_finished(_seen(event, body))
            case BaselineChanged():
                self.baseline = body.digest
                self.baselines.append(_seen(event, body))
            case Attested():
                self.attested.append(_seen(event, body))
            case ResourceSampled():
                self._resource(_seen(event, body))
            case Logs():
                self.logs = _seen(event, body)
            case Reports():
                self.reports = _seen(event, body)
            case Unknown():
                self.unknown += 1
            case Seal() if self.segment.finish is not None and not self.segment.closed:
                self.segment.ended, self.segment.closed, self.segment.seal = event.time, True, event.hash
            case HeldBack():
                self.held[body.task] = body
            case Note() | Segment() | Seal():
                pass  # they stand for themselves

    @property
    def sample(self) -> Seen[ResourceSampled] | None:
        """Return the latest sample of the machine; None before the first."""
        return self.samples[-1] if self.samples else None

    @property
    def segment(self) -> RunSegment:
        """The latest segment."""
        return self.segments[-1]

    @property
    def selection(self) -> tuple[str, ...]:
        """The tasks that must get a verdict."""
        return self.start.selection if self.start is not None else ()

    def segment_of(self, seq: int) -> int:
        """Return the index of the segment that an event belongs to."""
        if len(self.segments) == 1:
            return 0
        return max(0, bisect_right(self.segments, seq, key=lambda one: one.seq) - 1)

    @property
    def seconds(self) -> float:
        """Return the duration of all segments, without the time between them."""
        return sum(segment.seconds for segment in self.segments)

    # ------------------------------------------------------------------------------------------------- the run's course

    def _run_started(self, seen: Seen[RunStarted]) -> None:
        body = self.start = seen.body
        self.phase, self.started = "starting", seen.time
        self.spent.began(seen.time, body.opening_seconds)
        self.lives = {task: Life() for task in body.selection}
        self.pending = dict.fromkeys(body.selection)
        self.segments = [
            RunSegment(
                seen.seq,
                self.begun,
                seen.time,
                body.plan_digest,
                body.source_digest,
                body.builds,
                body.workers,
                body.provenance,
            )
        ]

    def _run_resumed(self, seen: Seen[RunResumed]) -> None:
        body, before = seen.body, self.segment
        self.phase = "starting"
        self.segments.append(
            RunSegment(
                seen.seq,
                seen.time,
                seen.time,
                before.plan_digest if body.plan_digest is None else body.plan_digest,
                before.source_digest if body.source_digest is None else body.source_digest,
                before.builds if body.builds is None else body.builds,
                before.workers if body.workers is None else body.workers,
                body.provenance,
                body.changed,
            )
        )
        self.gates, self.nodes, self.logs, self.reports = {}, {}, None, None
        self.spent.began(seen.time, body.opening_seconds)
        self.health.cut_off(before.ended, self.lives)
        self._stop_current()
        for task in body.rerun:
            self._reopen(task)

    def _run_finished(self, seen: Seen[RunFinished]) -> None:
        self.phase = "finished"
        self.segment.finish, self.segment.finish_seq = seen.body, seen.seq

    def _rolled_back(self, seen: Seen[RolledBack]) -> None:
        body = seen.body
        self.phase, self.baseline = "starting", body.baseline
        self.rollbacks.append(seen)
        self.segment.finish = None
        self.checkpoints = [point for point in self.checkpoints if point.seq <= body.to_seq]
        self._stop_current()
        for task, done in body.restored.items():
            self._restore(task, done, body.to_seq)
        for task in body.reopened:
            self._reopen(task)

    # -------------------------------------------------------------------------------------------------- the life of a task

    def life(self, task: str) -> Life:
        """Return the valid life of a task; empty for one that the run has not seen."""
        return self.lives.get(task) or Life()

    def _attempt_started(self, seen: Seen[AttemptStarted]) -> None:
        task = seen.body.task
        self.phase = "running"
        self.pending.pop(task, None)
        self.current[task] = seen
        self.segments[-1].attempted = True
        self._life(task).started = seen

    def _attempt_finished(self, seen: Seen[AttemptFinished]) -> None:
        body = seen.body
        if body.error is not None:
            self.failures += 1
            self.failed.append(seen)
        life = self._life(body.task)
        life.trimmed = None
        self.spent.executed += body.seconds
        if body.outcome == "passed" and body.steps and not self._steps:
            life.trimmed = summed(body.steps)
            seen = Seen(seen.seq, seen.time, msgspec.structs.replace(body, steps=()))
        life.attempts = (*life.attempts, seen)

    def _verdict(self, seen: Seen[VerdictGiven]) -> None:
        task = seen.body.task
        self.current.pop(task, None)
        self.pending.pop(task, None)
        self._take_back(task)
        self._give(task, seen)

    def _life(self, task: str) -> Life:
        life = self.lives.get(task)
        if life is None:
            life = self.lives[task] = Life()
        return life

    def _give(self, task: str, given: Seen[VerdictGiven]) -> None:
        self._life(task).given = given
        self.verdicts[task] = given.body
        self.counts[given.body.verdict] += 1

    def _take_back(self, task: str) -> None:
        given = self.verdicts.pop(task, None)
        if given is not None:
            self.counts[given.verdict] -= 1

    def _reopen(self, task: str) -> None:
        """Begin a new life of the task, which then waits."""
        self._take_back(task)
        self._bury(task)
        self.pending[task] = None

    def _bury(self, task: str, instead: Life | None = None) -> None:
        """Put the life of a task among those that were taken back, and another one in its place."""
        if task in self.lives and not self.lives[task].empty:
            self.earlier_lives.setdefault(task, []).append(self.lives[task])
        self.lives[task] = instead or Life()

    def _restore(self, task: str, done: Done, to_seq: int) -> None:
        """Restore the verdict that the task had at an earlier event, with its attempts."""
        self._take_back(task)
        self.pending.pop(task, None)
        before = [life for life in self.earlier_lives.get(task, ()) if 0 < life.given_at <= to_seq]
        life = max(before, key=lambda one: one.given_at, default=None)
        if life is not None:
            self.earlier_lives[task] = [one for one in self.earlier_lives[task] if one is not life]
        self._bury(task, life)
        given = life.given if life is not None else None
        self._give(task, given or Seen(to_seq, self.time, _as_given(task, done)))

    def _stop_current(self) -> None:
        """Return running tasks to the front of the waiting ones at the end of a segment."""
        for task in self.current:
            self._life(task).started = None
        waiting = (task for task in self.current if task not in self.verdicts)
        self.pending = {**dict.fromkeys(waiting), **self.pending}
        self.current = {}

    # ------------------------------------------------------------------------------------------------ what lies around it

    def _gate(self, seen: Seen[GateJudged]) -> None:
        if seen.body.phase == "after":
            self.phase = "closing"
        self.gates[f"{seen.body.phase}:{seen.body.name}"] = seen

    def _resource(self, seen: Seen[ResourceSampled]) -> None:
        self.samples.append(seen)
        self.use.add(seen.body)


_CLOSING: Final = frozenset({Reports, Seal})
"""Events that bind the reports and seal the ledger. A report made again later must have the end that the first one had."""

_OUTSIDE: Final = frozenset({RolledBack, BaselineChanged, Attested, Reports, Seal, Note})
"""The events that can be written between two segments without counting as their time."""


class Observer(Protocol):
    """A receiver of each event of a running run once it is written; of a verdict once it is on disk."""

    def see(self, event: Event, view: View) -> None:
        """One event. The view may have seen later ones already."""

    def close(self, view: View) -> None:
        """Handle the end of the run, after its seal."""


def _seen(event: Event, body: B) -> Seen[B]:
    return Seen(event.seq, event.time, body)


def _as_given(task: str, done: Done) -> VerdictGiven:
    """Return a verdict of which only the sum is known."""
    method, _, test = task.partition(":")
    return VerdictGiven(
        task=task,
        test=test,
        method=method,
        verdict=done.verdict,
        reason=done.reason,
        seconds=done.seconds,
        attempts=done.attempts,
        speed_class=done.speed_class,
        degraded=(),
        inputs=None,
        cases=done.cases,
    )


def view_of(events: Iterable[Event], *, steps: bool = True) -> View:
    """Return the view of a run from its events."""
    view = View(steps=steps)
    for event in events:
        view.see(event)
    return view


def look(folder: Path, *, steps: bool = True) -> View:
    """Return the view of the run in a folder. Raises LedgerError when its ledger is damaged, MachineError when
    unreadable.
    """
    return view_of(read(folder / LEDGER), steps=steps)
