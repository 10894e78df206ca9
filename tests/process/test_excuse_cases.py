"""Each failure of a wrapped runner is excused by itself, or fails its test."""

from __future__ import annotations

from datetime import date

import pytest

from orchestra.ledger.case import Case
from orchestra.plan import KnownFailure, Quarantine
from orchestra.plan import Test as Outer
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.attempts.excuse import excuse, excuse_cases, strictly

DAY = date(2026, 5, 1)
HELD = Outer("a", "", ("cli",), quarantine=Quarantine("ana", "2026-05-01", "ticket 1"))
KNOWN = Outer("a", "", ("cli",), known_failures=(KnownFailure("50[23]", "ticket 2"), KnownFailure("no .utton")))

BOOM = Case("cart \u203a adds", "failed", message="boom 502")
OTHER = Case("cart \u203a pays", "failed", message="card refused")
TWO = Case("cart \u203a both", "failed", message="boom 502", more=("tear-down broke",))
FINE = Case("cart \u203a shows", "passed")


def excused(test: Outer, *cases: Case, fault: str = "command", verdict: str = "failed") -> str:
    result = Result("cli:a", 1, verdict, 0.1, AttemptFailure(fault, "cart: boom 502"), cases=cases)
    return excuse(test, verdict, "cart: boom 502", DAY, inner=excuse_cases(test, result, DAY))


@pytest.mark.parametrize(
    "cases, words",
    [
        ([BOOM, FINE], "known failure: ticket 2"),
        ([BOOM, OTHER], ""),
        ([TWO], ""),
        ([Case("cart", "error", message="no button")], "known failure: no .utton"),
        (
            [BOOM, Case("cart", "failed", message="no button")],
            "known failure: ticket 2; known failure: no .utton",
        ),
    ],
    ids=["known", "another", "half", "error", "two"],
)
def test_each_case_that_failed_must_be_a_known_failure(cases, words):
    assert excused(KNOWN, *cases) == words


def test_a_known_failure_of_a_case_excuses_no_other_cause():
    assert excused(KNOWN, OTHER, fault="timeout", verdict="timeout") == ""
    assert excused(KNOWN, BOOM, fault="timeout", verdict="timeout") == "known failure: ticket 2"
    assert excused(HELD, OTHER, fault="timeout", verdict="timeout") == "quarantine until 2026-05-01, ana: ticket 1"


def test_a_quarantine_of_cases_holds_these_alone():
    held = Outer("a", "", ("cli",), quarantine=Quarantine("ana", "2026-05-01", cases=("cart \u203a p*",)))
    assert excused(held, OTHER) == "quarantine until 2026-05-01, ana"
    assert excused(held, OTHER, BOOM) == ""
    assert excused(held, OTHER, fault="timeout", verdict="timeout") == ""
    assert excuse(held, "failed", "exit code 3", DAY) == ""


def test_a_strict_one_must_be_the_failure_of_a_case():
    strict = Outer("a", "", ("cli",), known_failures=(KnownFailure("502", strict=True), KnownFailure("card")))
    result = Result("cli:a", 1, "failed", 0.1, AttemptFailure("command", "why"), cases=(OTHER,))
    found = excuse_cases(strict, result, DAY)
    verdict, reason = strictly(strict, "failed", "why", found)
    assert reason == 'no case failed, though known_failures has "502": remove the entry; why'
    assert excuse(strict, verdict, reason, DAY, inner=found) == ""
    result = Result("cli:a", 1, "failed", 0.1, AttemptFailure("command", "why"), cases=(OTHER, BOOM))
    assert strictly(strict, "failed", "why", excuse_cases(strict, result, DAY)) == ("failed", "why")
