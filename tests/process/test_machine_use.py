"""What a run uses of its machine is in its ledger, its state, its timeline and its report."""

from __future__ import annotations

import json

import pytest

from tests.support.project import HEAD

BURNS = "import time\nend = time.process_time() + 2.5\nwhile time.process_time() < end: sum(range(10000))"
STEPS = """orchestra: 1
suite: s
methods: {cli: {driver: playwright}, mcp: {driver: mcp}}
tests:
  page: {steps: [{goto: "data:text/html,<button>b</button>"}, {evaluate: {script: "new Promise(done => setTimeout(() => done(1), 2500))"}}]}
"""


def test_each_run_records_what_the_machine_and_its_programs_used(project):
    project.write(f"{HEAD}tests:\n  a: {{command: {{argv: [python, -c, {json.dumps(BURNS)}]}}}}\n").compile()
    done = project.run("run")
    assert done.code == 0, done.err
    samples = [event["body"] for event in project.events("resource")]
    ended = project.events("run_finished")[0]["body"]["seconds"]
    assert 0.8 * ended < sum(sample["seconds"] for sample in samples) <= ended + 0.1
    used = [one for body in samples for one in body.get("by_worker", ())]
    assert {one["worker"] for one in used} == {"cli commands"}
    assert 1.0 < sum(one["cpu_seconds"] for one in used) < 3.5
    assert all(
        0 <= body.get("other_cpu_percent", 0.0) <= body["cpu_percent"] <= body["cpu_percent_peak"] for body in samples
    )
    use = json.loads((project.folder / "state.json").read_text())["resource_use"]
    assert use["time"] == project.events("resource")[-1]["time"]
    [worker] = use["by_worker"]
    assert worker["cpu_seconds"] == pytest.approx(sum(one["cpu_seconds"] for one in used))
    summary = (project.folder / "summary.md").read_text()
    assert "## Machine" in summary
    assert "| cli commands |" in summary
    assert "machine     cpu " in project.run("events", "--type", "resource").out
    assert "machine     cpu " in project.run("status").out
    assert project.run("audit").code == 0


@pytest.mark.browser
def test_a_worker_is_counted_with_its_browser_and_server(project, chromium):
    project.write(STEPS).compile()
    done = project.run("run")
    assert done.code == 0, done.err
    by_worker = json.loads((project.folder / "state.json").read_text())["resource_use"]["by_worker"]
    assert {one["worker"] for one in by_worker} == {"worker-1", "worker-2"}
    assert all(one["cpu_seconds"] > 0 and one["memory_megabytes"] > 100 for one in by_worker), by_worker
