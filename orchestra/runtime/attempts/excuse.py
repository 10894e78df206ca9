"""Failures that do not fail a run: a quarantine that has not ended, a known failure.

An excused verdict stays what it is and is shown with its excuse; only the exit code, gates and machine-read reports count
it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

import msgspec

from orchestra.ledger.case import BAD, Case, is_named
from orchestra.ledger.event import Verdict, VerdictGiven
from orchestra.plan import Plan, Test
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.verdict import needed
from orchestra.runtime.bounded.patterns import PatternError, first

_PASSED: Final = "it passed, although it is listed under known_failures:"
"""The message of a strict entry. Its text holds the pattern, and must not be taken for the known failure."""

_NO_CASE: Final = "no case failed, though known_failures has"
"""The same for one of the cases of a wrapped runner."""

EXCUSABLE: Final[frozenset[Verdict]] = frozenset({"failed", "timeout", "error"})


class Excused(NamedTuple):
    """The cases of an attempt with their excuses.

    Attributes:
        cases: all of them.
        matched: the patterns of known failures that were found in them.
        alone: their failures are the failure of the attempt, which has no other cause.
    """

    cases: tuple[Case, ...] = ()
    matched: frozenset[str] = frozenset()
    alone: bool = False


NONE: Final = Excused()
"""Of an attempt without cases."""


def excuse_cases(test: Test, result: Result, today: date) -> Excused:
    """Return the cases of an attempt, with why those that did not pass do not fail it: each failure is matched by itself.

    Raises:
        PatternError: one of the known failures cannot be searched for.
    """
    bad = [case for case in result.cases if case.verdict in BAD]
    texts = [text for case in bad for text in case.texts]
    patterns = first([known.match for known in test.known_failures], texts)
    why = dict(zip(texts, patterns, strict=True))

    def excused(case: Case) -> Case:
        known = [_known(test, why[text]) for text in case.texts] if case.verdict in BAD else []
        words = _joined(known) or (_quarantined(test, today, case.name) if known else "")
        return msgspec.structs.replace(case, excused=words) if words else case

    alone = bool(bad) and result.failure is not None and result.failure.kind == "command"
    return Excused(tuple(map(excused, result.cases)), frozenset(filter(None, patterns)), alone)


def _known(test: Test, pattern: str | None) -> str:
    """Return the excuse of a known failure."""
    known = next((known for known in test.known_failures if known.match == pattern), None)
    return f"known failure: {known.reason or known.match}" if known is not None else ""


def _joined(excuses: Sequence[str]) -> str:
    """Return all excuses in one; empty where one of them is."""
    return "; ".join(dict.fromkeys(excuses)) if all(excuses) else ""


def excuse(
    test: Test, verdict: Verdict, reason: str, today: date, *, search: bool = True, inner: Excused = NONE
) -> str:
    """Return the excuse of a verdict on an executed test; empty without one, or if it is good.

    Args:
        test: of the plan.
        verdict: its.
        reason: the message of the failure.
        today: the day in UTC.
        search: search for known failures; a run that is ending waits for no pattern.
        inner: cases of the attempt, each of which must be excused.

    Raises:
        PatternError: one of its known failures cannot be searched for.
    """
    if verdict not in EXCUSABLE:
        return ""
    if reason.startswith((_PASSED, _NO_CASE)):
        return _quarantined(test, today)
    words = [case.excused for case in inner.cases if case.verdict in BAD]
    if not inner.alone:
        [pattern] = first([known.match for known in test.known_failures], [reason]) if search else [None]
        words.append(_known(test, pattern) or _quarantined(test, today))
    return _joined(words)


def _quarantined(test: Test, today: date, case: str | None = None) -> str:
    """Return the excuse of a test in quarantine, or of one of its cases."""
    held = test.quarantine
    if held is None or (held.cases and (case is None or not is_named(case, held.cases))):
        return ""
    if today <= date.fromisoformat(held.until):
        return f"quarantine until {held.until}, {held.owner}{f': {held.reason}' if held.reason else ''}"
    return ""


def unsearched(
    test: Test, error: PatternError, reason: str, today: date, place: Callable[[str], str]
) -> tuple[Verdict, str, str]:
    """Return the verdict, its reason and its excuse, where a known failure of a test cannot be searched for.

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


def excuse_blocked(method: str, test: Test, verdicts: Mapping[str, VerdictGiven]) -> str:
    """Return the excuse of a blocked test: all that blocks it is excused. Empty otherwise."""
    bad = [given for given in needed(method, test, verdicts) if given.test not in test.unmet]
    excused = bool(bad) and all(given.excused for given in bad)
    return f"needs {', '.join(given.task for given in bad)}, excused" if excused else ""


def strictly(test: Test, verdict: Verdict, reason: str, inner: Excused = NONE) -> tuple[Verdict, str]:
    """Return the verdict and its reason, where a known failure that is `strict` must not pass.

    Args:
        test: of the plan.
        verdict: its.
        reason: its.
        inner: cases of the attempt.
    """
    strict = [known.match for known in test.known_failures if known.strict and known.match not in inner.matched]
    if strict and verdict in {"passed", "flaky"}:
        return "failed", f'{_PASSED} "{strict[0]}": remove the entry'
    if strict and inner.alone and verdict == "failed":
        return verdict, f'{_NO_CASE} "{strict[0]}": remove the entry; {reason}'
    return verdict, reason


def lapsed(plan: Plan, today: date) -> Iterator[str]:
    """Yield a sentence for each quarantine that has ended: its test fails the run again."""
    for test in plan.tests:
        held = test.quarantine
        if held is not None and today > date.fromisoformat(held.until):
            yield f"the quarantine of {test.id} ended on {held.until}: its failures count again; owner: {held.owner}"
