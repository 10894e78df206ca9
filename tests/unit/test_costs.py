"""What a test costs while it runs: from attempts of earlier runs, and for tests that none has measured."""

from __future__ import annotations

import pytest

from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Command, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.costs import Cost, costs_of, estimated
from orchestra.steps.step import Step

METHODS = (Method("cli", "", "playwright"), Method("mcp", "", "mcp"))
PAGE = (Step("goto", {"url": "https://a.example"}),)


def page(name: str, group: str = "", **more) -> Case:
    return Case(name, "", ("cli", "mcp"), group=group, steps=PAGE, **more)


def ran(*attempts: Attempt, task: str = "cli:a", **more) -> RunRecord:
    return RunRecord("20260102T030405Z-1a2b", executions={task: Execution("passed", attempts=attempts, **more)})


def took(cpu: float, held: float, megabytes: float = 0.0, outcome: str = "passed") -> Attempt:
    return Attempt(outcome, held, held_seconds=held, cpu_seconds=cpu, megabytes=megabytes)


PLAN = Plan("s", "", (page("a"),), METHODS)


def test_the_cost_is_that_of_attempts_that_were_hindered_less():
    runs = [ran(took(1.0, held, memory)) for held, memory in ((4.0, 300.0), (2.0, 100.0), (1.0, 200.0), (2.0, 900.0))]
    assert costs_of(PLAN, runs) == {"cli:a": Cost(0.5, 250.0)}
    assert costs_of(PLAN, runs[:3]) == {"cli:a": Cost(1.0, 200.0)}


@pytest.mark.parametrize(
    "record",
    [
        ran(took(1.0, 1.0, outcome="failed")),
        ran(Attempt("passed", 1.0)),
        ran(took(1.0, 1.0), browser="firefox"),
        RunRecord("20260102T030405Z-1a2b"),
    ],
)
def test_failures_other_browsers_and_what_was_not_measured_tell_no_cost(record):
    assert costs_of(PLAN, [record]) == {}


def test_disturbed_attempts_have_memory_but_do_not_show_how_many_processors_they_want():
    busy = ran(took(1.0, 9.0, 300.0), disturbed="other programs")
    assert costs_of(PLAN, [busy]) == {"cli:a": Cost(None, 300.0)}
    assert costs_of(PLAN, [busy, ran(took(1.0, 2.0, 100.0))]) == {"cli:a": Cost(0.5, 200.0)}
    others = Plan("s", "", (page("a"), page("b"), page("c")), METHODS)
    assert estimated(others, {"cli:a": Cost(None, 100.0)})["cli:b"] == Cost(None, 100.0)
    assert estimated(others, {"cli:a": Cost(None, 100.0), "cli:c": Cost(2.0, 300.0)})["cli:b"] == Cost(2.0, 200.0)


def test_a_test_without_a_cost_has_that_of_its_like():
    tests = (
        page("a", "g"),
        page("b", "g"),
        page("c", "other"),
        Case("run", "", ("cli",), group="g", command=Command(("true",))),
        Case("ask", "", ("cli",), group="g", steps=(Step("http", {"GET": "/"}),)),
        page("off", "g", skip="not now"),
    )
    known = {"cli:a": Cost(1.0, 100.0), "cli:c": Cost(3.0, 500.0), "cli:gone": Cost(9.0, 9.0)}
    plan = Plan("s", "", (*tests, page("new")), METHODS)
    assert estimated(plan, known) == {
        "cli:a": Cost(1.0, 100.0),
        "cli:b": Cost(1.0, 100.0),
        "cli:c": Cost(3.0, 500.0),
        "cli:new": Cost(2.0, 300.0),
    }
    assert estimated(plan, {}) == {}
