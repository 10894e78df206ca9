"""Failures that do not fail a run, in real runs: quarantine and known failures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta

import pytest

from orchestra.plan import KnownFailure
from orchestra.plan import Test as Case
from orchestra.runtime.attempts.excuse import excuse
from tests.support.project import HEAD, py

DAY = date(2026, 5, 1)
KNOWN = Case("a", "", ("cli",), known_failures=(KnownFailure("50[23]", "ticket 2"), KnownFailure("no .utton")))


@pytest.mark.parametrize(
    "message, says",
    [
        ("502 from /quote", "known failure: ticket 2"),
        ("there is no button", "known failure: no .utton"),
        ("500 from /quote", ""),
    ],
)
def test_a_known_failure_is_known_by_its_message(message, says):
    assert excuse(KNOWN, "failed", message, DAY) == says


def spec(until):
    fails = py("raise SystemExit('502 from /quote')")[1:-1]
    return f"""{HEAD}
gates: {{after: {{rate: {{require: pass_rate >= 1.0}}, none: {{require: failed == 0 && excused == 3}}}}}}
tests:
  a: {{title: A, quarantine: {{owner: ana, until: {until}}}, {fails}}}
  b: {{title: B, needs: [a], command: {{argv: [python, -c, pass]}}}}
  c: {{title: C, known_failures: [{{match: "exit code 1"}}], {fails}}}
  d: {{title: D, command: {{argv: [python, -c, pass]}}}}
"""


def test_excused_failures_are_shown_and_do_not_fail_the_run(project):
    today = datetime.now(UTC).date()
    done = project.write(spec(today + timedelta(days=30))).compile().run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == {"cli:a": "failed", "cli:b": "blocked", "cli:c": "failed", "cli:d": "passed"}
    excused = {event["body"]["task"]: event["body"].get("excused", "") for event in project.events("verdict")}
    assert excused["cli:a"].startswith("quarantine until ")
    assert excused["cli:b"] == "needs cli:a, excused"
    assert excused["cli:c"] == "known failure: exit code 1"
    assert excused["cli:d"] == ""
    assert [gate["result"] for gate in project.gates()] == ["passed", "passed"]
    assert "excused     known failure: exit code 1" in done.err
    assert "- excused: quarantine until" in (project.folder / "summary.md").read_text()
    tree = ET.parse(project.folder / "junit.xml").getroot()
    assert (tree.get("failures"), tree.get("errors")) == ("0", "0")
    assert len(tree.findall(".//skipped")) == 3
    found = json.loads((project.folder / "ctrf.json").read_text())["results"]["summary"]
    assert (found["other"], found["failed"], found["passed"]) == (3, 0, 1)
    assert project.doit().code == 0


def test_after_its_last_day_a_quarantine_excuses_nothing(project):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    done = project.write(spec(yesterday)).compile().run("run")
    assert done.code == 1
    assert f"the quarantine of a ended on {yesterday}" in done.err
    assert project.verdicts()["cli:a"] == "failed"
    assert [event["body"]["task"] for event in project.events("verdict") if event["body"].get("excused")] == ["cli:c"]
