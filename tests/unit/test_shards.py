"""Shards: the split of a selection (union, disjoint, deterministic, balanced), expected durations, the edge to cut."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import UsageError
from orchestra.plan import Group, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.expected import Durations, durations_of, expected
from orchestra.runtime.select import select, task_name, with_needs
from orchestra.runtime.shards.partition import Unit, cut, edges, group_once, split
from orchestra.steps.step import Step

PLACE = "linux-x86_64-2cpu-8gb"


def case(name: str, *needs: str, methods: tuple[str, ...] = ("m0",), steps: int = 0, **fields: object) -> Case:
    done = tuple(Step("goto", args={"url": "/"}) for _ in range(steps))
    return Case(name, "", methods, needs=needs, steps=done, **fields)


def plan_of(*tests: Case, methods: tuple[Method, ...] = (Method("m0", "", "command"),), **fields: object) -> Plan:
    return Plan("s", "", tests, methods, **fields)


@st.composite
def suites(draw):
    """A plan, a selection, the seconds of each task, and a number of shards."""
    methods = tuple(
        Method(f"m{i}", "", "command", single_session=draw(st.booleans())) for i in range(draw(st.integers(1, 2)))
    )
    ids = tuple(method.id for method in methods)
    tests = []
    for index in range(draw(st.integers(1, 14))):
        needs = sorted(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index and draw(st.booleans()) else []
        by = draw(st.sampled_from([ids, ids[:1]]))
        tests.append(case(f"t{index}", *(f"t{need}" for need in needs), methods=by))
    plan = plan_of(*tests, methods=methods)
    every = select(plan, ())
    chosen = [task for task in every if draw(st.booleans())] or every[:1]
    seconds = {task: draw(st.sampled_from([0.0, 0.5, 1.0, 2.25, 9.0])) for task in every}
    units = split(plan, chosen, 1, seconds).units
    return plan, chosen, seconds, draw(st.integers(1, min(5, len(units))))


@given(suites())
def test_shards_are_a_partition_that_no_need_and_no_session_crosses(suite):
    plan, chosen, seconds, number = suite
    shared = split(plan, chosen, number, seconds)
    taken = [task for shard in shared.shards for task in shard.tasks]
    assert len(shared.shards) == number
    assert all(shard.tasks for shard in shared.shards)
    assert sorted(taken) == sorted(set(taken)), "a task is in two shards"
    assert set(taken) == set(shared.tasks) == set(with_needs(plan, chosen))
    of = {task: index for index, shard in enumerate(shared.shards) for task in shard.tasks}
    assert all(of[edge.task] == of[edge.need] for edge in edges(plan, taken))
    for method in plan.methods:
        mine = {of[task] for task in taken if task.startswith(f"{method.id}:")}
        assert len(mine) <= 1 or not method.single_session
    for shard in shared.shards:
        assert list(shard.tasks) == [task for task in shared.tasks if task in shard.tasks], (
            "not in the order of the plan"
        )
        assert math.isclose(shard.seconds, math.fsum(seconds[task] for task in shard.tasks))


@given(suites(), st.randoms(use_true_random=False))
def test_the_split_depends_on_no_order_of_its_arguments(suite, chance: random.Random):
    plan, chosen, seconds, number = suite
    mixed, items = list(chosen), list(seconds.items())
    chance.shuffle(mixed)
    chance.shuffle(items)
    assert split(plan, mixed, number, dict(items)) == split(plan, chosen, number, seconds)


def best(lengths: list[float], number: int, most: float) -> float:
    """The slowest shard of the best split of units, of those whose slowest one takes `most` seconds."""
    loads = {(0.0,) * number}
    for length in lengths:
        longer = ((load, place, load[place] + length) for load in loads for place in range(number))
        loads = {tuple(sorted((*load[:at], new, *load[at + 1 :]))) for load, at, new in longer if new <= most}
    return min(max(load) for load in loads)


@given(suites())
def test_no_shard_is_slower_than_the_bound_of_longest_first(suite):
    plan, chosen, seconds, number = suite
    shared = split(plan, chosen, number, seconds)
    optimum = best([unit.seconds for unit in shared.units], number, shared.slowest)
    assert shared.least <= optimum
    assert shared.slowest <= optimum * (4 / 3 - 1 / (3 * number)) + 1e-9


def test_ties_go_by_the_number_in_an_id():
    plan = plan_of(*(case(f"T{number}") for number in (10, 9, 2, 1)))
    shared = split(plan, select(plan, ()), 2, dict.fromkeys(select(plan, ()), 1.0))
    assert [shard.tasks for shard in shared.shards] == [("m0:T9", "m0:T1"), ("m0:T10", "m0:T2")]


def test_tests_that_take_no_time_are_spread():
    plan = plan_of(*(case(f"T{number}", skip="later") for number in range(6)))
    shared = split(plan, select(plan, ()), 3, expected(plan, Durations("", {})))
    assert [len(shard.tasks) for shard in shared.shards] == [2, 2, 2]


@pytest.mark.parametrize(
    "tests, edge",
    [
        ([case("a"), case("b", "a"), case("c", "b"), case("d", "c")], ("m0:c", "m0:b")),
        ([case("a"), case("b", "a"), case("c", "a", "b")], None),
        (
            [case("a"), case("b", "a"), case("c", "a", "b"), case("d", "c"), case("e", "d"), case("f", "d", "e")],
            ("m0:d", "m0:c"),
        ),
        ([case("a")], None),
    ],
    ids=["chain", "triangle", "bridge between triangles", "single"],
)
def test_the_edge_to_cut_parts_a_unit_most_evenly(tests, edge):
    plan = plan_of(*tests)
    [unit] = split(plan, select(plan, ()), 1, dict.fromkeys(select(plan, ()), 1.0)).units
    assert cut(plan, unit, dict.fromkeys(unit.tasks, 1.0)) == edge


@given(suites())
def test_an_edge_to_cut_leaves_two_parts(suite):
    plan, chosen, seconds, _ = suite
    for unit in split(plan, chosen, 1, seconds).units:
        found = cut(plan, unit, seconds)
        parts = _parts(unit, [edge for edge in edges(plan, unit.tasks) if edge != found])
        assert parts == (1 if found is None else 2) or unit.session
        if found is None and not unit.session:
            assert all(
                _parts(unit, [one for one in edges(plan, unit.tasks) if one != edge]) == 1
                for edge in edges(plan, unit.tasks)
            )


def _parts(unit: Unit, joined) -> int:
    groups = [{task} for task in unit.tasks]
    for edge in joined:
        [first] = [group for group in groups if edge.task in group]
        [other] = [group for group in groups if edge.need in group]
        if first is not other:
            groups = [group for group in groups if group is not other]
            first |= other
    return len(groups)


def test_a_cut_of_a_session_is_none():
    plan = plan_of(case("a"), case("b", "a"), methods=(Method("m0", "", "command", single_session=True),))
    [unit] = split(plan, select(plan, ()), 1, dict.fromkeys(select(plan, ()), 1.0)).units
    assert (unit.session, cut(plan, unit, {})) == ("m0", None)


def test_an_unknown_duration_is_that_of_its_group_then_of_its_steps():
    plan = plan_of(
        case("known", group="g", steps=2),
        case("other", group="g", steps=9),
        case("alone", steps=3),
        case("unsaid", steps=1, skip="not yet"),
        case("mcp", methods=("m1",), steps=4),
        methods=(Method("m0", "", "command"), Method("m1", "", "command")),
    )
    durations = durations_of(plan, {f"m0:known - {PLACE}": (3.0, 5.0, 100.0), "m0:gone - elsewhere": (7.0,)})
    assert durations == (PLACE, {"m0:known": 5.0})
    assert expected(plan, durations) == {
        "m0:known": 5.0,
        "m0:other": 5.0,
        "m0:alone": 7.5,
        "m0:unsaid": 0.0,
        "m1:mcp": 10.0,
    }
    assert expected(plan, Durations("", {}))["m0:alone"] == 3.0


def test_durations_are_those_of_one_place_and_profile():
    plan = plan_of(case("a"), case("b"), profile="ci")
    samples = {
        "m0:a - aa/ci": (1.0,),
        "m0:a - bb/ci": (2.0,),
        "m0:b - bb/ci": (3.0,),
        "m0:a - cc": (4.0,),
        "m0:b - cc": (4.0,),
        "m0:b firefox bb/ci": (9.0,),
    }
    durations = durations_of(plan, samples)
    assert durations == ("bb/ci", {"m0:a": 2.0, "m0:b": 3.0})
    assert durations_of(plan, dict(reversed(samples.items()))).digest == durations.digest
    assert durations_of(plan, {**samples, "m0:b - bb/ci": (3.5,)}).digest != durations.digest


def test_more_shards_than_units_are_refused_with_the_most_that_fit():
    plan = plan_of(case("a"), case("b", "a"), case("c"))
    with pytest.raises(UsageError, match="leaves 2 to share out") as refused:
        split(plan, select(plan, ()), 3, dict.fromkeys(select(plan, ()), 1.0))
    assert "at most 2" in refused.value.hint


def test_a_selection_brings_its_needs():
    plan = plan_of(case("a"), case("b", "a"), case("c"))
    shared = split(plan, [task_name("m0", "b")], 1, dict.fromkeys(select(plan, ()), 1.0))
    assert shared.tasks == ("m0:a", "m0:b")


def test_a_group_with_tests_that_run_once_is_one_unit():
    tests = [Case(name, "", ("m0",), group="g") for name in ("a", "b", "end")]
    plan = plan_of(*tests, Case("x", "", ("m0",)), groups=(Group("g", "", after_all=("end",)),))
    found = split(plan, ["m0:a", "m0:b", "m0:x"], 2, dict.fromkeys(["m0:a", "m0:b", "m0:end", "m0:x"], 1.0))
    assert [shard.tasks for shard in found.shards] == [("m0:a", "m0:b", "m0:end"), ("m0:x",)]
    assert [group_once(plan, unit) for unit in found.units] == ["g", ""]
    assert cut(plan, found.units[0], {}) is None
