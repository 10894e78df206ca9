"""The rows of a run add up to its time, whatever dies in it."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.early_end import EarlyEnd
from tests.process.test_incident import KILLER
from tests.support.nights import at_night
from tests.support.project import HEAD, py
from tests.support.requests import request

pytestmark = pytest.mark.browser

DIES = """orchestra: 1
suite: s
health:
  killer: {service: {run: [python, killer.py, "${port}"], port_range: 4400-4499}, ready: {http: {path: /}}}
methods:
  cli: {driver: playwright, workers: 1}
  mcp: {driver: mcp, workers: 1, session: {single: true}}
defaults: {requires: [killer], retries: {max: 0}}
tests:
  before: {steps: [{goto: "${killer.url}/"}]}
  kills: {after: [before], methods: [METHOD], steps: [{http: {GET: "${killer.url}/browser"}}]}
  later: {after: [kills, before], steps: [{goto: "${killer.url}/"}]}
"""


def adds_up(project) -> None:
    [finished] = project.events("run_finished")
    state = json.loads((project.folder / "state.json").read_text())
    assert sum(state["spent"].values()) == pytest.approx(finished["body"]["seconds"], rel=0.02)
    summary = (project.folder / "summary.md").read_text()
    assert "## Time" in summary


def test_the_rows_of_a_run_with_servers_and_failures_add_up_to_its_time(project):
    service = '{run: [python, -m, http.server, "${port}", --bind, 127.0.0.1], port_range: 4500-4599}'
    project.write(
        f"{HEAD}health:\n  web: {{service: {service}, ready: {{http: {{path: /}}}}}}\n"
        f"tests:\n  a: {{requires: [web], {py('import time; time.sleep(1)')[1:-1]}}}\n"
        f"  b: {{after: [a], retries: {{max: 1, on: [failed]}}, {py('raise SystemExit(1)')[1:-1]}}}\n"
    ).compile()
    assert project.run("run").code == 1
    adds_up(project)
    spent = json.loads((project.folder / "state.json").read_text())["spent"]
    assert spent["servers"] > 0
    assert spent["tests"] >= 1


@pytest.mark.parametrize("method", [at_night("cli"), "mcp"])  # the same row: the engine writes it
def test_the_time_of_a_browser_that_died_between_two_tests_is_in_a_row(project, chromium, method):
    (project.root / "killer.py").write_text(KILLER)
    project.write(DIES.replace("METHOD", method)).compile()
    done = project.run("run", "--method", method)
    assert set(project.verdicts().values()) == {"passed"}, done.err
    [died] = [event["body"] for event in project.events("incident") if event["body"]["state"] == "closed"]
    assert (died["component"], died["outcome"]) == (f"{method}.browser", "recovered")
    assert died["seconds"] > 0
    adds_up(project)


@pytest.mark.parametrize("name", ["playwright", "mcp"])
def test_pauses_before_steps_are_no_part_of_a_duration(name, both_drivers, step_url, chromium, tmp_path):
    steps, names = [{"goto": "${s.url}/steps.html"}, {"set": {"a": 1}}, "reload"], {"s.url": step_url}
    asked = request(tmp_path, steps, browser=chromium, driver=name, names=names, evidence="off")
    early, warm = EarlyEnd(), both_drivers[name]
    begun = time.monotonic()
    slow = msgspec.structs.replace(asked, slow_seconds=0.2)
    result = warm.thread.submit(carry_out, slow, warm.driver, warm.http, early=early).result()
    assert (result.outcome, early.held >= 0.4) == ("passed", True), result
    assert result.seconds <= time.monotonic() - begun - early.held
