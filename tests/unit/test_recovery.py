"""The decisions about health, for any policy, back-off and history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from orchestra.plan import Backoff, Component, RecoveryStep, Service
from orchestra.recovery import RECOVERY
from orchestra.runtime.servers.recovery import (
    Watch,
    allowed,
    decide,
    first_bound_seconds,
    poll_seconds,
    start_bound_seconds,
    step,
    wait_seconds,
)

KINDS = tuple(RECOVERY)
recovery_steps = st.lists(
    st.sampled_from(KINDS).map(lambda kind: RecoveryStep(kind, ("x",) if RECOVERY[kind].command else ())), max_size=6
)
backoffs = st.builds(
    Backoff,
    max=st.integers(0, 6),
    initial_seconds=st.floats(0.001, 10),
    factor=st.floats(1, 1000),
    max_seconds=st.floats(0.001, 60),
    jitter=st.floats(0, 1),
)
dice = st.floats(0, 1)


@given(backoffs, st.integers(1, 100_000), dice)
def test_a_wait_stays_between_nothing_and_its_ceiling(backoff, tries, rand):
    wait = wait_seconds(backoff, tries, rand)
    assert 0 <= wait <= backoff.max_seconds * (1 + backoff.jitter) * (1 + 1e-9)


@given(backoffs, st.integers(1, 50))
def test_waits_do_not_shrink(backoff, tries):
    assert wait_seconds(backoff, tries, 0.5) <= wait_seconds(backoff, tries + 1, 0.5)


def test_waits_double_up_to_the_ceiling_and_spread_both_ways():
    backoff = Backoff(max=5, initial_seconds=1, factor=2, max_seconds=5, jitter=0.5)
    assert [wait_seconds(backoff, tries, 0.5) for tries in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]
    assert [wait_seconds(backoff, 1, rand) for rand in (0.0, 1.0)] == [0.5, 1.5]


def test_polls_are_short_for_two_seconds_and_then_slow_down():
    pauses = [poll_seconds(asked) for asked in range(60)]
    assert pauses[:41] == [0.05] * 41
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0
    assert poll_seconds(10**9) == 1.0


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_health_never_flips_before_its_threshold(answers, successes, failures):
    watch, healthy = Watch(), False
    for index, passed in enumerate(answers):
        watch = step(watch, passed=passed, successes=successes, failures=failures)
        if watch.healthy != healthy:
            bound = successes if watch.healthy else failures
            row = answers[index + 1 - bound : index + 1]
            assert len(row) == bound
            assert all(one is watch.healthy for one in row)
        elif not watch.healthy:
            assert not (len(answers[: index + 1]) >= successes and all(answers[index + 1 - successes : index + 1]))
        healthy = watch.healthy


@given(recovery_steps, backoffs, dice)
def test_a_policy_is_climbed_in_order_within_its_budget_and_ends(policy, backoff, rand):
    tried: list[int] = []
    budget = sum(allowed(step, backoff) for step in policy)
    while (action := decide(policy, backoff, tried, rand)) is not None:
        assert action.index >= max(tried, default=0)
        assert (action.kind, action.run) == (policy[action.index].kind, policy[action.index].run)
        assert action.attempt == tried.count(action.index) + 1 <= allowed(policy[action.index], backoff)
        assert 0 <= action.wait_seconds <= backoff.max_seconds * 2 * (1 + 1e-9)
        assert action.kind == "retry" or action.wait_seconds == 0
        tried.append(action.index)
        assert len(tried) <= budget
    assert len(tried) == budget, "no step that could be taken was left out"


def test_an_empty_policy_is_at_its_end():
    assert decide((), Backoff(), (), 0.5) is None


@given(recovery_steps, backoffs, dice)
def test_a_policy_over_a_dead_process_is_the_same_without_its_retries(policy, backoff, rand):
    def kinds(*, dead: bool) -> list[str]:
        tried: list[int] = []
        while (action := decide(policy, backoff, tried, rand, dead=dead)) is not None:
            tried.append(action.index)
        return [policy[index].kind for index in tried]

    assert kinds(dead=True) == [kind for kind in kinds(dead=False) if kind != "retry"]


def test_the_first_start_has_the_time_of_the_failover_too():
    service = Service(("web",), ports=(8000, 8003), grace_seconds=1.0)
    plain = Component("web", "w", service=service, failover=Service(("stub",), grace_seconds=2.0))
    once = start_bound_seconds(plain)
    assert first_bound_seconds(plain) == once
    policy = structs.replace(plain, recover=(RecoveryStep("restart"), RecoveryStep("failover")))
    assert first_bound_seconds(policy) == once + start_bound_seconds(structs.replace(plain, service=plain.failover))
