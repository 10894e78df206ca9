"""Failures that do not fail a run: a quarantine that has not ended, a known failure.

May import `plan`, `ledger`, `patterns`.

An excused verdict stays what it is and is shown with its excuse; only the exit code, gates and machine-read reports count
it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from orchestra.ledger.event import Verdict, VerdictGiven
from orchestra.ledger.outcome import FINE
from orchestra.plan import Plan, Test
from orchestra.runtime.bounded.patterns import PatternError, first

_PASSED: Final = "it passed, though known_failures has"
"""How a strict entry complains. Its words hold the pattern, and must not be taken for the failure that is known."""

EXCUSABLE: Final[frozenset[Verdict]] = frozenset({"failed", "timeout", "error"})


def excuse(test: Test, verdict: Verdict, reason: str, today: date, *, search: bool = True) -> str:
    """Why a verdict on an executed test does not fail the run; empty when it does, or is fine.

    Args:
        test: of the plan.
        verdict: its.
        reason: the message of the failure.
        today: the day in UTC.
        search: look for known failures; a run that was told to end waits for no pattern.

    Raises:
        PatternError: one of its known failures cannot be searched for.
    """
    if verdict not in EXCUSABLE:
        return ""
    if search and not reason.startswith(_PASSED):
        [pattern] = first([known.match for known in test.known_failures], [reason])
        if pattern is not None:
            known = next(known for known in test.known_failures if known.match == pattern)
            return f"known failure: {known.reason or known.match}"
    return _quarantined(test, today)


def _quarantined(test: Test, today: date) -> str:
    held = test.quarantine
    if held is not None and today <= date.fromisoformat(held.until):
        return f"quarantine until {held.until}, {held.owner}{f': {held.reason}' if held.reason else ''}"
    return ""


def unsearched(
    test: Test, error: PatternError, reason: str, today: date, place: Callable[[str], str]
) -> tuple[Verdict, str, str]:
    """The verdict, its reason and its excuse, where a known failure of a test cannot be searched for.

    Args:
        test: of the plan.
        error: what is wrong with the pattern.
        reason: the message of the failure.
        today: the day in UTC.
        place: where a JSON pointer is in the spec, for people.
    """
    number = next(index for index, known in enumerate(test.known_failures) if known.match == error.pattern)
    where = place(f"/tests/{test.of or test.id}/known_failures/{number}/match")
    told = f"{error.message} ({where})" if where else error.message
    return "error", f"known_failures: {told}, in: {reason}", _quarantined(test, today)


def excuse_blocked(needs: Iterable[str], verdicts: Mapping[str, VerdictGiven]) -> str:
    """Why a blocked test does not fail the run: all that blocks it is excused. Empty when something is not."""
    bad = [given for need in needs if (given := verdicts.get(need)) is not None and given.verdict not in FINE]
    excused = bool(bad) and all(given.excused for given in bad)
    return f"needs {', '.join(given.task for given in bad)}, excused" if excused else ""


def strictly(test: Test, verdict: Verdict, reason: str) -> tuple[Verdict, str]:
    """The verdict and its reason, where a known failure that is `strict` must not pass."""
    strict = next((known for known in test.known_failures if known.strict), None)
    if strict is None or verdict not in {"passed", "flaky"}:
        return verdict, reason
    return "failed", f'{_PASSED} "{strict.match}": take the entry out'


def lapsed(plan: Plan, today: date) -> Iterator[str]:
    """A sentence for each quarantine that has ended: its test fails the run again."""
    for test in plan.tests:
        held = test.quarantine
        if held is not None and today > date.fromisoformat(held.until):
            yield f"the quarantine of {test.id} ended on {held.until}: its failures count again; {held.owner} sees to it"
