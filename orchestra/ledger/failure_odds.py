"""Classify earlier failures: transient or permanent. Pure.

A failed attempt was **transient** if the next attempt on the same inputs in the same run passed, or, without one, if
the same inputs passed in another run; it was **permanent** if the next attempt failed too, or if the same inputs never
passed in the other runs that had them. Without evidence for either it is not counted; `flaky` defines the same inputs.
Failures that an incident overlapped are not part of the history.

The chance that a failure of a class passes when it is tried again is (transient + 1) / (transient + permanent + 2):
Laplace's rule of succession (1774), which is 1/2 without any experience and is never sure of anything. It decides
nothing; it is only printed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from orchestra.ledger.outcome import CAUSES
from orchestra.ledger.run_record import Attempt, RunRecord
from orchestra.plan import Cause

ENOUGH: Final = 5
"""The minimum of classified failures of a class for a suggestion."""

WORTH: Final = 0.5
"""The chance above which a retry is suggested: it is more likely to pass than not."""

SURE: Final = 0.95
"""The share of transient failures that pass within the suggested retries, if tries do not depend on each other."""

MOST: Final = 3
"""The maximum of suggested retries: a failure that needs more is not for retries."""


class Odds(NamedTuple):
    """The outcome counts of one failure class.

    Attributes:
        kind: of failure, as the ledger records it: `timeout`, `assertion`, …
        transient, permanent: counted.
        unknown: failures without evidence for either.
        retried: how many were tried again at once.
        lost: seconds of those retries that failed again.
    """

    kind: str
    transient: int = 0
    permanent: int = 0
    unknown: int = 0
    retried: int = 0
    lost: float = 0.0

    @property
    def known(self) -> int:
        """Return the number of classified failures."""
        return self.transient + self.permanent

    @property
    def chance(self) -> float:
        """Return the probability that one more try passes, smoothed; above 0 and below 1."""
        return (self.transient + 1) / (self.known + 2)

    @property
    def odds(self) -> float:
        """Return the ratio of transient to permanent failures, smoothed."""
        return (self.transient + 1) / (self.permanent + 1)

    @property
    def cause(self) -> Cause | None:
        """Return the cause as `retries.on` names it; None for failures that are never retried."""
        return CAUSES.get(self.kind)


def failure_odds(records: Sequence[RunRecord], tasks: Iterable[str] | None = None) -> tuple[Odds, ...]:
    """Return the odds of each class of failure that the runs have, by kind.

    Args:
        records: runs, in the order of time.
        tasks: count only these; all without it.
    """
    wanted = None if tasks is None else set(tasks)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    lost: dict[str, float] = defaultdict(float)
    for task, runs in _by_inputs(records):
        if wanted is not None and task not in wanted:
            continue
        passed = sum(any(attempt.outcome == "passed" for attempt in attempts) for attempts in runs)
        for attempts in runs:
            for failure, then in _failures(attempts):
                kind = _kind(failure)
                if then is not None:
                    counts[kind]["retried"] += 1
                    lost[kind] += then.seconds if then.outcome != "passed" else 0.0
                counts[kind][_became(then, passed, len(runs))] += 1
    return tuple(
        Odds(kind, count["transient"], count["permanent"], count["unknown"], count["retried"], lost[kind])
        for kind, count in sorted(counts.items())
    )


def _by_inputs(records: Iterable[RunRecord]) -> Iterator[tuple[str, list[list[Attempt]]]]:
    """Yield each task under each of its inputs, with its attempts in each run that had them."""
    attempts_by: dict[tuple[str, str], list[list[Attempt]]] = defaultdict(list)
    for record in records:
        for task, one in record.executions.items():
            attempts: dict[str, list[Attempt]] = defaultdict(list)
            for key, attempt in one.by_inputs(record):
                attempts[key].append(attempt)
            for key, some in attempts.items():
                attempts_by[task, key].append(some)
    return ((task, runs) for (task, _), runs in attempts_by.items())


def _failures(attempts: Sequence[Attempt]) -> Iterator[tuple[Attempt, Attempt | None]]:
    """Yield each failed attempt whose kind is known, and the attempt after it."""
    for place, one in enumerate(attempts):
        if one.outcome != "passed" and _kind(one):
            yield one, attempts[place + 1] if place + 1 < len(attempts) else None


def _kind(attempt: Attempt) -> str:
    """Return the kind of a failure; records of an earlier version have only the outcome, which for a time-out is its
    kind.
    """
    return attempt.kind or ("timeout" if attempt.outcome == "timeout" else "")


def _became(then: Attempt | None, passed: int, runs: int) -> str:
    if then is not None:
        return "transient" if then.outcome == "passed" else "permanent"
    if passed:
        return "transient"
    return "permanent" if runs > 1 else "unknown"


class Policy(NamedTuple):
    """Retries that the odds suggest: after which causes, and how many; none of both for no retry at all."""

    on: tuple[Cause, ...]
    max: int


def suggested(odds: Iterable[Odds]) -> Policy | None:
    """Return the retry policy that the odds suggest; None where no class has `ENOUGH` failures.

    A cause is in it when its classes together are more likely to pass than not. `max` is the least number of tries after which
    the least likely of these causes has passed with `SURE`, if tries do not depend on each other, and at most `MOST`.
    """
    by_cause = causes(odds)
    if not by_cause:
        return None
    worth = {cause: one.chance for cause, one in by_cause.items() if one.chance > WORTH}
    if not worth:
        return Policy((), 0)
    least = min(worth.values())
    return Policy(tuple(sorted(worth)), min(MOST, math.ceil(math.log(1 - SURE) / math.log(1 - least))))


def causes(odds: Iterable[Odds]) -> Mapping[Cause, Odds]:
    """Return the odds of each cause of which enough is known, its classes taken together under the name of the cause."""
    by_cause: dict[Cause, Odds] = {}
    for one in odds:
        if one.cause is not None:
            old = by_cause.get(one.cause, Odds(one.cause))
            by_cause[one.cause] = Odds(one.cause, *(a + b for a, b in zip(old[1:], one[1:], strict=True)))  # type: ignore[arg-type]
    return {cause: one for cause, one in by_cause.items() if one.known >= ENOUGH}
