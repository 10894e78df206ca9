"""The forecast: a simulated schedule, what a run takes beyond its tests, and how sure that is."""

from __future__ import annotations

import itertools
import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.baseline import key_of
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Command, Group, Method, Plan, Pool
from orchestra.plan import Test as Case
from orchestra.runtime import forecast
from orchestra.runtime.engine.admission import Load, Need
from orchestra.runtime.engine.slots import Slots
from orchestra.runtime.forecast import Known, by_workers, knee, known_of, slots_of
from orchestra.runtime.simulation import Simulated, Simulator, simulate
from orchestra.steps.step import Step

PLACE = "linux-x86_64-2cpu-8gb"


def plan_of(*tests: Case, workers: int = 2, **rest) -> Plan:
    return Plan("s", "", tests, (Method("m", "", "command", workers=workers),), **rest)


def record(seconds: dict[str, float], whole: float, *, place: str = PLACE, workers: int = 0, finished: bool = True):
    executions = {task: Execution("passed", attempts=(Attempt("passed", taken),)) for task, taken in seconds.items()}
    return RunRecord(
        "20260102T030405Z-1a2b",
        machine=place,
        finished=finished,
        seconds=whole,
        workers=workers,
        executions=executions,
    )


def whys(run: Simulated) -> dict[str, tuple[str, str]]:
    return {task: (start.after, start.why) for task, start in run.starts.items()}


def test_a_simulated_run_names_what_each_test_waited_for():
    tests = (
        Case("a", "", ("m",), group="g1"),
        Case("b", "", ("m",), needs=("a",), group="g1"),
        Case("c", "", ("m",), after=("b",), group="g1"),
        Case("d", "", ("m",), group="g2"),
        Case("e", "", ("m",), group="g2", resources={"r": 1}),
        Case("f", "", ("m",), group="g2", resources={"r": 1}),
    )
    plan = plan_of(*tests, workers=3, groups=(Group("g1", ""), Group("g2", "", ("g1",))), resources={"r": 1})
    seconds = {"m:a": 1.0, "m:b": 2.0, "m:c": 3.0, "m:d": 1.0, "m:e": 4.0, "m:f": 1.0}
    run = simulate(plan, list(seconds), {"m": 3}, seconds)
    assert whys(run) == {
        "m:a": ("", ""),
        "m:b": ("m:a", "needs"),
        "m:c": ("m:b", "order"),
        "m:d": ("m:c", "order"),
        "m:e": ("m:c", "order"),
        "m:f": ("m:e", "resource r"),
    }
    assert run.seconds == 11.0
    assert [start.task for start in run.path()] == ["m:a", "m:b", "m:c", "m:e", "m:f"]
    flat = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",)))
    assert whys(simulate(flat, ["m:a", "m:b"], {"m": 1}, seconds))["m:a"] == ("m:b", "workers")


def test_a_simulated_run_names_an_exclusive_test_as_the_cause():
    plan = plan_of(Case("a", "", ("m",)), Case("alone", "", ("m",), exclusive=True), Case("c", "", ("m",)), workers=3)
    run = simulate(plan, ["m:a", "m:alone", "m:c"], {"m": 3}, {"m:a": 3.0, "m:alone": 2.0, "m:c": 1.0})
    assert whys(run) == {"m:a": ("", ""), "m:alone": ("m:a", "exclusive tests"), "m:c": ("m:alone", "exclusive tests")}
    assert run.seconds == 6.0


