"""What a run uses of its machine, and what other programs do: looks, what lies between two, and what disturbs a duration."""

from __future__ import annotations

import os

import pytest

from orchestra.runtime.load import Counts, Look, Use, between, disturbance, look, share_of_others


def seen(at: float, busy: float, idle: float, run: Counts, **workers: Counts) -> Look:
    return Look(at, busy, idle, 50.0, 0, 0, 0, 0, run, workers)


@pytest.mark.parametrize(
    "before, after, own, other",
    [
        (Counts(10.0), Counts(11.0), 60, 10),
        (Counts(10.0), Counts(9.0), 60, 60),  # what ended took its time along
        (Counts(10.0, {(1, 0.0): 2.0}), Counts(9.5, {(1, 0.0): 2.6}), 60, 30),  # but this is known of those that live
        (Counts(10.0), Counts(10.9, {(2, 5.0): 0.9}), 60, 15),
        (Counts(10.0), Counts(19.0), 60, 0),  # the clocks of the system and of a process differ
    ],
)
def test_what_the_run_did_not_use_is_of_others(before, after, own, other):
    use = between(seen(100.0, 5.0, 5.0, before), seen(101.0, 6.2, 5.8, after))
    assert (round(use.cpu_percent), round(use.other_percent)) == (own, other)


def test_a_worker_that_is_new_counts_from_its_begin():
    first = seen(0.0, 0.0, 0.0, Counts(), one=Counts(1.0, {}, 10, 5, 0))
    second = seen(1.0, 1.0, 1.0, Counts(), one=Counts(1.5, {}, 30, 5, 7), two=Counts(0.2, {}, 4, 1, 1))
    assert between(first, second).workers == (("one", 0.5, 30, 0, 7), ("two", 0.2, 4, 1, 1))


def used(begin: float, end: float, percent: float) -> Use:
    return Use(begin, end, percent, percent, 0.0, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    "begin, end, share",
    [(0.0, 1.0, 10.0), (0.5, 1.5, 50.0), (1.5, 9.0, 90.0), (0.0, 2.0, 50.0), (3.0, 4.0, None), (1.0, 1.0, None)],
)
def test_the_share_of_others_is_weighed_by_time(begin, end, share):
    assert share_of_others([used(0.0, 1.0, 10.0), used(1.0, 2.0, 90.0)], begin, end) == share


@pytest.mark.parametrize(
    "incidents, degraded, throttled, percent, why",
    [
        ((), (), False, 25.0, ""),
        ((), (), False, 25.6, "other programs used 26 % of the processors, more than 25 %"),
        ((), (), True, 99.0, "a gate let only one test run at a time"),
        ((), ("a on failover",), True, 99.0, "degraded: a on failover"),
        (("a-1", "b-1"), ("a on failover",), True, 99.0, "incidents a-1, b-1 overlapped"),
    ],
)
def test_what_disturbs_a_duration(incidents, degraded, throttled, percent, why):
    assert (
        disturbance(
            incidents=incidents, degraded=degraded, throttled=throttled, others_percent=percent, most_percent=25
        )
        == why
    )


def test_a_look_counts_this_process_and_the_workers_below_it():
    before, top = look({}), os.getpid()
    while (now := look({"me": top, "gone": 2**22 + 1})).run.cpu_seconds < before.run.cpu_seconds + 0.1:
        sum(range(10000))
    assert list(now.workers) == ["me"]
    assert now.workers["me"] == now.run
    assert now.run.memory_bytes > 1 << 20
    [use] = between(before, now).workers
    assert use.cpu_seconds >= 0.1
