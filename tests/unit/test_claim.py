"""A sentence about a run, and what the record has against it."""

from __future__ import annotations

import pytest

from orchestra.agent.claim import Claim, differences, parse
from orchestra.errors import UsageError
from orchestra.ledger.event import VERDICTS

CONFLICTS = ("3 failed, none failed", "all failed, all passed", "no 5 failed, 3 failed")


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
        ("three tests: three failed!", Claim({"tests": 3, "failed": 3})),
        ("3 failed out of 4", Claim({"failed": 3, "tests": 4})),
        ("3 of the 4 tests failed", Claim({"failed": 3, "tests": 4})),
        ("We ran all 16 tests: 2 failed", Claim({"tests": 16, "failed": 2})),
        ("Tests: 3 failed, none passed", Claim({"failed": 3, "passed": 0})),
    ],
)
def test_a_sentence_is_read(sentence, claim):
    assert parse(sentence) == claim


@pytest.mark.parametrize(
    "sentence", ["", "it works", "done in 16 seconds", "1 passed, 2 passed", "h:D7 passed", *CONFLICTS]
)
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


@pytest.mark.parametrize(
    "sentence, unchecked",
    [
        ("3 failed, 17 gates passed", ["17 gates passed"]),
        ("3 failed, 1 of 3 gates failed", ["1 of 3 gates failed"]),
        ("3 failed, all gates failed", ["all gates failed"]),
        ("3 failed, the rest passed.", ["rest passed"]),
        ("3 failed, others ok", ["others ok"]),
        ("3 tests, 3 failed; h:D7 passed", ["h:D7 passed"]),
        ("3 failed, h:0 passed", ["h:0 passed"]),
        ("3 failed, test 0 passed", ["test"]),
        ("3 failed, half passed", ["half passed"]),
        ("3 failed, twenty-one passed", ["twenty-one passed"]),
        ("3 failed, -1 passed, 1.5 passed", ["-1 passed", "1.5 passed"]),
        ("3 failed, h:D7 did not fail", ["h:D7 did not fail"]),
        ("3 failed isn't true", ["isn't true"]),
        ("more than 3 failed", ["more than"]),
        ("3 failed in 12 s", ["12 s"]),
        ("3 failed, all tests", ["all tests"]),
        ("3 failed \N{WHITE HEAVY CHECK MARK}", ["\N{WHITE HEAVY CHECK MARK}"]),
    ],
)
def test_no_word_of_a_sentence_is_left_unchecked_in_silence(sentence, unchecked):
    claim = parse(sentence)
    assert ([*claim.unchecked], [*differences(claim, numbers(failed=3))]) == (unchecked, [])


@pytest.mark.parametrize(
    "sentence, holds",
    [
        ("3 failed, five passed", False),
        ("3 failed out of 4", False),
        ("3 failed, all but one passed", False),
        ("none failed", False),
        ("all 3 tests failed", True),
        ("3 failed, 0 passed, no gates failed", True),
    ],
)
def test_a_sentence_about_three_failures_holds_only_if_it_is_true(sentence, holds):
    claim = parse(sentence)
    assert (not claim.unchecked and not [*differences(claim, numbers(failed=3))]) is holds
