"""Gates of real runs."""

from __future__ import annotations

import re
import subprocess

from orchestra.gates.standard import STANDARD
from tests.support.project import HEAD, py


def test_the_standard_gates_are_judged_and_stay_quiet(project):
    project.write(f"{HEAD}tests: {{a: {py('pass')}}}\n").compile()
    done = project.run("run")
    assert done.code == 0, done.err
    judged = {event["body"]["name"]: event["body"]["result"] for event in project.events("gate")}
    assert judged == {gate.name: "passed" for gate in STANDARD}
    assert "gate  " not in done.err
    assert f"Standard gates that passed: {', '.join(judged)}.".replace("_", "\\_") in (
        project.folder / "summary.md"
    ).read_text().replace("_", "\\_").replace("\\\\", "\\")


def test_a_spec_that_changes_while_its_plan_runs_is_said(project):
    code = "import pathlib; file = pathlib.Path('specs/s.yaml'); file.write_text(file.read_text() + '# more')"
    project.write(f"{HEAD}tests: {{a: {py(code)}}}\n").compile()
    done = project.run("run")
    assert done.code == 1
    assert project.verdicts() == {"cli:a": "passed"}
    [judged] = [body for body in project.events("gate") if body["body"]["result"] == "failed"]
    assert (judged["body"]["name"], judged["body"]["values"]) == ("plan_fresh", {"plan_fresh": False})
    assert "the spec was changed while its plan was run" in done.err


def test_a_required_server_that_failed_for_good_is_said(project):
    spec = f"""{HEAD}
health: {{back: {{service: {{run: [python, -c, raise SystemExit(1)]}}, ready: {{file: {{path: never}}}}, retries: {{max: 0}}}}}}
tests: {{a: {{requires: [back], command: {{argv: [python, -c, pass]}}}}}}
"""
    done = project.write(spec).compile().run("run")
    assert done.code == 3, done.err
    [judged] = [body for body in project.events("gate") if body["body"]["result"] == "failed"]
    assert (judged["body"]["name"], judged["body"]["values"]) == ("servers_up", {"servers_down": 1})
    assert "a required server or tool is not fit" in done.err


def test_a_throttle_lets_one_test_run_at_a_time(project):
    """The condition is false from the first sample on, which is taken before the first test starts."""
    gate = 'gates: {during: {calm: {require: total > 100, on_fail: throttle, message: "{total} at once"}}}'
    tests = "\n".join(f"  t{number}: {py('import time; time.sleep(0.1)')}" for number in range(4))
    project.write(f"{HEAD.replace('workers: 2', 'workers: 4')}{gate}\ntests:\n{tests}\n").compile()
    done = project.run("run")
    assert done.code == 0, done.err
    running = [event["type"] for event in project.events() if event["type"] in {"attempt_started", "attempt_finished"}]
    assert running == ["attempt_started", "attempt_finished"] * 4
    assert [(body["result"], body["message"]) for body in project.gates()] == [("warned", "4 at once")]
    told = project.run("events", "--type", "gate").out
    assert "after:plan_fresh  passed  plan_fresh == true  (plan_fresh = true)" in told.replace("True", "true")


def test_each_number_can_be_made_again_as_the_page_says(project, root):
    """The lines of docs/gates.md, run in a real shell, give the values that the gates of the same run saw."""
    page = (root / "docs" / "gates.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^    (grep .*?)\s+# (\w+)$", page, re.MULTILINE))
    told = {name: command for command, name in lines.items()}
    assert told.keys() == {"total", "failed", "excused", "regressions", "retries"}
    fails = py("raise SystemExit(1)")[1:-1]
    spec = f"""{HEAD}
baseline: {{min_runs: 2, max_load_percent: 100}}
gates: {{after: {{g: {{severity: warn, require: "total + failed + excused + retries + regressions < 0"}}}}}}
tests:
  a: {{retries: {{max: 1, on: [failed]}}, {fails}}}
  b: {{known_failures: [{{match: exit code}}], {fails}}}
  c: {py("pass")}
"""
    project.write(spec.replace("raise SystemExit(1)", "pass")).compile()
    assert [project.run("run").code for _ in range(2)] == [0, 0]
    assert project.write(spec).compile().run("run").code == 1
    [judged] = project.gates()
    found = {
        name: int(
            subprocess.run(
                ["sh", "-c", command], cwd=project.folder, capture_output=True, text=True, check=False
            ).stdout
        )
        for name, command in told.items()
    }
    assert found == judged["values"]
    assert {name: found[name] for name in ("total", "failed", "excused", "retries")} == {
        "total": 3,
        "failed": 1,
        "excused": 1,
        "retries": 1,
    }
