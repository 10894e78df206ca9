"""Speed classes of a method: in the spec, the plan, the slash command, the docs, the verdict, a gate and the report."""

from __future__ import annotations

from orchestra.compiler.emit.tables import speed_line, speed_table
from orchestra.ledger.outcome import mark_of, speed_classes
from orchestra.ledger.view import view_of
from orchestra.plan import Method, Plan, SpeedClass
from orchestra.runtime.gates.figures import figures
from tests.support import runs as samples

SUITE = (SpeedClass("good", "😊", 30.0), SpeedClass("slow", "😴"))
OWN = (SpeedClass("good", "😊", 45.0), SpeedClass("lame", "😐", 90.0), SpeedClass("slow", "😴"))
PLAN = Plan("s", "S", (), (Method("cli", "C", "playwright"), Method("mcp", "M", "mcp", speed=OWN)), speed=SUITE)


def test_a_method_without_classes_has_those_of_the_suite():
    assert speed_classes(PLAN) == {"cli": SUITE, "mcp": OWN}
    assert mark_of("lame", speed_classes(PLAN)["mcp"]) == "😐"
    assert mark_of("lame", speed_classes(PLAN)["cli"]) == ""


def test_a_gate_can_read_each_class_of_each_method():
    tasks = ("cli:a", "mcp:a")
    made = [samples.run_started(PLAN, tasks), *(one for task in tasks for one in samples.passed(task, 40.0))]
    values = figures(PLAN, view_of(samples.events(made)), {})
    assert {name: value for name, value in values.items() if name.startswith("class.")} == {
        "class.good": 1,
        "class.lame": 0,
        "class.slow": 1,
    }


def test_commands_and_docs_say_the_classes_of_the_method():
    assert speed_line(OWN) == "😊 below 45 s, 😐 from 45 s, 😴 from 90 s, ❌ timed out"
    assert speed_line((SpeedClass("all", "😊"),)) == "😊 from 0 s, ❌ timed out"
    table = speed_table(PLAN)
    assert table.startswith("| mark | class")
    assert "By the method `mcp`:" in table
    assert "By the method `cli`" not in table


def test_tests_that_passed_with_a_mock_are_counted():
    made = [samples.run_started(selection=["cli:B001", "cli:B002", "cli:B003", "mcp:B001"])]
    for task, mocks, word in (
        ("cli:B001", {"**/a": 2}, "passed"),
        ("cli:B002", {"**/a": 0}, "passed"),
        ("cli:B003", {"**/a": 1}, "failed"),
        ("mcp:B001", {}, "passed"),
    ):
        made += [*samples.attempt(task, facts={"mocks": mocks}), samples.verdict(task, word)]
    assert figures(PLAN, view_of(samples.events(made)), {})["mocked"] == 1
