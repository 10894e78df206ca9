"""A page without measure, by both methods: downloads without an end, floods on the console, and the memory of the run."""

from __future__ import annotations

import sys

from tests.support.floods import SERVER, Peak
from tests.support.project import SuiteProject

SPEC = """orchestra: 1
suite: s
health:
  shop: {service: {run: [python, server.py, "${port}"], port_range: 4800-4899}, ready: {http: {path: /}}}
methods: {cli: {driver: playwright, workers: 1}, mcp: {driver: mcp, session: {single: true}}}
defaults: {requires: [shop], timeout_seconds: 90, retries: {max: 0}}
tests:
  endless: {steps: [{goto: "${shop.url}/"}, {download: {text: endless, as: e, limit_megabytes: 5}}]}
  slow: {steps: [{goto: "${shop.url}/"}, {download: {text: slow, as: e, within_seconds: 5}}]}
  loud: {steps: [{goto: "${shop.url}/loud?1000"}, &go {click: {role: button, name: Go}}, &done {expect: {css: p, to: {have_text: done}, within_seconds: 60}}]}
  long: {steps: [{goto: "${shop.url}/long?4000000"}, *go, *done]}
"""


def test_by_both_methods_a_page_costs_its_limits(tmp_path, chromium):
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    (tmp_path / "server.py").write_text(SERVER)
    project = SuiteProject(tmp_path).write(SPEC).compile()
    running = project.start("run")
    peak = Peak(running)
    _, err = running.communicate(timeout=300)
    megabytes = peak.close()
    assert running.returncode == 1, err
    expected = {"endless": "failed", "slow": "failed", "loud": "passed", "long": "passed"}
    assert project.verdicts() == {
        f"{by}:{test}": verdict for by in ("cli", "mcp") for test, verdict in expected.items()
    }
    reasons = project.reasons()
    attempts = {event["body"]["task"]: event["body"] for event in project.events("attempt_finished")}
    for by in ("cli", "mcp"):
        assert reasons[f"{by}:endless"] == 'the download "e" has more than 5 MB'
        assert reasons[f"{by}:slow"] == 'the download "e" did not end within 5 s'
        assert "limit_megabytes" in attempts[f"{by}:endless"]["error"]["hint"]
        assert not [attempt for attempt in attempts[f"{by}:endless"]["evidence"] if attempt["kind"] == "download"]
        assert len(attempts[f"{by}:loud"]["findings"]) == 50
        [long] = attempts[f"{by}:long"]["findings"]
        assert len(long["text"]) == 500
    assert megabytes < 300
    assert megabytes > 20 or sys.platform != "linux", "it was measured"
