"""Which tasks run side by side by their costs: bounds, turns, and the same schedule however late doit pushes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.plan import Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.engine.admission import LOOKED, PAIR_PERCENT, PASSES, SLACK_PERCENT, Admission, Load, Need
from orchestra.runtime.engine.queue import Queue
from orchestra.runtime.shorten import Change, applied
from orchestra.runtime.simulation import simulate
from tests.unit.test_queue import plans, starts

ROOM = Need(2000, 1000)


def queue_of(needs: dict[str, Need | None], *, methods=("m",), room: Need = ROOM, seconds=None) -> Queue:
    """A queue with all tasks pushed; those without a need have no known cost."""
    tests = tuple(Case(name, "", methods) for name in needs)
    plan = Plan("s", "", tests, tuple(Method(name, "", "command", parallel=True) for name in methods))
    known = {f"m:{name}": need for name, need in needs.items() if need is not None}
    names = [f"{method}:{name}" for method in methods for name in needs]
    queue = Queue(plan, names, seconds, load=Load(room, known, frozenset({"m"})))
    for name in names:
        queue.push(name)
    return queue


def taken(queue: Queue, method: str = "m") -> list[str]:
    """Take all that may start."""
    found = []
    while (task := queue.take(method)) is not None:
        found.append(task.partition(":")[2])
    return found


def end(queue: Queue, name: str, method: str = "m") -> None:
    queue.release(f"{method}:{name}")
    queue.done(f"{method}:{name}")


def test_light_tests_run_next_to_each_other_and_two_that_want_everything_do_not():
    heavy, light = Need(2000, 100), Need(200, 100)
    assert taken(queue_of({"a": heavy, "b": heavy})) == ["a"]
    assert taken(queue_of(dict.fromkeys("abcdefgh", light))) == list("abcdefgh")
    assert taken(queue_of({"a": heavy, "b": light, "c": light})) == ["a", "b"]
    assert taken(queue_of({"a": Need(9000, 9000), "b": Need(1, 1)})) == ["a"], "one runs alone, whatever it wants"
    assert taken(queue_of({"a": Need(2000, 100), "b": None, "c": None})) == ["a", "b", "c"], "it takes a slot only"


def test_two_run_side_by_side_as_long_as_that_saves_three_percent():
    one = Need(PAIR_PERCENT * ROOM.millicores // 200, 1)
    assert taken(queue_of({"a": one, "b": one})) == ["a", "b"]
    assert taken(queue_of({"a": one, "b": Need(one.millicores + 1, 1)})) == ["a"]
    third = Need(SLACK_PERCENT * ROOM.millicores // 300, 1)
    assert taken(queue_of(dict.fromkeys("abcd", third))) == ["a", "b", "c"]


def test_memory_is_a_firm_bound():
    queue = queue_of({"a": Need(1, 600), "b": Need(1, 500), "c": Need(1, 300)})
    assert taken(queue) == ["a", "c"]
    [held] = queue.admission.new()
    assert (held.task, held.lack, held.need, held.used, held.room, held.running) == (
        "m:b",
        "memory",
        Need(1, 500),
        Need(1, 600),
        ROOM,
        1,
    )
    assert queue.admission.new() == []
    end(queue, "a")
    assert taken(queue) == ["b"]
    assert queue.admission.first == ""


def test_a_heavy_test_is_passed_by_a_bounded_number_of_light_ones():
    needs = {"x": Need(300, 1), "y": Need(300, 1), "heavy": Need(2000, 1)}
    needs |= {f"l{number:02}": Need(300, 1) for number in range(40)}
    queue = queue_of(needs)
    running, passed = taken(queue), 0
    assert running[:2] == ["x", "y"]
    passed = len(running) - 2
    while "heavy" not in running:
        end(queue, running.pop(0))
        started = taken(queue)
        passed += len([name for name in started if name != "heavy"])
        running += started
    assert passed == PASSES
    assert queue.admission.new()[0].task == "m:heavy"


def test_no_exclusive_test_passes_one_whose_turn_has_come():
    tests = (Case("x", "", ("m",)), Case("y", "", ("m",)), Case("heavy", "", ("m",)))
    light = tuple(Case(f"l{number}", "", ("m",)) for number in range(PASSES))
    plan = Plan("s", "", (*tests, *light, Case("alone", "", ("m",), exclusive=True)), (Method("m", "", "command"),))
    names = [f"m:{test.id}" for test in plan.tests]
    needs = {**dict.fromkeys(names, Need(150, 1)), "m:heavy": Need(2000, 1)}
    queue = Queue(plan, names, load=Load(ROOM, needs, frozenset({"m"})))
    for name in names:
        queue.push(name)
    running = taken(queue)
    assert "alone" not in running
    assert len(running) == 2 + PASSES
    for name in running[:-1]:
        end(queue, name)
    assert taken(queue) == ["heavy"], "next to one that leaves enough idle"
    end(queue, "heavy")
    end(queue, running[-1])
    assert taken(queue) == ["alone"]


def test_one_that_gets_its_verdict_or_waits_for_a_resource_holds_no_other_back():
    queue = queue_of({"a": Need(1000, 1), "b": Need(1000, 1), "c": Need(1000, 1), "d": Need(1, 1)})
    assert taken(queue) == ["a", "b", "d"]
    assert queue.admission.first == "m:c"
    queue.done("m:c")
    assert queue.admission.first == ""
    tests = tuple(Case(name, "", ("m",), resources={"r": 1} if name == "c" else {}) for name in "abcd")
    plan = Plan("s", "", tests, (Method("m", "", "command"), Method("n", "", "command")), resources={"r": 1})
    names = [f"m:{name}" for name in "abcd"]
    needs = dict.fromkeys(names, Need(1000, 1))
    queue = Queue(plan, names, load=Load(ROOM, needs, frozenset({"m"})))
    for name in names:
        queue.push(name)
    assert taken(queue) == ["a", "b"]
    assert queue.admission.first == "m:c"
    queue._free["r"] = 0  # as if another method held it
    assert taken(queue) == []
    assert queue.admission.first == "m:d"


def test_a_method_with_a_fixed_number_of_workers_counts_and_does_not_wait():
    tests = (Case("a", "", ("m", "fixed")), Case("b", "", ("m", "fixed")))
    methods = (Method("m", "", "command", parallel=True), Method("fixed", "", "command", parallel=True))
    names = ["m:a", "m:b", "fixed:a", "fixed:b"]
    load = Load(ROOM, dict.fromkeys(names, Need(2000, 1)), frozenset({"m"}))
    queue = Queue(Plan("s", "", tests, methods), names, load=load)
    for name in names:
        queue.push(name)
    assert taken(queue, "fixed") == ["a", "b"]
    assert taken(queue) == []
    end(queue, "a", "fixed")
    end(queue, "b", "fixed")
    assert taken(queue) == ["a"]


def test_only_some_tests_that_do_not_fit_are_looked_at():
    needs = {
        "first": Need(2000, 1),
        **{f"h{number:02}": Need(2000, 1) for number in range(LOOKED)},
        "light": Need(1, 1),
    }
    queue = queue_of(needs)
    assert taken(queue) == ["first"]
    assert queue.count() == len(needs)


def test_a_task_without_a_load_fits():
    assert Admission(None).lacks("m:a") is None


def test_a_simulated_run_names_processors_and_memory():
    plan = Plan("s", "", tuple(Case(name, "", ("m",)) for name in "abc"), (Method("m", "", "command"),))
    seconds = {"m:a": 3.0, "m:b": 2.0, "m:c": 1.0}
    needs = {"m:a": Need(2000, 1), "m:b": Need(2000, 1), "m:c": Need(1, 2000)}
    run = simulate(plan, list(seconds), {"m": 4}, seconds, load=Load(ROOM, needs, frozenset({"m"})))
    assert {task: (start.begun, start.why) for task, start in run.starts.items()} == {
        "m:a": (0.0, ""),
        "m:b": (3.0, "processors"),
        "m:c": (5.0, "memory"),
    }


NEEDS = st.builds(Need, st.integers(0, 3000), st.integers(0, 1500))


def loads(data, plan: Plan, names: list[str], *, unknown: bool) -> Load:
    needs = {name: data.draw(NEEDS) for name in names if not unknown or data.draw(st.integers(0, 5))}
    return Load(ROOM, needs, frozenset(method.id for method in plan.methods))


@given(plans(), st.data())
def test_every_task_runs_within_the_capacity_or_alone(plan, data):
    names = [f"{method.id}:{test.id}" for method in plan.methods for test in plan.tests]
    load, slots = loads(data, plan, names, unknown=False), data.draw(st.integers(1, 6))
    seconds = {name: float(data.draw(st.integers(1, 9))) for name in names}
    run = simulate(plan, names, {method.id: slots for method in plan.methods}, seconds, load=load)
    assert run.starts.keys() == set(names)
    exclusive = {test.id for test in plan.tests if test.exclusive}
    for start in run.starts.values():
        if start.task.partition(":")[2] in exclusive:
            others = [one for one in run.starts.values() if one is not start]
            assert all(one.ended <= start.begun or start.ended <= one.begun for one in others), "it runs alone"
        needs = [load.needs[one.task] for one in run.starts.values() if one.begun <= start.begun < one.ended]
        if len(needs) > 1:
            percent = PAIR_PERCENT if len(needs) == 2 else SLACK_PERCENT
            assert sum(need.megabytes for need in needs) <= ROOM.megabytes
            assert 100 * sum(need.millicores for need in needs) <= percent * ROOM.millicores


@given(plans(), st.data())
def test_a_late_push_starts_the_same_tasks_at_the_same_times(plan, data):
    plan = msgspec.structs.replace(plan, methods=plan.methods[:1])
    seconds = {f"m0:{test.id}": data.draw(st.integers(1, 9)) for test in plan.tests}
    load = loads(data, plan, list(seconds), unknown=True)
    assert starts(plan, seconds, late=True, load=load) == starts(plan, seconds, late=False, load=load)


@pytest.mark.parametrize("extra", [0, 1])
def test_half_a_test_takes_as_much_as_the_whole(extra):
    test = Case("a", "", ("m",))
    plan = Plan("s", "", (test, msgspec.structs.replace(test, id="a~2")), (Method("m", "", "command"),))
    need = Need(PAIR_PERCENT * ROOM.millicores // 200 + extra, 1)
    change = Change("split", "", "m:a", plan, {"m": 2})
    load = Load(ROOM, {"m:a": need}, frozenset({"m"}))
    assert applied(change, ["m:a"], {"m:a": 4.0}, load) == (2.0 if not extra else 4.0)
