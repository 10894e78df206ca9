"""Speed classes of a real run."""

from __future__ import annotations

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
