"""Gates judged again from the ledger: each number of a real run, and each way to write another one into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestra.ledger.event import Body, GateJudged, RunFinished
from orchestra.plan import Component, Gate, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.gates.rejudge import rejudge
from tests.support import events as made
from tests.support.forging import forge
from tests.support.project import HEAD, SuiteProject, py

HEADS = HEAD.replace("{cli: {driver: command, workers: 2}}", "{one: {driver: command}, two: {driver: command}}")
NUMBERS = {
    "total": "total == 10",
    "counts": "executed + passed + failed + timeout + error + blocked + skipped + excused + flaky > 0",
    "rates": "pass_rate >= 1.0 || flaky_rate > 2.0 || agreement < 0.0 || coverage < 0.0",
    "paces": "seconds_p50 + seconds_p95 + seconds_max + method.one.seconds_p95 + group.g.seconds_p50 >= 0.0",
    "methods": "method.one.failed + method.two.failed + class.good + class.slow + retries >= 0",
    "machine": "cpu_percent >= 0.0 && seconds_total >= 0.0 && workers >= 1",
}
GATES = "\n".join(
    f"    {name}: {{require: {json.dumps(text)}, severity: warn, message: 'of {{total}}: {{pass_rate}}'}}"
    for name, text in NUMBERS.items()
)
FAILS = py("raise SystemExit(1)")[1:-1]
SPEC = f"""{HEADS}
groups: {{g: {{title: G}}}}
gates:
  during: {{budget: {{require: failed <= 0, on_fail: warn, message: "{{failed}} failed"}}}}
  after:
{GATES}
tests:
  good: {{group: g, {py("pass")[1:-1]}}}
  bad: {{retries: {{max: 1, on: [failed]}}, {FAILS}}}
  known: {{known_failures: [{{match: exit code}}], {FAILS}}}
  waits: {{needs: [bad], {py("pass")[1:-1]}}}
  off: {{skip: not today, {py("pass")[1:-1]}}}
