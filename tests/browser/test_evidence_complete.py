"""The standard gate `evidence_complete`: held where all evidence is there, and not where a file of it is gone."""

from __future__ import annotations

import pytest

from tests.support.nights import at_night
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

# A server that takes files away, as a careless clean-up does.
SITE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/remove/"):
            [found] = Path(".orchestra/s/runs").glob("2*/attempts/*/" + self.path.removeprefix("/remove/"))
            found.unlink()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Site</title><link rel=icon href=data:,><h1>Site</h1>")

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SPEC = """\
orchestra: 1
suite: s
health:
  site: {service: {run: [python, site.py, "${port}"], port_range: 4400-4499}, ready: {http: {path: /}}}
methods: {cli: {driver: playwright, workers: 1}}
gates: {after: {evidence_complete: {require: evidence_missing == 0, message: "{evidence_missing} missing"}}}
tests:
  KEEPS: {steps: [{goto: "${site.url}/"}, {screenshot: one}, {expect: {role: heading, to: {be: visible}}}]}
"""
OWN = '  OWN: {steps: [{goto: "${site.url}/"}, {screenshot: one}, {http: {GET: "${site.url}/remove/OWN/1/one.png"}}]}\n'
LATER = '  LATER: {after: [KEEPS], steps: [{http: {GET: "${site.url}/remove/KEEPS/1/one.png"}}]}\n'


@pytest.mark.parametrize(
    "more, missing",
    [
        at_night("", 0, id="all is there"),  # by day of `KEEPS`, whose other evidence is no part of the number
        at_night(OWN, 1, id="gone in the attempt"),  # sooner than later
        pytest.param(LATER, 1, id="gone later"),
    ],
)
def test_evidence_that_is_gone_fails_the_gate(project: SuiteProject, chromium, more, missing):
    (project.root / "site.py").write_text(SITE, encoding="utf-8")
    done = project.write(SPEC + more).compile().run("run")
    assert set(project.verdicts().values()) == {"passed"}
    [gate] = [body for event in project.events("gate") if (body := event["body"])["name"] == "evidence_complete"]
    assert gate["values"] == {"evidence_missing": missing}
    result, message = ("failed", "1 missing") if missing else ("passed", "")
    assert (gate["result"], gate["message"]) == (result, message)
    assert done.code == (1 if missing else 0), done.err
