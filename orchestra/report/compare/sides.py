"""The two sides of a comparison: runs, or methods of one run, and their tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from orchestra.ledger import baseline
from orchestra.ledger.case import MARK, Case
from orchestra.ledger.event import AttemptFinished, VerdictGiven
from orchestra.ledger.life import Seen
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.parts import StepDone
from orchestra.ledger.view import View


class Side(NamedTuple):
    """The result of one side for a test.

    Attributes:
        task: `cli:B004`.
        verdict: its.
        seconds: of its last attempt.
        message: why it did not pass.
        expected, found: of the failure.
        evidence: places of its files, relative to the run's folder.
        steps: of its last attempt.
        bytes: of its evidence.
        requests, sent: of its page, and the bytes of the responses; None if not counted.
        ended: the end of its last attempt, in seconds of the clock; None if unknown.
        inner: the task of a case; empty for a test, and for a case that represents one.
        of: the test that a case is compared with.
    """

    task: str
    verdict: str
    seconds: float
    message: str = ""
    expected: str = ""
    found: str = ""
    evidence: tuple[str, ...] = ()
    steps: tuple[StepDone, ...] = ()
    bytes: int = 0
    requests: int | None = None
    sent: int | None = None
    ended: float | None = None
    inner: str = ""
    of: str = ""

    @property
    def good(self) -> bool:
        """Return True if the product meets the spec."""
        return self.verdict in GOOD


def sides(view: View) -> dict[str, Side]:
    """Return the result of each executed task of a run, in the order of their verdicts, and of the cases of each."""
    sides = {
        task: _side(given, attempts[-1])
        for task, given in view.verdicts.items()
        if given.attempts and (attempts := view.lives[task].attempts)
    }
    cases = [(task, case) for task in sides for case in view.lives[task].attempts[-1].body.cases]
    sides.update((f"{task}{MARK}{case.name}", _inner(task, case)) for task, case in cases if case.verdict != "skipped")
    return sides


def _inner(task: str, case: Case) -> Side:
    name = f"{task}{MARK}{case.name}"
    message = f"excused ({case.excused}): {case.message}" if case.excused else case.message
    return Side(name, case.verdict, case.seconds, message, evidence=case.attachments, inner=task, of=case.of)


def place_of(view: View) -> str:
    """Return where a run began, as baselines name it: the shape of the machine, and the profile."""
    if view.start is None:
        return ""
    return baseline.place_of(machine_shape(view.start.provenance), view.start.profile or "")


def _side(verdict: VerdictGiven, seen: Seen[AttemptFinished]) -> Side:
    attempt = seen.body
    error, network = attempt.error, attempt.network
    return Side(
        verdict.task,
        verdict.verdict,
        verdict.seconds,
        verdict.reason or (error.message if error is not None else ""),
        (error.expected if error is not None else "") or "",
        (error.found if error is not None else "") or "",
        tuple(file.place for file in attempt.evidence),
        attempt.steps,
        sum(file.bytes for file in attempt.evidence),
        network.requests if network is not None else None,
        network.bytes if network is not None else None,
        datetime.fromisoformat(seen.time).timestamp(),
    )


def of_method(sides: Mapping[str, Side], method: str) -> dict[str, Side]:
    """Return the side of a method, by test.

    A case that is compared with a test represents it, unless the method executed that test itself.
    """
    own = {task.partition(":")[2]: side for task, side in sides.items() if task.partition(":")[0] == method}
    sides = dict(own)
    for name, side in own.items():
        if side.of and side.of not in sides:
            del sides[name]
            sides[side.of] = side._replace(inner="")
    return sides
