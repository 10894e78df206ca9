"""A sentence about a run, and what the record has against it."""

from __future__ import annotations

import pytest

from orchestra.agent.claim import Claim, differences, parse
from orchestra.errors import UsageError
from orchestra.ledger.event import VERDICTS


def numbers(**counts):
    counts = {name.replace("_", " "): number for name, number in counts.items()}
    found = {**dict.fromkeys(VERDICTS, 0), "gates failed": 0, **counts}
    return {"tests": sum(found[name] for name in VERDICTS), **found}


@pytest.mark.parametrize(
    "sentence, claim",
    [
        ("16 tests, 16 passed", Claim({"tests": 16, "passed": 16})),
        ("Ran 16 tests: 14 passed and 2 failed.", Claim({"tests": 16, "passed": 14, "failed": 2})),
        ("14/16 passed", Claim({"passed": 14, "tests": 16})),
        ("14 of 16 tests passed, 2 timed out", Claim({"passed": 14, "tests": 16, "timeout": 2})),
        ("all 16 tests passed", Claim({"tests": 16}, "passed")),
        ("All tests have passed", Claim({}, "passed")),
        ("all tests are green", Claim({}, "green")),
        ("no failures, 1 gate failed", Claim({"failed": 0, "gates failed": 1})),
        ("No tests failed", Claim({"failed": 0})),
    ],
)
def test_a_sentence_is_read(sentence, claim):
    assert parse(sentence) == claim


@pytest.mark.parametrize("sentence", ["", "it works", "done in 16 seconds", "1 passed, 2 passed"])
def test_a_sentence_that_claims_nothing_is_refused(sentence):
    with pytest.raises(UsageError):
        parse(sentence)


@pytest.mark.parametrize(
    "sentence, found, differs",
    [
        ("2 tests, 2 passed", numbers(passed=2), []),
        ("2 tests, 2 passed", numbers(passed=1, flaky=1), [("2 passed", "1 passed")]),
        ("1 passed", numbers(passed=1, failed=1), [("", "1 failed")]),
        ("1 passed, 1 failed", numbers(passed=1, failed=1), []),
        ("all tests passed", numbers(passed=1, skipped=1), [("all passed", "1 skipped")]),
        ("all tests are green", numbers(passed=1, skipped=1), []),
        ("all tests are green", numbers(passed=1, timeout=2), [("all green", "2 timeout")]),
        ("2 passed", numbers(passed=2, gates_failed=1), [("", "1 gates failed")]),
        ("2 passed, 1 gate failed", numbers(passed=2, gates_failed=1), []),
        ("no failures", numbers(error=1), [("", "1 error")]),
    ],
)
def test_a_claim_is_compared_and_may_leave_nothing_bad_out(sentence, found, differs):
    assert [*differences(parse(sentence), found)] == differs
