"""The record of one run in the history: its executions, their attempts and cases, and how it is made of a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from orchestra.ledger.case import CaseVerdict
from orchestra.ledger.event import AttemptFinished, Verdict, VerdictGiven
from orchestra.ledger.life import Life, Seen
from orchestra.ledger.origin import Git, machine_shape
from orchestra.ledger.parts import Outcome
from orchestra.ledger.view import View

KEPT_TRIES: Final = 20
"""So many tries of a case count, and no more: a runner may write any number."""

COUNTED: Final[frozenset[Outcome]] = frozenset({"passed", "failed", "timeout", "error"})
"""Outcomes that count for a test; one that a signal ended does not."""


class LastExecution(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last execution of a task.

    Attributes:
        seconds: how long it took.
        run: the id of the run in which it last passed, empty if it has not.
        inputs: the digest under which it passed.
    """

    seconds: float
    run: str = ""
    inputs: str = ""


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt.

    Attributes:
        outcome, seconds: how it ended, and how long it took.
        kind: of its failure, empty for a pass.
        under: by what its inputs are known where they are not those of its execution: it was made in another segment of
            the run, or before a file that the test reads was changed.
        held_seconds: from its start to its end, with the start of its browser; 0 for one that was followed by another.
        cpu_seconds: that its processes used; 0 where nothing was measured.
        megabytes: that its processes had at their most; 0 where that is unknown, or no more than orchestra has itself.
    """

    outcome: Outcome
    seconds: float
    kind: str = ""
    under: str = ""
    held_seconds: float = 0.0
    cpu_seconds: float = 0.0
    megabytes: float = 0.0


class CaseRun(msgspec.Struct, frozen=True, array_like=True):
    """A case of a wrapped runner in one attempt.

    Attributes:
        attempt: index of the attempt among those of its execution.
        verdict: of the case.
        seconds: how long it took.
        retries: how often its runner tried it again; each failed.
        message: why it did not pass, cut.
    """

    attempt: int
    verdict: CaseVerdict
    seconds: float
    retries: int = 0
    message: str = ""


class Execution(msgspec.Struct, frozen=True, array_like=True):
    """The result of a run for a test that it executed.

    Attributes:
        verdict: the final word.
        browser: the engine, empty for a test without one.
        inputs: the digest of what it reads, empty when the test declares no `inputs`.
        attempts: those that count, in order.
        repeats: seconds of the repeats that a suspected change of its duration caused and that passed.
        moved: `slower` or `faster` than the baseline, confirmed; else empty.
        message: why the last attempt did not pass, cut.
        cases: of a wrapped runner by name, one for each attempt that executed it.
        disturbed: why the duration of its pass is compared with none; else empty.
    """

    verdict: Verdict
    browser: str = ""
    inputs: str = ""
    attempts: tuple[Attempt, ...] = ()
    repeats: tuple[float, ...] = ()
    moved: str = ""
    message: str = ""
    cases: dict[str, tuple[CaseRun, ...]] = {}
    disturbed: str = ""

    @property
    def by_case(self) -> Iterator[tuple[str, Execution]]:
        """The executions of the cases by name, each with the tries of its runner as attempts."""
        for name, runs in self.cases.items():
            tries = [one for run in runs for one in _tries(run, self.attempts[run.attempt].under)]
            message = next((run.message for run in reversed(runs) if run.message), "")
            yield name, Execution(runs[-1].verdict, "", self.inputs, tuple(tries), message=message)

    @property
    def passing(self) -> float | None:
        """Seconds of the last passing attempt, None when there is none."""
        return next((attempt.seconds for attempt in reversed(self.attempts) if attempt.outcome == "passed"), None)

    def by_inputs(self, record: RunRecord) -> Iterator[tuple[str, Attempt]]:
        """Yield each attempt with what its inputs are known by; attempts with the same are comparable.

        Args:
            record: of the run.
        """
        own = self.inputs or _sources(record.run, record.plan, record.commit, record.dirty)
        return ((attempt.under or own, attempt) for attempt in self.attempts)


def _tries(run: CaseRun, under: str) -> Iterator[Attempt]:
    """Yield the tries of a case: those that were followed by another one failed, in a time that no report has."""
    yield from [Attempt("failed", 0.0, "command", under)] * min(run.retries, KEPT_TRIES)
    passed = run.verdict in {"passed", "flaky"}
    yield Attempt("passed" if passed else "failed", run.seconds, "" if passed else "command", under)


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run in the cache.

    Attributes:
        run: its id, by which runs sort in the order of time.
        machine: its shape, as baselines name it.
        profile: of the spec; empty for none.
        plan: digest of the plan's meaning.
        commit, branch: empty outside of a git work tree.
        dirty: how many files differed from the commit.
        finished: whether it came to an end of its own.
        exit_code: None when it did not finish.
        seconds: of the whole run.
        workers: of the command line; 0 for those of the spec.
        shards: the ids of the runs that it was merged from; none for others.
        executions: by task, sorted.
    """

    run: str
    machine: str = ""
    profile: str = ""
    plan: str = ""
    commit: str = ""
    branch: str = ""
    dirty: int = 0
    finished: bool = False
    exit_code: int | None = None
    seconds: float = 0.0
    workers: int = 0
    shards: tuple[str, ...] = ()
    executions: dict[str, Execution] = {}

    @property
    def place(self) -> str:
        """Where it ran, as baselines name it: the shape of the machine, and the profile where there was one."""
        return f"{self.machine}/{self.profile}" if self.profile else self.machine