def test_methods_follow_each_other_unless_one_is_parallel():
    tests = (Case("a", "", ("m", "n")),)
    for parallel, end in ((False, 3.0), (True, 2.0)):
        methods = (Method("m", "", "command"), Method("n", "", "command", parallel=parallel))
        run = simulate(Plan("s", "", tests, methods), ["m:a", "n:a"], {"m": 1, "n": 1}, {"m:a": 1.0, "n:a": 2.0})
        assert run.seconds == end


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_no_simulated_run_is_shorter_than_its_bounds_or_runs_more_than_its_slots(seed, slots):
    chance = random.Random(seed)
    tests = [
        Case(
            f"t{i}",
            "",
            ("m",),
            needs=tuple({f"t{chance.randrange(i)}" for _ in range(chance.randrange(3))} if i else ()),
        )
        for i in range(12)
    ]
    seconds = {f"m:{test.id}": float(chance.randint(0, 9)) for test in tests}
    run = simulate(plan_of(*tests), list(seconds), {"m": slots}, seconds)
    assert run.starts.keys() == seconds.keys()
    assert run.seconds >= sum(seconds.values()) / slots
    for test in tests:
        assert all(run.starts[f"m:{need}"].ended <= run.starts[f"m:{test.id}"].begun for need in test.needs)
    for start in run.starts.values():
        assert sum(one.begun <= start.begun < one.ended for one in run.starts.values()) <= slots
    path = run.path()
    assert path[-1].ended == run.seconds
    assert all(before.ended == after.begun for before, after in itertools.pairwise(path))
    assert path[0].begun == 0.0


def test_the_peak_is_the_moment_of_most_memory():
    plan = plan_of(*(Case(name, "", ("m",)) for name in "abcde"))
    seconds = {"m:a": 4.0, "m:b": 2.0, "m:c": 3.0, "m:d": 0.0, "m:e": 1.0}
    run = simulate(plan, list(seconds), {"m": 2}, seconds)
    assert run.peak({"m:a": 1.0, "m:b": 5.0, "m:c": 7.0, "m:d": 99.0}) == (8.0, ("m:a", "m:c"))
    assert run.peak({}) == (0.0, ())


def test_memory_is_forecast_where_an_earlier_run_has_measured_it():
    plan = plan_of(*(Case(name, "", ("m",), command=Command(("true",))) for name in "abc"))
    took = Attempt("passed", 1.0, held_seconds=1.0, cpu_seconds=0.5, megabytes=100.0)
    run = RunRecord("1", machine=PLACE, executions={"m:a": Execution("passed", attempts=(took,))})
    names = ["m:a", "m:b", "m:c"]
    found = forecast.forecast(known_of(plan, {}, [run], PLACE), names, {"m": 2})
    assert (found.measured, found.peak) == (1, (200.0, ("m:a", "m:b")))
    found = forecast.forecast(known_of(plan, {}, [run], "other"), names, {"m": 2})
    assert (found.measured, found.peak) == (0, None)


def test_costs_bound_the_methods_whose_workers_the_machine_decides():
    tests = tuple(Case(name, "", ("m", "fixed"), command=Command(("true",))) for name in "ab")
    http = Case("ask", "", ("m",), steps=(Step("http", {"GET": "/"}),))
    methods = (Method("m", "", "command"), Method("fixed", "", "command", workers=3))
    plan = Plan("s", "", (*tests, http), methods)
    took = Attempt("passed", 1.0, held_seconds=2.0, cpu_seconds=1.0, megabytes=99.5)
    executions = {task: Execution("passed", attempts=(took,)) for task in ("m:a", "fixed:a")}
    run, room = RunRecord("1", machine=PLACE, executions=executions), Need(2000, 1000)
    known = known_of(plan, {}, [run], PLACE, room)
    load = known.load(["m:a", "m:b", "m:ask", "fixed:a"], None)
    assert load == Load(room, dict.fromkeys(("m:a", "m:b", "fixed:a"), Need(500, 100)), frozenset({"m"}))
    assert slots_of(known, None, load) == {"m": Slots(methods[0], None).most(), "fixed": 3}
    assert known.load(["m:a"], 2) is None, "a number of workers is what the user says"
    assert known.load(["m:ask"], None) is None
    assert known_of(plan, {}, [run], PLACE).load(["m:a"], None) is None
    disturbed = RunRecord(
        "1", machine=PLACE, executions={"m:a": Execution("passed", attempts=(took,), disturbed="load")}
    )
    assert known_of(plan, {}, [disturbed], PLACE, room).load(["m:a"], None) is None


def test_more_workers_save_nothing_where_each_test_wants_the_whole_machine():
    tests = [Case(f"t{i}", "", ("m",)) for i in range(4)]
    seconds = {f"m:t{i}": 1.0 for i in range(4)}
    load = Load(Need(2000, 1000), dict.fromkeys(seconds, Need(2000, 1)), frozenset({"m"}))
    assert set(by_workers(Known(plan_of(*tests), seconds, {}, []), list(seconds), {"m": 1}, 0.5, load).values()) == {
        4.5
    }


