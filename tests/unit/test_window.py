"""What services wrote during an attempt is its evidence: the part of their logs between its start and its end."""

from __future__ import annotations

import json

import pytest

from orchestra.plan import Test as Case
from orchestra.runtime.attempt import Result
from orchestra.runtime.window import LIMIT_BYTES, marks, wants_evidence, with_services
from tests.support.project import SuiteProject

FAILED = Result("cli:a", 1, "failed", 0.1)


def case(evidence="on_failure"):
    return Case("a", "", ("cli",), evidence=evidence)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "api.log").write_bytes(b"before\n")
    return tmp_path / "services" / "api.log"


def kept(tmp_path, begun, *, result=FAILED, test=None):
    if not wants_evidence(test or case(), result):
        return {}
    found = with_services(result, tmp_path, tmp_path / "attempt", begun)
    return {one.path: (tmp_path / "attempt" / one.path).read_bytes() for one in found.evidence}


def test_what_came_between_is_kept(tmp_path, log):
    begun = marks(tmp_path, ["api", "silent"])
    with log.open("ab") as file:
        file.write(b"during\n")
    assert kept(tmp_path, begun) == {"services/api.log": b"during\n"}


def test_nothing_new_is_no_file(tmp_path, log):
    assert kept(tmp_path, marks(tmp_path, ["api"])) == {}


def test_a_log_that_began_anew_is_kept_from_both_halves(tmp_path, log):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"old half\n")
    log.rename(log.with_name("api.log.1"))
    log.write_bytes(b"new half\n")
    assert kept(tmp_path, begun) == {"services/api.log": b"old half\nnew half\n"}


def test_the_end_of_a_long_window_is_kept(tmp_path, log):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"x" * LIMIT_BYTES + b"the end")
    [text] = kept(tmp_path, begun).values()
    assert (len(text), text[-7:]) == (LIMIT_BYTES, b"the end")


@pytest.mark.parametrize(
    "evidence, outcome, there",
    [
        ("on_failure", "passed", False),
        ("always", "passed", True),
        ("off", "failed", False),
        ("on_failure", "error", True),
    ],
)
def test_the_spec_says_when(tmp_path, log, evidence, outcome, there):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"during\n")
    result = Result("cli:a", 1, outcome, 0.1)
    assert bool(kept(tmp_path, begun, result=result, test=case(evidence))) is there


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
SPEC = """
orchestra: 1
suite: s
methods: {cli: {driver: http}}
defaults: {requires: [api]}
health:
  api:
    service: {run: [python, server.py, "${port}"], port_range: 18700-18799}
    ready: {http: {path: /ready}}
tests:
  a: {steps: [{http: {GET: /good, base: api, status: 200}}]}
  b: {needs: [a], steps: [{http: {GET: /bad, base: api, status: 200}}, {http: {GET: /later, base: api, status: 200}}]}
"""


def test_a_failed_attempt_of_a_run_has_the_words_of_its_service_and_no_others(project: SuiteProject):
    (project.root / "server.py").write_text(SERVER)
    project.write(SPEC).compile()
    done = project.run("run")
    assert done.code == 1, done.err
    ends = {event["body"]["task"]: event["body"]["evidence"] for event in project.events("attempt_finished")}
    [one] = [one for one in ends["cli:b"] if one["kind"] == "service"]
    text = (project.folder / one["path"]).read_text()
    assert "asked for /good" not in text
    assert not [one for one in ends["cli:a"] if one["kind"] == "service"]
    assert project.run("audit").code == 0
    assert json.dumps(one["path"]) == '"attempts/cli/b/1/services/api.log"'
