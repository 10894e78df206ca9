"""What a run uses of its machine, and what other programs do: looks, what lies between two, and what disturbs a duration."""

from __future__ import annotations

import os

import pytest

from orchestra.ledger.event import WorkerUse
from orchestra.ledger.use import Use as Total
from orchestra.runtime.run.load import Counts, Look, Sampler, Use, between, disturbance, look, sampled, share_of_others


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
    first = seen(0.0, 0.0, 0.0, Counts(), one=Counts(1.0, {}, 1_000_000, 5_000_000, 0))
    now = Counts(0.2, {}, 4_000_000, 1_000_000, 0)
    second = seen(1.0, 1.0, 1.0, Counts(), one=Counts(1.5, {}, 3_000_000, 5_000_000, 7_000_000), two=now)
    one = WorkerUse(worker="one", cpu_seconds=0.5, memory_megabytes=3.0, written_megabytes=7.0)
    two = WorkerUse(worker="two", cpu_seconds=0.2, memory_megabytes=4.0, read_megabytes=1.0)
    assert between(first, second).workers == (one, two)


def test_a_sample_is_made_of_uses_weighed_by_their_time():
    small = WorkerUse(worker="w", cpu_seconds=0.5, memory_megabytes=10.0, read_megabytes=1.0)
    great = WorkerUse(worker="w", cpu_seconds=1.5, memory_megabytes=30.0)
    uses = [
        Use(0.0, 1.0, 90.0, 10.0, 40.0, 10**6, 0, 5 * 10**5, 0, (small,)),
        Use(1.0, 4.0, 10.0, 2.0, 30.0, 0, 10**6, 0, 0, (great,)),
    ]
    body = sampled(uses, workers=3, reason="cli: 3 workers")
    assert (body.seconds, body.cpu_percent, body.cpu_percent_peak, body.other_cpu_percent) == (4.0, 30.0, 90.0, 4.0)
    assert (body.memory_percent, body.memory_percent_peak, body.workers, body.reason) == (
        30.0,
        40.0,
        3,
        "cli: 3 workers",
    )
    assert (body.read_megabytes, body.written_megabytes, body.received_megabytes, body.sent_megabytes) == (
        1.0,
        1.0,
        0.5,
        0.0,
    )
    assert body.by_worker == (WorkerUse(worker="w", cpu_seconds=2.0, memory_megabytes=30.0, read_megabytes=1.0),)
    total = Total()
    assert (total.cpu_percent, total.other_cpu_percent) == (0.0, 0.0)
    for _ in range(2):
        total.add(body)
    assert (total.seconds, total.cpu_percent, total.other_cpu_percent, total.cpu_percent_peak) == (8.0, 30.0, 4.0, 90.0)
    assert (total.by_worker["w"].cpu_seconds, total.by_worker["w"].memory_megabytes, total.read_megabytes) == (
        4.0,
        30.0,
        2.0,
    )
    kept = total.copy()
    total.add(body)
    assert kept.by_worker["w"].cpu_seconds == 4.0


def test_what_was_used_is_told_at_least_at_the_end():
    told = []
    sampler = Sampler(told.append, lambda: {"me": [os.getpid()]})
    sampler.start()
    sampler.close()
    assert [use.workers[0].worker for uses in told for use in uses] == ["me"]


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
    while (now := look({"me": [top], "gone": [2**22 + 1]})).run.cpu_seconds < before.run.cpu_seconds + 0.1:
        sum(range(10000))
    assert list(now.workers) == ["me"]
    assert now.workers["me"] == now.run
    assert now.run.memory_bytes > 1 << 20
    [use] = between(before, now).workers
    assert use.cpu_seconds >= 0.1
