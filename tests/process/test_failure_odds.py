"""Outcomes of retries, learned from real runs."""

from __future__ import annotations

import json

from tests.support.project import HEAD, py


def test_real_runs_teach_and_change_nothing(project):
    """A test that passes at its second try, one that never does; after some runs the first is transient, the second is not."""
    flaky = "import pathlib, os; mark = pathlib.Path('tried'); seen = mark.exists(); mark.unlink() if seen else mark.touch(); raise SystemExit(not seen)"
    spec = f"""{HEAD}
tests:
  moody: {{retries: {{max: 1, on: [failed]}}, {py(flaky)[1:-1]}}}
  broken: {{retries: {{max: 1, on: [failed]}}, {py("raise SystemExit(1)")[1:-1]}}}
"""
    project.write(spec).compile()
    for _ in range(3):
        done = project.run("run")
        assert done.code == 1, done.err
        assert project.verdicts() == {"cli:moody": "flaky", "cli:broken": "failed"}
    told = project.run("history", "--failures", "moody", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out) == {
        "cause": "failed",
        "chance": 0.8,
        "kind": "command",
        "lost": 0.0,
        "odds": 4.0,
        "permanent": 0,
        "retried": 3,
        "transient": 3,
        "unknown": 0,
    }
    every = project.run("history", "--failures")
    row = every.out.splitlines()[1].split()
    # The last failure of a run that did not pass is not told: without git nobody knows that the inputs were the same.
    assert row[:7] == ["command", "failed", "3", "3", "3", "0.50", "1.00"], every.out
    assert "declared for 2 tests: retries: {max: 1, on: [failed]}" in every.out
    assert "suggested: retries: {max: 0}" in every.out
    assert "command" in project.run("history", "--failures", "--rebuild").out
    assert project.run("history", "--failures", "--flaky").code == 2
