"""Failures that do not fail a run: a quarantine that has not ended, a known failure. Pure. May import `plan`, `ledger`.

An excused verdict stays what it is and is shown with its excuse; only the exit code, gates and machine-read reports count
it apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from orchestra.ledger.event import Verdict
from orchestra.ledger.outcome import FINE
from orchestra.plan import Plan, Test

_PASSED: Final = "it passed, though known_failures has"
"""How a strict entry complains. Its words hold the pattern, and must not be taken for the failure that is known."""

EXCUSABLE: Final[frozenset[Verdict]] = frozenset({"failed", "timeout", "error"})


def excuse(test: Test, verdict: Verdict, reason: str, today: date) -> str:
    """Why a verdict on an executed test does not fail the run; empty when it does, or is fine.

    Args:
        test: of the plan.
        verdict: its.
        reason: the message of the failure.
        today: the day in UTC.
    """
    if verdict not in EXCUSABLE:
        return ""
    for known in test.known_failures:
        if not reason.startswith(_PASSED) and re.search(known.match, reason):
            return f"known failure: {known.reason or known.match}"
    held = test.quarantine
    if held is not None and today <= date.fromisoformat(held.until):
        return f"quarantine until {held.until}, {held.owner}{f': {held.reason}' if held.reason else ''}"
    return ""


def excuse_blocked(needs: Iterable[str], verdicts: Mapping[str, Verdict], excused: Mapping[str, str]) -> str:
    """Why a blocked test does not fail the run: all that blocks it is excused. Empty when something is not."""
    bad = [need for need in needs if need in verdicts and verdicts[need] not in FINE]
    return f"needs {', '.join(bad)}, excused" if bad and all(need in excused for need in bad) else ""


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