def test_nothing_selected_takes_no_time():
    run = simulate(plan_of(), [], {"m": 1}, {})
    assert run.seconds == 0.0
    assert run.path() == []


def test_samples_of_the_place_come_first_then_passes_of_earlier_runs():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",)), Case("c", "", ("m",)), Case("d", "", ("m",)))
    samples = {
        key_of("m:a", "", PLACE): (2.0, 4.0, 3.0),
        key_of("m:a", "", "other"): (90.0,),
        key_of("m:b", "webkit", PLACE): (90.0,),
        key_of("m:c", "", PLACE): (),
    }
    failed = Execution("failed", attempts=(Attempt("failed", 90.0),))
    run = record({"m:a": 7.0, "m:b": 5.0, "m:c": 6.0, "m:gone": 1.0}, 20.0)
    run.executions["m:d"] = failed
    run.executions["m:c"] = Execution("passed", "webkit", attempts=(Attempt("passed", 6.0),))
    known = known_of(plan, samples, [run, record({"m:b": 90.0}, 9.0, place="other")], PLACE)
    assert {task: list(values) for task, values in known.samples.items() if task != "m:gone"} == {
        "m:a": [2.0, 4.0, 3.0],
        "m:b": [5.0],
    }
    assert known.expected == {"m:a": 3.0, "m:b": 5.0, "m:c": 4.0, "m:d": 4.0}
    assert len(known.earlier) == 1


def test_what_a_run_takes_beyond_its_tests_is_learned_with_the_workers_that_it_had():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",)))
    took = {"m:a": 4.0, "m:b": 4.0}
    earlier = [
        record(took, 5.0),
        record(took, 9.0, workers=1),
        record(took, 99.0, finished=False),
        record({"m:gone": 1.0}, 99.0),
        record({}, 99.0),
    ]
    known = known_of(plan, {}, earlier, PLACE)
    found = forecast.forecast(known, list(took), {"m": 2})
    assert (found.rest, found.known, found.tasks, found.runs) == (1.0, 2, 2, 2)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 5.0 < found.high
    merged = msgspec.structs.replace(record(took, 99.0), shards=("1", "2"))
    found = forecast.forecast(known_of(plan, {}, [earlier[0], merged], PLACE), list(took), {"m": 2})
    assert (found.rest, found.runs) == (1.0, 1)
    assert found.seconds == pytest.approx(5.55, rel=0.03), "the longer of two that vary takes longer than each"
    assert forecast.forecast(known, list(took), {"m": 1}).seconds == pytest.approx(9.0, rel=0.1)
    assert forecast.forecast(known, list(took), {"m": 1}).waits() == {"workers": 4.0}


def test_without_any_duration_there_is_no_interval():
    found = forecast.forecast(known_of(plan_of(Case("a", "", ("m",))), {}, [], PLACE), ["m:a"], {"m": 2})
    assert (found.seconds, found.low, found.high, found.known, found.runs) == (1.0, None, None, 0, 0)


def test_a_test_with_few_samples_varies_as_the_others_of_its_method():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",)))
    steady = {key_of("m:a", "", PLACE): (1.0, 1.0, 1.0, 1.0), key_of("m:b", "", PLACE): (1.0,)}
    found = forecast.forecast(known_of(plan, steady, [], PLACE), ["m:a", "m:b"], {"m": 1})
    assert (found.low, found.high) == (2.0, 2.0)
    alone = {key_of("m:b", "", PLACE): (1.0,)}
    found = forecast.forecast(known_of(plan, alone, [], PLACE), ["m:b"], {"m": 1})
    own, wide = forecast.USUAL_SIGMA, forecast.USUAL_SIGMA * math.sqrt(1 + math.pi / 2)
    for bound, sign in ((found.low, -1), (found.high, 1)):
        assert bound == pytest.approx(math.exp((own**2 - wide**2) / 2 + sign * 1.645 * wide), rel=0.1)


