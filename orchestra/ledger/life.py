"""The parts that a view of a run is made of: a task's life, a segment of the run, an outage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Body,
    Compared,
    Incident,
    Repeated,
    RunFinished,
    VerdictGiven,
)
from orchestra.ledger.origin import Provenance
from orchestra.ledger.outcome import HELD_ATTEMPTS
from orchestra.ledger.parts import StepDone

B = TypeVar("B", bound=Body)


class Seen(msgspec.Struct, Generic[B], frozen=True, gc=False):
    """An event as a view keeps it: its body, and where and when it was written."""

    seq: int
    time: str
    body: B


class StepSums(msgspec.Struct, frozen=True, gc=False):
    """The steps of an attempt together: how many, how many of them skipped, and what their tool calls cost."""

    number: int = 0
    skipped: int = 0
    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None


def summed(steps: Iterable[StepDone]) -> StepSums:
    """Return the sums of steps; of the lag the greatest."""
    number = skipped = calls = polls = 0
    lag: float | None = None
    for step in steps:
        number += 1
        skipped += step.outcome == "skipped"
        calls += step.calls
        polls += step.polls
        if step.lag_seconds is not None:
            lag = max(lag or 0.0, step.lag_seconds)
    return StepSums(number, skipped, calls, polls, lag)


@dataclass(slots=True)
class Life:
    """A task from its selection, or from when it was reopened, until it is reopened.

    Attributes:
        started: its latest attempt, as it began; None when the end of a segment cut it off.
        attempts: those that have ended.
        trimmed: the sums of the steps of the latest attempt, where the steps were not kept.
        repeats: of a pass whose duration was suspicious.
        comparison: of its duration with the baseline.
        given: the verdict, None before there is one.
    """

    started: Seen[AttemptStarted] | None = None
    attempts: tuple[Seen[AttemptFinished], ...] = ()
    trimmed: StepSums | None = None
    repeats: tuple[Repeated, ...] = ()
    comparison: Compared | None = None
    given: Seen[VerdictGiven] | None = None

    @property
    def empty(self) -> bool:
        """Return True if nothing has happened in it."""
        return self.started is None and not self.attempts and self.given is None

    @property
    def given_at(self) -> int:
        """The event that gave the verdict; 0 before there is one."""
        return self.given.seq if self.given is not None else 0

    @property
    def last(self) -> AttemptFinished | None:
        """The latest attempt that has ended."""
        return self.attempts[-1].body if self.attempts else None

    @property
    def ended(self) -> int:
        """The number of the latest attempt that has ended; 0 before the first."""
        return self.attempts[-1].body.attempt if self.attempts else 0

    @property
    def running(self) -> int:
        """The number of the attempt under way; 0 for none."""
        number = self.started.body.attempt if self.started is not None else 0
        return number if number > self.ended else 0

    @property
    def number(self) -> int:
        """The number of the latest attempt, under way or ended; 0 before the first."""
        return self.running or self.ended

    @property
    def sums(self) -> StepSums:
        """The steps of the latest attempt together."""
        if self.trimmed is not None:
            return self.trimmed
        return summed(self.last.steps) if self.last is not None else StepSums()

    @property
    def suspects(self) -> int:
        """Return the number of attempts that failed during an incident."""
        number = 0
        for attempt in self.attempts:
            number += attempt.body.infra_suspect
        return number

    @property
    def held(self) -> int:
        """Return the number of attempts that do not count: they use up no retry, and make no pass flaky."""
        return min(self.suspects, HELD_ATTEMPTS)


@dataclass(slots=True)
class RunSegment:
    """A run from its start, or from a resume, to its end of any kind.

    Attributes:
        seq: the event with which it began.
        begun, ended: times of its first event, and of its latest one that is a part of the run.
        plan_digest, source_digest, builds, workers: as it began.
        provenance: as recorded; None where a resume recorded none.
        changed: tests whose plan is another than in the segment before.
        finish: how it ended; None before its end, after a kill, and when it was rolled back.
        finish_seq: the event of that end; what follows it, such as an attestation, is no part of the result.
        closed: it was sealed at its end, whatever was taken back later.
        seal: the hash of that seal.
        interrupted: the signal that asked it to end, empty for none.
        attempted: there was an attempt at a test.
    """

    seq: int = 0
    begun: str = ""
    ended: str = ""
    plan_digest: str = ""
    source_digest: str = ""
    builds: Mapping[str, str] = field(default_factory=dict)
    workers: int = 0
    provenance: Provenance | None = None
    changed: tuple[str, ...] = ()
    finish: RunFinished | None = None
    finish_seq: int = 0
    closed: bool = False
    seal: str = ""
    interrupted: str = ""
    attempted: bool = False

    @property
    def seconds(self) -> float:
        """Return its duration, by the times of its events."""
        if not self.begun or not self.ended:
            return 0.0
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.begun)).total_seconds()


@dataclass(slots=True)
class Outage:
    """An incident: how it began, and how it ended, None while it goes on; one that a kill cut off is `unresolved`."""

    opened: Seen[Incident]
    closed: Seen[Incident] | None = None