def _sources(name: str, plan: str, commit: str, dirty: int) -> str:
    """Return the identity of inputs that a test does not declare: plan and commit; a unique name if a file differed."""
    return f"{plan} {commit}" if commit and not dirty else name


MESSAGE = 200
"""Letters of a message that the cache keeps."""


def record_of(view: View) -> RunRecord | None:
    """Return the record of a run; None when not even its start is known, and for a shard, whose merged run has one.

    A failure has happened, whatever was taken back later; a pass that was taken back counts when it has come again.
    """
    if view.start is None or view.start.shard is not None:
        return None
    origin = view.start.provenance
    finish = view.segment.finish
    known = [_known_by(view, number) for number in range(len(view.segments))]
    executions = {task: _execution(view, task, known) for task in sorted(view.verdicts)}
    return RunRecord(
        run=view.start.run,
        machine=machine_shape(origin),
        profile=view.start.profile or "",
        plan=view.start.plan_digest,
        commit=origin.git.commit,
        branch=origin.git.branch,
        dirty=origin.git.dirty_files or 0,
        finished=finish is not None,
        exit_code=finish.exit_code if finish is not None else None,
        seconds=round(finish.seconds, 6) if finish is not None else 0.0,
        workers=view.start.workers,
        shards=tuple(one.run for one in view.start.merged.shards) if view.start.merged is not None else (),
        executions={task: one for task, one in executions.items() if one.attempts},
    )


def _execution(view: View, task: str, known: Sequence[str]) -> Execution:
    """Return the execution of a task; `known` is what the inputs of each segment are known by."""
    given, life = view.verdicts[task], view.lives[task]
    attempts = sorted(_counted(view, task), key=lambda seen: seen.seq)
    failed = [seen.body.error.message for seen in attempts if seen.body.error is not None]
    compared = life.comparison.result if life.comparison is not None else ""
    return Execution(
        verdict=given.verdict,
        browser=life.started.body.browser if life.started is not None else "",
        inputs=(given.inputs or "") if given.reads else "",
        attempts=tuple(_attempt(view, seen, given, life, known) for seen in attempts),
        repeats=tuple(
            round(repeat.seconds, 6) for repeat in life.repeats if repeat.outcome == "passed" and not repeat.disturbed
        ),
        moved="" if compared == "unconfirmed" else compared,
        message=failed[-1][:MESSAGE] if failed else "",
        cases=_cases([seen.body for seen in attempts]),
        disturbed=life.last.disturbed if life.last is not None else "",
    )


def _cases(attempts: Sequence[AttemptFinished]) -> dict[str, tuple[CaseRun, ...]]:
    """Return the cases that attempts executed, sorted by name."""
    found: dict[str, list[CaseRun]] = {}
    for number, body in enumerate(attempts):
        for case in body.cases:
            if case.verdict not in {"skipped", "interrupted"}:
                run = CaseRun(number, case.verdict, round(case.seconds, 3), case.retries, case.message[:MESSAGE])
                found.setdefault(case.name, []).append(run)
    return {name: tuple(found[name]) for name in sorted(found)}


def _counted(view: View, task: str) -> Iterator[Seen[AttemptFinished]]:
    """Return the attempts that count for a test: the valid ones, and the failures of revoked ones."""
    for life in (*view.earlier_lives.get(task, ()), view.lives[task]):
        for seen in life.attempts:
            body = seen.body
            stands = life is view.lives[task] or body.outcome != "passed"
            if stands and body.outcome in COUNTED and not body.infra_suspect:
                yield seen


def _attempt(view: View, seen: Seen[AttemptFinished], given: VerdictGiven, life: Life, known: Sequence[str]) -> Attempt:
    body, number = seen.body, view.segment_of(seen.seq)
    inputs = body.inputs
    if not inputs and given.reads and number == view.segment_of(life.given_at):
        inputs = given.inputs or ""  # an attempt of version 0.1 does not record them
    inputs = inputs or known[number]
    usual = ((given.inputs or "") if given.reads else "") or known[0]
    cause = body.error.kind if body.error is not None else ""
    used = body.resources
    return Attempt(
        body.outcome,
        round(body.seconds, 6),
        cause,
        "" if inputs == usual else inputs,
        _held(life, seen) if used else 0.0,
        used.get("cpu_seconds", 0.0),
        used.get("tree_megabytes", used.get("peak_rss_megabytes", 0.0)),
    )


def _held(life: Life, seen: Seen[AttemptFinished]) -> float:
    """Return the seconds from the start of an attempt to its end; 0 for one that was followed by another."""
    begun = life.started
    if begun is None or begun.body.attempt != seen.body.attempt or begun.seq > seen.seq:
        return 0.0
    ended = datetime.fromisoformat(seen.time)
    return round((ended - datetime.fromisoformat(begun.time)).total_seconds(), 6)


def _known_by(view: View, number: int) -> str:
    """Return the identity of the inputs of a segment of a run, as far as a test does not declare them."""
    run = view.start.run if view.start is not None else ""
    segment = view.segments[number]
    git = segment.provenance.git if segment.provenance is not None else Git()
    return _sources(f"{run}.{number}" if number else run, segment.plan_digest, git.commit, git.dirty_files or 0)
