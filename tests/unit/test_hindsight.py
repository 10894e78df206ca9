"""A run, looked back at: its tests against what the runs before them said, and what would have shortened it."""

from __future__ import annotations

import msgspec

from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Command, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.engine.admission import Need
from orchestra.runtime.hindsight import Taken, hindsight

ROOM = Need(2000, 1000)


def ran(name: str, cores: float = 0.1, **seconds: float) -> RunRecord:
    executions = {
        f"m:{test}": Execution(
            "passed", attempts=(Attempt("passed", took, held_seconds=took, cpu_seconds=cores * took, megabytes=1.0),)
        )
        for test, took in seconds.items()
    }
    return RunRecord(name, machine="here", finished=True, seconds=20.0, executions=executions)


def plan_of(names: str, workers: int = 0) -> Plan:
    tests = tuple(Case(name, "", ("m",), command=Command(("true",))) for name in names)
    return Plan("s", "", tests, (Method("m", "", "command", workers=workers),))


def test_tests_that_were_furthest_off_come_first():
    before = [ran("1", a=1.0, b=2.0), ran("2", a=3.0, b=2.0)]
    found = hindsight(plan_of("abc"), before, ran("3", a=2.5, b=9.0, c=2.0, gone=9.0), ROOM)
    assert found.tests == [Taken("m:b", 2.0, 9.0), Taken("m:a", 2.0, 2.5), Taken("m:c", 2.0, 2.0)]
    assert (found.seconds, found.simulated, found.known) == (20.0, 9.0, 2)


def test_the_changes_rest_on_the_durations_and_the_workers_of_the_run():
    before = [ran("1", a=1.0, b=1.0, c=1.0)]
    run = msgspec.structs.replace(ran("2", a=6.0, b=6.0, c=6.0), workers=1)
    found = hindsight(plan_of("abc"), before, run, ROOM)
    assert found.simulated == 18.0
    assert [(saving.change.kind, saving.seconds) for saving in found.savings] == [("workers", 6.0)]


def test_tests_that_want_the_whole_machine_are_not_shortened_by_workers():
    found = hindsight(plan_of("abc"), [ran("1", 2.0, a=1.0, b=1.0, c=1.0)], ran("2", 2.0, a=6.0, b=6.0, c=6.0), ROOM)
    assert (found.simulated, list(found.savings)) == (18.0, [])
