"""Collect the durations of the waits of a spec, by the line that states them. Pure.

A block that many tests use, and a test of a matrix, are one line, so that one run has many samples of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestra.ledger.event import AttemptFinished, Event
from orchestra.ledger.parts import StepDone
from orchestra.plan import Test
from orchestra.steps.step import Step

LIMIT: Final = "within_seconds"


@dataclass(slots=True)
class Wait:
    """One line that waits, and how it went.

    Attributes:
        place: its JSON pointer in the spec.
        verb: `expect`, `wait`, …
        limit: how many seconds it waits at most.
        passed: seconds of each time that it passed.
        expired: how often it waited to its limit in vain.
    """

    place: str
    verb: str
    limit: float
    passed: list[float] = field(default_factory=list)
    expired: int = 0


class Waits:
    """The waits of a run, from every attempt: also of revoked ones, and of passes whose steps are not stored."""

    def __init__(self, tests: Iterable[Test]) -> None:
        self._tests = {test.id: test for test in tests}
        self._found: dict[str, Wait] = {}

    def see(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event.body, AttemptFinished) and (test := self._tests.get(event.body.test)) is not None:
            note(self._found, test, event.body.steps)

    def expired(self) -> list[Wait]:
        """Those that waited to their limit in vain at least once."""
        return [wait for wait in self._found.values() if wait.expired]


def note(waits: dict[str, Wait], test: Test, steps: Sequence[StepDone]) -> None:
    """Take in the steps of one attempt, as its event has them. Only the section `steps` has waits that are compared."""
    for done in steps:
        if done.section != "steps" or done.index >= len(test.steps):
            continue
        step = test.steps[done.index]
        limit = step.args.get(LIMIT)
        if limit is None or not step.at or done.verb != step.verb:
            continue
        wait = _wait(waits, step, float(limit))
        if done.outcome == "passed":
            wait.passed.append(done.seconds)
        elif done.seconds >= wait.limit:
            wait.expired += 1


def _wait(waits: dict[str, Wait], step: Step, limit: float) -> Wait:
    key = f"{step.at[-1]} {limit}"  # a parameter of a block may be its limit
    return waits.setdefault(key, Wait(step.at[-1], step.verb, limit))
