"""Speed classes of a method: in the spec, the plan, the slash command, the docs, the verdict, a gate and the report."""

from __future__ import annotations

from orchestra.compiler.tables import speed_line, speed_table
from orchestra.ledger.outcome import mark_of, speed_classes
from orchestra.plan import Method, Plan, SpeedClass
from orchestra.runtime.gate import Execution, figures

SUITE = (SpeedClass("good", "😊", 30.0), SpeedClass("slow", "😴"))
OWN = (SpeedClass("good", "😊", 45.0), SpeedClass("lame", "😐", 90.0), SpeedClass("slow", "😴"))
PLAN = Plan("s", "S", (), (Method("cli", "C", "playwright"), Method("mcp", "M", "mcp", speed=OWN)), speed=SUITE)

# No test ends in no time, and none takes a year: the classes of the two methods cannot meet, on any machine.
SPEC = """orchestra: 1
suite: s
methods:
  one: {driver: command, command: test_one}
  two:
    driver: command
    command: test_two
    speed: {instant: {below_seconds: 0.000001, mark: "😊"}, tardy: {mark: "😐"}}
speed: {good: {below_seconds: 31536000, mark: "😊"}, slow: {mark: "😴"}}
gates:
  after: {none_tardy: {require: class.tardy == 0 && class.slow == 0, severity: warn, message: "{class.tardy} of {total} are tardy"}}
tests: {a: {command: {argv: [python, -c, pass]}}}
"""


def test_a_method_without_classes_has_those_of_the_suite():
    assert speed_classes(PLAN) == {"cli": SUITE, "mcp": OWN}
    assert mark_of("lame", speed_classes(PLAN)["mcp"]) == "😐"
    assert mark_of("lame", speed_classes(PLAN)["cli"]) == ""


def test_a_gate_can_read_each_class_of_each_method():
    done = {"cli:a": Execution("passed", 40.0, 1, "slow"), "mcp:a": Execution("passed", 40.0, 1, "good")}
    values = figures(PLAN, list(done), done, {})
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


def test_a_run_classes_each_method_by_its_own(project):
    project.write(SPEC).compile()
    commands = {
        name: (project.root / f".claude/commands/{name}.md").read_text(encoding="utf-8")
        for name in ("test_one", "test_two")
    }
    assert "😊 below 3.1536e+07 s, 😴 from 3.1536e+07 s, ❌ timed out" in commands["test_one"]
    assert "😊 below 1e-06 s, 😐 from 1e-06 s, ❌ timed out" in commands["test_two"]
    done = project.run("run")
    assert done.code == 0, done.err
    assert {event["body"]["task"]: event["body"]["speed_class"] for event in project.events("verdict")} == {
        "one:a": "good",
        "two:a": "tardy",
    }
    [judged] = project.gates()
    assert judged["result"] == "warned"
    assert judged["message"] == "1 of 2 are tardy"
    summary = (project.folder / "summary.md").read_text(encoding="utf-8")
    assert "😊" in summary
    assert "😐" in summary
    assert "By the method `two`:" in (project.root / "docs/s.md").read_text(encoding="utf-8")
