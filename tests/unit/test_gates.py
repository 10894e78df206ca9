"""Gates: what they do while tests run, the standard ones, and what their messages say."""

from __future__ import annotations

import pytest

from orchestra.gates.expression import filled, holes
from orchestra.gates.standard import gates_of, is_standard
from orchestra.ledger.event import Note
from orchestra.plan import Gate, Plan
from orchestra.runtime.gates.gate import MOST_SAMPLE_SECONDS, SAMPLE_SECONDS, SAMPLE_SHARE, Gates

HOT, COOL = {"cpu_percent": 95.0}, {"cpu_percent": 10.0}


class Clock:
    """Seconds that a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def during(**changes):
    """A during-gate under a clock of its own, and the events that it causes."""
    clock, events = Clock(), []
    gate = Gate("during", "machine", "cpu_percent < 90.0", **changes)
    return (
        Gates([gate], lambda body: events.append((getattr(body, "result", "note"), body.message)), clock),
        clock,
        events,
    )


def sampled(gates, clock, values, seconds=1.0):
    clock.now += seconds
    assert gates.due()
    gates.sample(values)


def test_a_condition_must_be_false_for_as_long_as_it_says():
    gates, clock, events = during(for_seconds=3.0, on_fail="stop", message="at {cpu_percent} %")
    for values in (HOT, HOT, HOT, COOL, HOT, HOT, HOT):  # a dip starts the time anew
        sampled(gates, clock, values)
    assert (gates.blocked(), events) == ("", [])
    sampled(gates, clock, HOT)
    assert gates.blocked() == "at 95 %"
    assert events == [("failed", "at 95 %")]
    assert gates.failed()


def test_a_machine_that_is_busy_throttles_until_it_is_not():
    gates, clock, events = during(on_fail="throttle")
    sampled(gates, clock, HOT)
    assert gates.throttled()
    sampled(gates, clock, HOT)
    sampled(gates, clock, COOL)
    assert not gates.throttled()
    sampled(gates, clock, HOT)
    assert gates.throttled()
    assert [result for result, _ in events] == ["warned", "note", "note"], "a fault of the machine, not of the product"
    assert [message for _, message in events[1:]] == [
        "during:machine holds again, tests run in parallel again: cpu_percent < 90.0 (cpu_percent = 10)",
        "during:machine fails again, one test runs at a time: cpu_percent < 90.0 (cpu_percent = 95)",
    ]
    assert gates.results() == {"during:machine": "warned"}
    assert not gates.failed()
    assert gates.blocked() == ""


@pytest.mark.parametrize(
    "changes, result, fails",
    [
        ({"on_fail": "warn"}, "warned", False),
        ({"severity": "warn"}, "warned", False),
        ({"on_fail": "block"}, "failed", True),
        ({"on_fail": "stop", "severity": "warn"}, "warned", False),
    ],
)
def test_what_a_failure_does(changes, result, fails):
    gates, clock, events = during(**changes)
    sampled(gates, clock, HOT)
    assert [found for found, _ in events] == [result]
    assert gates.failed() is fails
    assert bool(gates.blocked()) is (changes.get("on_fail") == "stop")


TOO_MUCH = "[{0}].all(a, [{0}].all(b, [{0}].all(c, a + b + c + failed >= 0)))".format("1, " * 99 + "1")


@pytest.mark.parametrize(
    "condition, error",
    [(TOO_MUCH, "it takes more than 10000 iterations"), ("1 / failed > 0", "INVALID_ARGUMENT: divide by zero")],
)
@pytest.mark.parametrize("phase", ["before", "during", "after"])
def test_a_condition_that_has_no_value_is_an_error_of_its_gate_with_its_line(phase, condition, error):
    clock, events = Clock(), []
    gate = Gate(phase, "many", condition, on_fail="stop" if phase == "during" else "block")
    gates = Gates([gate], events.append, clock, lambda at: f"s.yaml of {at}")
    if phase == "before":
        gates.before({"failed": 0})
        assert gates.blocked()
    elif phase == "during":
        sampled(gates, clock, {"failed": 0})
        sampled(gates, clock, {"failed": 0})
    gates.after({"failed": 0})
    assert gates.failed()
    where = f"{phase}:many (s.yaml of /gates/{phase}/many/require)"
    note, judged, *rest = events
    assert note == Note(kind="gate", message=f"{where} cannot be evaluated, and fails: {error}")
    assert judged.message.endswith(f"({error})")
    assert not any(isinstance(body, Note) for body in rest)


def test_a_gate_that_never_had_a_value_is_not_applicable():
    gates, clock, events = during()
    sampled(gates, clock, {})
    gates.after({})
    assert events == [("not_applicable", "no value for cpu_percent in this selection")]
    assert not gates.failed()


def test_the_last_second_of_a_run_is_sampled_too():
    gates, clock, events = during(on_fail="stop", message="at {cpu_percent} %")
    sampled(gates, clock, COOL)
    gates.after(HOT)
    assert events == [("failed", "at 95 %")]
    gates, clock, events = during(for_seconds=3.0)
    sampled(gates, clock, COOL)
    gates.after(HOT)
    assert events == [("passed", "its condition was false at the end, for less than 3 s")]
    assert gates.results() == {"during:machine": "passed"}


def test_a_gate_that_was_held_all_the_time_is_recorded_once_with_its_values_at_the_end():
    gates, clock, events = during(for_seconds=3.0, message="at {cpu_percent} %")
    gates.add = events.append
    sampled(gates, clock, HOT)
    sampled(gates, clock, COOL)
    gates.after(COOL)
    [judged] = events
    assert (judged.result, judged.values, judged.message) == ("passed", COOL, "")


def test_one_that_was_never_judged_has_failed():
    gates, _, _ = during()
    assert gates.results() == {"during:machine": "failed"}


def test_samples_take_a_small_part_of_the_time():
    gates, clock, _ = during()
    work = gates.work = Clock()
    assert gates.due()
    work.now += 5  # the library of the conditions is loaded once
    gates.sample(COOL)
    clock.now += SAMPLE_SECONDS
    assert gates.due()
    work.now += 0.02  # what the figures of a great run take
    gates.sample(COOL)
    clock.now += 0.02 * SAMPLE_SHARE - 0.1
    assert not gates.due()
    clock.now += 0.2
    assert gates.due()
    gates.sample(COOL)
    clock.now += SAMPLE_SECONDS
    assert gates.due()
    work.now += 5  # what no figures take
    gates.sample(COOL)
    clock.now += MOST_SAMPLE_SECONDS
    assert gates.due()


def test_a_sample_that_waits_for_the_machine_does_not_put_off_the_next_one():
    gates, clock, _ = during()
    gates.sample(COOL)
    clock.now += SAMPLE_SECONDS
    assert gates.due()
    clock.now += 0.5
    gates.sample(COOL)
    clock.now += SAMPLE_SECONDS
    assert gates.due()


def test_a_message_holds_values():
    assert list(holes("{failed} of {method.cli.failed}; {Not} {} {a b} ${vars.name}")) == [
        (1, "failed"),
        (13, "method.cli.failed"),
    ]
    assert filled("{failed} of {total}, {pass_rate}, {agreement}", {"failed": 2, "total": 3, "pass_rate": 1 / 3}) == (
        "2 of 3, 0.3333, no value"
    )


def test_a_suite_overrides_a_standard_gate_by_its_name():
    own = Gate("after", "plan_fresh", "plan_fresh == true", severity="warn")
    plan = Plan("s", "", (), (), gates=(own, Gate("before", "servers_up", "total > 0")))
    found = gates_of(plan)
    assert found[:2] == plan.gates
    assert [gate.name for gate in found[2:]] == ["all_judged", "none_silent", "servers_up", "evidence_complete"]
    assert is_standard("after", "plan_fresh", "plan_fresh == true")
    assert not is_standard("after", "plan_fresh", "total > 0")
    assert not is_standard("before", "servers_up", "servers_down == 0")
