"""What a real service wrote while an attempt ran."""

from __future__ import annotations

import json

from tests.support.project import SuiteProject

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path, file=sys.stderr, flush=True)
        self.send_response(500 if self.path == "/bad" else 200)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WAIT = """
import pathlib, time
while not any("/good" in log.read_text() for log in pathlib.Path(".orchestra/s/runs").glob("*/services/api.log")): time.sleep(0.01)
"""
SPEC = """
orchestra: 1
suite: s
methods: {cli: {driver: playwright}}
defaults: {requires: [api]}
health:
  api:
    service: {run: [python, server.py, "${port}"], port_range: 18700-18799}
    ready: {http: {path: /ready}}
tests:
  a: {steps: [{http: {GET: /good, base: api, status: 200}}]}
  logged: {needs: [a], requires: [], command: {argv: [python, wait.py]}}
  b: {needs: [logged], steps: [{http: {GET: /bad, base: api, status: 200}}, {http: {GET: /later, base: api, status: 200}}]}
"""


def test_a_failed_attempt_of_a_run_has_the_words_of_its_service_and_no_others(project: SuiteProject):
    (project.root / "server.py").write_text(SERVER)
    (project.root / "wait.py").write_text(WAIT)  # a busy machine writes what a service says a moment later
    project.write(SPEC).compile()
    done = project.run("run")
    assert done.code == 1, done.err
    ends = {event["body"]["task"]: event["body"]["evidence"] for event in project.events("attempt_finished")}
    [one] = [end for end in ends["cli:b"] if end["kind"] == "service"]
    text = (project.folder / one["path"]).read_text()
    assert "asked for /good" not in text
    assert not [end for end in ends["cli:a"] if end["kind"] == "service"]
    assert project.run("audit").code == 0
    assert json.dumps(one["path"]) == '"attempts/cli/b/1/services/api.log"'
