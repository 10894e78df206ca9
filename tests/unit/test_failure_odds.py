"""Failures that pass when they are tried again, and those that stay: counted, smoothed, shown; and learned from real runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.failure_odds import ENOUGH, MOST, SURE, WORTH, Odds, Policy, causes, failure_odds, suggested
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Component, Method, Plan, RecoveryStep, Retry
from orchestra.plan import Test as Case
from orchestra.report.advice.policies import policies
from orchestra.report.advice.recovery_steps import Record

PASS = Attempt("passed", 1.0)
FAIL = Attempt("failed", 2.0, "assertion")
HANG = Attempt("timeout", 5.0, "timeout")


def run(number: int, *attempts: Attempt, inputs: str = "same", task: str = "cli:a") -> RunRecord:
    verdict = "passed" if attempts[-1].outcome == "passed" else "failed"
    return RunRecord(f"r{number:03}", executions={task: Execution(verdict, inputs=inputs, attempts=attempts)})


@pytest.mark.parametrize(
    "records, wanted",
    [
        ([run(1, HANG, PASS)], Odds("timeout", transient=1, retried=1)),
        ([run(1, HANG, HANG, PASS)], Odds("timeout", 1, 1, 0, 2, 5.0)),
        ([run(1, HANG)], Odds("timeout", unknown=1)),
        (
            [run(1, Attempt("timeout", 5.0, "timeout", "before"), PASS)],
            Odds("timeout", unknown=1),
        ),  # repaired in between
        ([run(1, HANG), run(2, PASS)], Odds("timeout", transient=1)),
        ([run(1, HANG), run(2, PASS, inputs="other")], Odds("timeout", unknown=1)),
        ([run(1, HANG), run(2, HANG)], Odds("timeout", permanent=2)),
        ([run(1, HANG), run(2, PASS, task="cli:b")], Odds("timeout", unknown=1)),
        (
            [run(1, Attempt("timeout", 5.0), PASS)],
            Odds("timeout", transient=1, retried=1),
        ),  # as written before kinds were
        ([run(1, PASS)], None),
        ([run(1, Attempt("failed", 1.0))], None),
    ],
)
def test_what_became_of_a_failure(records, wanted):
    assert failure_odds(records) == (() if wanted is None else (wanted,))


def test_only_the_tests_asked_for_count():
    records = [run(1, FAIL, PASS), run(2, HANG, PASS, task="cli:b")]
    assert [odds.kind for odds in failure_odds(records)] == ["assertion", "timeout"]
    assert [odds.kind for odds in failure_odds(records, ["cli:b"])] == ["timeout"]


attempts = st.lists(st.sampled_from([PASS, FAIL, HANG, Attempt("error", 1.0, "crash")]), min_size=1, max_size=4)
runs = st.lists(st.tuples(st.lists(attempts, min_size=1, max_size=2), st.sampled_from(["a", "b"])), max_size=8)


def recorded(drawn) -> list[RunRecord]:
    return [
        RunRecord(
            f"r{at:03}",
            executions={
                f"cli:{number}": Execution("passed", inputs=inputs, attempts=tuple(taken))
                for number, taken in enumerate(tests)
            },
        )
        for at, (tests, inputs) in enumerate(drawn)
    ]


@given(runs)
def test_every_failure_is_counted_once_and_no_pass_is(drawn):
    records = recorded(drawn)
    odds = failure_odds(records)
    failures = [
        attempt.kind
        for record in records
        for execution in record.executions.values()
        for attempt in execution.attempts
        if attempt.outcome != "passed"
    ]
    assert {one.kind: one.known + one.unknown for one in odds} == {kind: failures.count(kind) for kind in failures}
    assert all(one.retried <= one.known for one in odds)
    assert all(0 < one.chance < 1 for one in odds)
    assert odds == failure_odds([*records[::-1]]), "the order of runs says nothing"


@given(st.integers(0, 500), st.integers(0, 500))
def test_laplace_is_never_sure_and_goes_with_the_count(transient, permanent):
    one = Odds("timeout", transient, permanent)
    assert 0 < one.chance < 1
    assert (
        Odds("timeout", transient + 1, permanent).chance > one.chance > Odds("timeout", transient, permanent + 1).chance
    )
    assert (one.chance > WORTH) == (transient > permanent) == (one.odds > 1)
    assert one.odds == pytest.approx(one.chance / (1 - one.chance))


def test_without_experience_a_retry_is_a_toss():
    assert Odds("timeout").chance == 0.5
    assert Odds("timeout").odds == 1.0


@given(
    st.lists(
        st.builds(
            Odds, st.sampled_from(["timeout", "assertion", "command", "crash", "setup"]), *[st.integers(0, 30)] * 2
        ),
        unique_by=lambda one: one.kind,
    )
)
def test_a_policy_holds_what_is_more_likely_to_pass(odds):
    policy = suggested(odds)
    by_cause = causes(odds)
    if policy is None:
        assert not by_cause
        return
    assert set(policy.on) == {cause for cause, one in by_cause.items() if one.chance > WORTH}
    assert 0 <= policy.max <= MOST
    assert bool(policy.on) == bool(policy.max)
    if policy.on and policy.max < MOST:
        assert all((1 - by_cause[cause].chance) ** policy.max <= 1 - SURE for cause in policy.on)


def test_what_is_suggested_and_what_is_not():
    assert suggested([Odds("timeout", ENOUGH - 1)]) is None, "too little is known"
    assert suggested([Odds("setup", 100)]) is None, "what is written wrong is never tried again"
    assert suggested([Odds("timeout", 98)]) == Policy(("timeout",), 1)
    assert suggested([Odds("timeout", 7, 1), Odds("crash", 1, 9)]) == Policy(("timeout",), 2)
    assert suggested([Odds("assertion", 3, 0), Odds("command", 0, 9)]) == Policy((), 0), (
        "two kinds of one cause go together"
    )


PLAN = Plan(
    "s",
    "S",
    (Case("a", "A", ("cli",), retries=Retry(1, ("timeout",))), Case("b", "B", ("cli",))),
    (Method("cli", "C", "command"),),
    components=(
        Component("back", "B", recover=(RecoveryStep("retry"), RecoveryStep("restart"), RecoveryStep("failover"))),
    ),
)


def test_lessons_are_told_with_their_numbers():
    recovery_steps = {
        ("back", "retry"): Record("back", "retry", [4.0] * 4, 0),
        ("back", "restart"): Record("back", "restart", [2.0] * 4, 3),
    }
    told = policies(PLAN, [Odds("crash", 1, 9, 2, 10, 30.0), Odds("timeout", 7, 1)], recovery_steps)
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "crash crash 1 9 2 0.17 0.20 30.0 s" in lines
    assert "timeout timeout 7 1 0 0.80 4.00 -" in lines
    assert "declared for 1 test: retries: {max: 1, on: [timeout]}" in lines
    assert "declared for 1 test: retries: {max: 0}" in lines
    assert "suggested: retries: {max: 2, on: [timeout]}" in lines
    assert "step back restart: 3 of 4 succeeded, chance 0.67, 2.0 s in the median" in lines
    assert "recovery back: declared [retry, restart, failover]; suggested: recover: [restart, retry, failover]" in lines


def test_nothing_to_learn_is_said():
    told = policies(PLAN, [], {})
    assert told.startswith("no failure is on record")
    assert "suggested: nothing yet" in told
