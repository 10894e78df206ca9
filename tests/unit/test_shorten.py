"""The changes that would shorten a run: each is simulated, and saves what it promises."""

from __future__ import annotations

import pytest

from orchestra.plan import Group, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.forecast import Known, forecast
from orchestra.runtime.shorten import HALF, applied, shortest


def savings(plan: Plan, seconds: dict[str, float], slots: dict[str, int], number: int = 9):
    known = Known(plan, seconds, {}, [])
    found = forecast(known, list(seconds), slots)
    return shortest(known, list(seconds), slots, found, number)


def plan_of(*tests: Case, methods=None, **rest) -> Plan:
    return Plan("s", "", tests, methods or (Method("m", "", "command"),), **rest)


def told(plan: Plan, seconds: dict[str, float], slots: dict[str, int]) -> dict[str, float]:
    return {saving.change.text: saving.seconds for saving in savings(plan, seconds, slots)}


def test_another_worker_helps_where_tests_wait_for_one():
    plan = plan_of(*[Case(f"t{i}", "", ("m",)) for i in range(4)])
    seconds = {f"m:t{i}": 4.0 for i in range(4)}
    assert told(plan, seconds, {"m": 1}) == {"2 workers for m instead of 1, if the machine bears them": 8.0}
    single = plan_of(*plan.tests, methods=(Method("m", "", "mcp", single_session=True),))
    assert told(single, seconds, {"m": 1}) == {}


def test_one_more_of_a_resource_helps_where_tests_wait_for_it():
    tests = [Case(f"t{i}", "", ("m",), resources={"r": 1}) for i in range(2)]
    shown = told(plan_of(*tests, resources={"r": 1}), {"m:t0": 4.0, "m:t1": 4.0}, {"m": 2})
    assert shown["2 of resource r instead of 1"] == 4.0


@pytest.mark.parametrize("edge, text", [("needs", "m:b does not need a"), ("after", "m:b does not wait for a")])
def test_an_edge_on_the_path_is_cut(edge, text):
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",), **{edge: ("a",)}))
    seconds = {"m:a": 4.0, "m:b": 3.0}
    shown = told(plan, seconds, {"m": 2})
    assert shown[text] == 3.0
    assert shown["two tests instead of m:a, each of half its steps"] == 2.0
    cut = next(saving.change for saving in savings(plan, seconds, {"m": 2}) if saving.change.kind == "edge")
    assert (cut.subject, cut.other, cut.plan.tests[1].needs, cut.plan.tests[1].after) == ("m:b", "a", (), ())


def test_the_order_of_groups_and_methods_is_no_edge_of_a_test():
    tests = (Case("a", "", ("m", "n"), group="g"), Case("b", "", ("m",), group="h"))
    methods = (Method("m", "", "command"), Method("n", "", "command"))
    plan = plan_of(*tests, methods=methods, groups=(Group("g", ""), Group("h", "", ("g",))))
    seconds = {"m:a": 4.0, "m:b": 3.0, "n:a": 4.0}
    kinds = {saving.change.kind for saving in savings(plan, seconds, {"m": 2, "n": 2})}
    assert kinds == {"split"}


def test_all_that_wait_for_a_test_wait_for_both_of_its_halves():
    plan = plan_of(
        Case("a", "", ("m",)),
        Case("b", "", ("m",), needs=("a",)),
        Case("c", "", ("m",), after=("a",)),
        Case("d", "", ("m",)),
    )
    seconds = {"m:a": 8.0, "m:b": 1.0, "m:c": 1.0, "m:d": 1.0}
    split = next(saving for saving in savings(plan, seconds, {"m": 3}) if saving.change.subject == "m:a")
    tests = {test.id: test for test in split.change.plan.tests}
    assert (tests["b"].needs, tests["b"].after) == (("a", f"a{HALF}"), ())
    assert (tests["c"].needs, tests["c"].after) == ((), ("a", f"a{HALF}"))
    assert tests["d"] == plan.tests[3]
    assert split.seconds == 4.0
    assert applied(split.change, list(seconds), seconds) == 5.0


def test_a_change_that_saves_next_to_nothing_is_not_listed():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",), needs=("a",)))
    assert told(plan, {"m:a": 0.4, "m:b": 0.4}, {"m": 2}) == {}
    assert told(plan, {}, {"m": 2}) == {}


def test_no_more_changes_are_listed_than_are_asked_for():
    plan = plan_of(Case("a", "", ("m",)), Case("b", "", ("m",), needs=("a",)))
    assert [round(saving.seconds) for saving in savings(plan, {"m:a": 9.0, "m:b": 7.0}, {"m": 2}, 2)] == [7, 4]