def test_a_machine_that_decides_has_the_workers_of_earlier_runs():
    plan = plan_of(Case("a", "", ("m",)), workers=0)
    least = slots_of(Known(plan, {}, {}, []), None)["m"]
    busy = record({"m:a": 1000.0}, 10.0)
    unfinished = record({"m:a": 9e9}, 10.0, finished=False)
    assert slots_of(Known(plan, {}, {}, [busy, unfinished]), None) == {"m": 100}
    assert slots_of(Known(plan, {}, {}, [record({"m:a": 1.0}, 10.0)]), None) == {"m": least}
    assert slots_of(Known(plan, {}, {}, [busy]), 3) == {"m": 3}


def test_the_knee_is_where_more_workers_hardly_help():
    tests = [Case(f"t{i}", "", ("m",)) for i in range(4)]
    seconds = {f"m:t{i}": 1.0 for i in range(4)}
    taken = by_workers(Known(plan_of(*tests), seconds, {}, []), list(seconds), {"m": 1}, 0.5)
    assert taken == {1: 4.5, 2: 2.5, 3: 2.5, 4: 1.5}
    assert knee(taken) == 4
    assert knee({1: 4.0, 2: 1.04, 3: 1.0}) == 2
    single = Plan("s", "", tuple(tests), (Method("m", "", "mcp", single_session=True),))
    assert set(by_workers(Known(single, seconds, {}, []), list(seconds), {"m": 1}, 0.0).values()) == {4.0}


def test_the_forecast_and_the_row_of_its_own_workers_are_one_number():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",)), Case("c", "", ("m",)))
    took = {"m:a": 4.0, "m:b": 3.0, "m:c": 2.0}
    known = known_of(plan, {}, [record(took, 6.0), record(took, 7.0)], PLACE)
    found = forecast.forecast(known, list(took), {"m": 2})
    assert by_workers(known, list(took), {"m": 2}, found.beyond)[2] == pytest.approx(found.seconds)
    assert forecast.forecast(known_of(plan_of(), {}, [], PLACE), [], {"m": 2}).beyond == 0.0


def test_a_simulator_gives_each_of_its_runs_as_a_new_one_would():
    chance = random.Random(1)
    tests = [
        Case(f"t{i}", "", ("m",), group=f"g{i // 4}", needs=(f"t{i - 4}",) if i > 4 else (), takes={"who": "users"})
        for i in range(12)
    ]
    groups = (Group("g0", ""), Group("g1", "", ("g0",)), Group("g2", ""))
    plan = plan_of(*tests, groups=groups, pools=(Pool("users", ({"name": "ana"}, {"name": "bo"}, {"name": "cy"})),))
    usual = {f"m:{test.id}": 1.0 for test in tests}
    load = Load(Need(2000, 1000), {task: Need(chance.choice((300, 1500)), 100) for task in usual}, frozenset({"m"}))
    ready = Simulator(plan, list(usual), usual, load)
    for slots in (3, 2, 3):
        took = {task: chance.uniform(0.5, 4.0) for task in usual}
        alone = simulate(plan, list(usual), {"m": slots}, usual, took, load)
        assert ready.run({"m": slots}, took) == alone
        assert ready.seconds({"m": slots}, took) == alone.seconds


def test_a_large_suite_has_an_interval_of_few_draws():
    tests = [Case(f"t{i}", "", ("m",)) for i in range(forecast.LARGE + 1)]
    plan = plan_of(*tests)
    samples = {key_of(f"m:{test.id}", "", PLACE): (0.8, 0.9, 1.0, 1.1, 1.2) for test in tests}
    took = {f"m:{test.id}": 1.0 for test in tests}
    known = known_of(plan, samples, [record(took, 2000.0), record(took, 1003.5)], PLACE)
    found = forecast.forecast(known, list(took), {"m": 2})
    assert (found.runs, found.rest) == (1, 2.5)
    assert found.seconds == pytest.approx(1021, rel=0.01), "the mean of a log-normal duration is above its median"
    assert found.low is not None
    assert found.high is not None
    assert 980 < found.low < found.seconds < found.high < 1060
    assert list(by_workers(known, list(took), {"m": 2}, 0.0)) == [1, 2, 3, 4, 6, 8, 12, 16]
