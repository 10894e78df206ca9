"""A page without measure, by both methods: downloads without an end, floods on the console, and the memory of the run."""

from __future__ import annotations

import sys

import pytest

from tests.support.floods import SERVER, Peak
from tests.support.nights import at_night
from tests.support.project import SuiteProject

SPEC = """orchestra: 1
suite: s
health:
  shop: {service: {run: [python, server.py, "${port}"], port_range: 4800-4899}, ready: {http: {path: /}}}
methods: {cli: {driver: playwright, workers: 1}, mcp: {driver: mcp, session: {single: true}}}
defaults: {requires: [shop], timeout_seconds: 90, retries: {max: 0}}
tests:
  endless: {methods: [ENDLESS], steps: [{goto: "${shop.url}/"}, {download: {text: endless, as: e, limit_megabytes: 5}}]}
  slow: {methods: [SLOW], steps: [{goto: "${shop.url}/"}, {download: {text: slow, as: e, within_seconds: 5}}]}
  loud: {methods: [LOUD], steps: [{goto: "${shop.url}/loud?1000"}, &go {click: {role: button, name: Go}}, &done {expect: {css: p, to: {have_text: done}, within_seconds: 60}}]}
  long: {methods: [LONG], steps: [{goto: "${shop.url}/long?4000000"}, *go, *done]}
"""


EXPECTED = {"endless": "failed", "slow": "failed", "loud": "passed", "long": "passed"}
DAY = {"endless": ("mcp",), "slow": ("cli",), "loud": ("cli",), "long": ("mcp",)}
"""Each limit by one of the methods, and of both a download and the console."""


@pytest.mark.parametrize("by", [DAY, at_night(dict.fromkeys(EXPECTED, ("cli", "mcp")))], ids=["each", "both"])
def test_by_both_methods_a_page_costs_its_limits(tmp_path, chromium, by):
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    (tmp_path / "server.py").write_text(SERVER)
    spec = SPEC
    for test, methods in by.items():
        spec = spec.replace(test.upper(), ", ".join(methods))
    project = SuiteProject(tmp_path).write(spec).compile()
    running = project.start("run", alone=True)
    peak = Peak(running)
    _, err = running.communicate(timeout=300)
    megabytes = peak.close()
    assert running.returncode == 1, err
    tasks = {f"{method}:{test}": test for test, methods in by.items() for method in methods}
    assert project.verdicts() == {task: EXPECTED[test] for task, test in tasks.items()}
    reasons = project.reasons()
    attempts = {event["body"]["task"]: event["body"] for event in project.events("attempt_finished")}
    for task, test in tasks.items():
        if test == "endless":
            assert reasons[task] == 'the download "e" has more than 5 MB'
            assert "limit_megabytes" in attempts[task]["error"]["hint"]
            assert not [kept for kept in attempts[task]["evidence"] if kept["kind"] == "download"]
        elif test == "slow":
            assert reasons[task] == 'the download "e" did not end within 5 s'
        elif test == "loud":
            assert len(attempts[task]["findings"]) == 50
        else:
            [long] = attempts[task]["findings"]
            assert len(long["text"]) == 500
    assert megabytes < 300
    assert megabytes > 20 or sys.platform != "linux", "it was measured"