"""

Change = Callable[[str, dict[str, Any]], None]


def forged(folder: Path, change: Change) -> None:
    """Change bodies of a ledger and close its chain again: what somebody can do who knows how it is made."""

    def changed(kind: str, body: dict[str, Any]) -> dict[str, Any]:
        change(kind, body)
        return body

    forge(folder, changed)


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    """A run with each kind of verdict that gates count, and gates that read most metrics."""
    folder = tmp_path_factory.mktemp("rejudge")
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    project = SuiteProject(folder).write(SPEC).compile()
    assert project.run("run").code == 1
    return project


def test_every_number_of_a_run_is_made_again(ran):
    done = ran.run("audit", "--gates")
    assert done.code == 0, done.out
    assert "every number and result is the same" in done.out
    judged = ran.gates()
    assert {body["name"] for body in judged} == {*NUMBERS, "budget"}
    read_by_gates = {name for body in judged for name in body["values"]}
    assert len(read_by_gates) > 20
    shown = [line for line in done.out.splitlines() if "measured then" in line]
    assert sorted(line.split()[-5] for line in shown) == [
        "cpu_percent",
        "evidence_missing",
        "plan_fresh",
        "seconds_total",
        "workers",
    ]
    for name in read_by_gates:
        assert f" {name} " in done.out


def in_gate(name: str, changes: Callable[[dict[str, Any]], None]) -> Change:
    return lambda kind, body: changes(body) if kind == "gate" and body["name"] == name else None


def of_task(task: str, **changes: Any) -> Change:
    return lambda kind, body: body.update(changes) if kind == "verdict" and body["task"] == task else None


LIES = {
    "a number of a gate": (in_gate("rates", lambda body: body["values"].update(pass_rate=1.0)), "DIFFERS"),
    "a count of a gate": (in_gate("total", lambda body: body["values"].update(total=9)), "DIFFERS"),
    "a result": (
        in_gate("rates", lambda body: body.update(result="passed", message="")),
        "after:rates is recorded as passed, and is warned",
    ),
    "a message": (
        in_gate("rates", lambda body: body.update(message="of 10: 1")),
        'has the message "of 10: 1", and by the ledger "of 10: 0.3',
    ),
    "a condition": (
        in_gate("rates", lambda body: body.update(expression="pass_rate >= 0.0")),
        "the plan's condition is pass_rate >= 1.0",
    ),
    "a name": (in_gate("rates", lambda body: body.update(name="other")), "the plan has no such gate"),
    "a duration": (of_task("one:good", seconds=86400.0), "DIFFERS"),
    "the end": (
        lambda kind, body: body["gates"].update({"after:rates": "passed"}) if kind == "run_finished" else None,
        "the end of the run has another result",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_the_chain_bears_is_found(ran, lie, tmp_path):
    change, says = LIES[lie]
    file = ran.folder / "events.jsonl"
    whole = file.read_bytes()
    try:
        forged(ran.folder, change)
        done = ran.run("audit", "--gates")
    finally:
        file.write_bytes(whole)
    assert done.code == 1
    assert "sealed whole" in done.out, "the chain proves that nobody changed a line by mistake, and no more"
    assert says in done.out
    assert "differ" in done.out.splitlines()[-1]


def test_a_run_that_went_on_is_judged_by_what_its_parts_left(project):
    flag = project.root / "mended"
    code = "import pathlib; raise SystemExit(not pathlib.Path('mended').exists())"
    gates = 'gates: {after: {g: {require: "pass_rate >= 1.0 && retries <= 1 && executed == 2", message: "{passed}"}}}'
    project.write(
        f"{HEAD}{gates}\ntests:\n  a: {py('pass')}\n  b: {{retries: {{max: 1, on: [failed]}}, {py(code)[1:-1]}}}\n"
    ).compile()
    assert project.run("run").code == 1
    flag.touch()
    done = project.run("run", "--resume")
    assert done.code == 0, done.err
    assert [body["result"] for body in project.gates()] == ["failed", "passed"]
    audited = project.run("audit", "--gates")
    assert audited.code == 0, audited.out


PLAN = Plan(
    "s",
    "S",
    (Case("a", "A", ("cli",)),),
    (Method("cli", "C", "command"),),
    components=(Component("back", "B"),),
    gates=(Gate("during", "calm", "incidents == 0 && recoveries <= 1", on_fail="warn", message="{incidents}"),),
)


STARTED = {"run": "r", "suite": "s", "plan_digest": PLAN.digest(), "source_digest": "", "profile": None, "argv": []}
START = made.body(
    "run_started", {**STARTED, "selection": ["cli:a"], "methods": ["cli"], "workers": 1, "provenance": {}}
)
CHANGED = {"component": "back", "reason": "died", "pid": None, "port": None, "attempt": 1, "seconds": 0.0}
SICK = made.body("service_event", {**CHANGED, "state": "unhealthy", "incident": "back-1"})
OPENED = made.body("incident", {"component": "back", "state": "opened", "reason": "died", "id": "back-1"})


def calm(incidents: int) -> Body:
    return GateJudged(
        phase="during",
        name="calm",
        result="warned",
        expression=PLAN.gates[0].require,
        values={"incidents": incidents, "recoveries": 0},
        message=str(incidents),
    )


@pytest.mark.parametrize(
    "told, same",
    [
        ([START, SICK, OPENED, calm(1)], True),
        (
            [START, SICK, calm(1), OPENED],
            True,
        ),  # the gate was told before the event was written: another thread writes it
        ([START, calm(1)], False),
        ([START, SICK, OPENED, calm(2)], False),
    ],
)
def test_a_gate_may_know_of_an_outage_whose_event_comes_behind(told, same):
    [found] = rejudge(made.events(*told), lambda _: PLAN)
    assert found.same is same


@pytest.mark.parametrize(
    "seconds, told, same",
    [
        (5.0, "its condition was false at the end, for less than 5 s", True),
        (5.0, "", False),
        (0.0, "its condition was false at the end, for less than 5 s", False),
    ],
)
def test_a_condition_that_is_false_at_the_end_is_held_only_by_a_gate_that_has_time(seconds, told, same):
    plan = msgspec.structs.replace(PLAN, gates=(msgspec.structs.replace(PLAN.gates[0], for_seconds=seconds),))
    end = msgspec.structs.replace(calm(1), result="passed", message=told)
    [found] = rejudge(made.events(START, SICK, OPENED, end), lambda _: plan)
    assert found.same is same


def test_a_gate_that_nobody_judged_is_said():
    finished = RunFinished(exit_code=0, counts={}, seconds=1.0, gates={"during:calm": "warned"})
    found = list(rejudge(made.events(START, finished), lambda _: PLAN))
    assert {one.gate for one in found if one.fault == "it applies and was never evaluated"} == {
        "during:calm",
        "after:all_judged",
        "after:none_silent",
        "after:servers_up",
        "after:plan_fresh",
        "after:evidence_complete",
    }
