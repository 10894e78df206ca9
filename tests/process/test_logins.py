"""Logins of a whole run: made once for all workers and methods, never shown, gone at its end."""

from __future__ import annotations

import json

import pytest

from tests.support.project import HEAD, SuiteProject
from tests.support.servers import until

SHOP = """\
import json, secrets, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

SESSIONS, USES = [], []

class Shop(BaseHTTPRequestHandler):
    def answer(self, status, value, cookie=""):
        self.send_response(status)
        body = json.dumps(value).encode()
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", f"sid={cookie}; HttpOnly; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/leave":
            SESSIONS[-1] = ""
        if "X-Use" in self.headers:
            USES.append(self.path)
        if self.path == "/uses":
            return self.answer(200, {"uses": len(USES)})
        known = self.headers.get("Cookie", "").removeprefix("sid=") in SESSIONS[-1:]
        self.answer(200 if known or self.path == "/leave" else 401, {"made": len(SESSIONS), "cookie": self.headers.get("Cookie")})

    def do_POST(self):
        SESSIONS.append(secrets.token_hex(16))
        print("session", SESSIONS[-1], flush=True)
        with open("sessions.txt", "a") as file:
            print(SESSIONS[-1], file=file)
        self.answer(201, {"token": f"t0k3n-{SESSIONS[-1]}"}, SESSIONS[-1])

    def log_message(self, *args):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""
SPEC = """\
orchestra: 1
suite: s
methods: {one: {driver: http, workers: 2}, two: {driver: http, workers: 2}}
health:
  shop:
    service: {run: [python, shop.py, "${port}"], port_range: 8700-8799}
    ready: {http: {path: /, status: 401}}
logins:
  admin:
    steps: [{http: {POST: /session, base: shop, save: {token: $.token}}}]
    check: {http: {GET: /, base: shop}}
groups: {all: {login: admin}}
tests:
  B001: {group: all, steps: [{http: {GET: /, base: shop, headers: {X-Use: "1"}, match: {$.made: 1}}}]}
  B002: {group: all, steps: [{http: {GET: /, base: shop, headers: {X-Use: "1", X-Token: "${saved.token}"}, match: {$.made: 1}}}]}
  B003: {group: all, login: none, steps: [{http: {GET: /, base: shop, status: 401}}]}
  B004:
    group: all
    methods: [two]
    after: [B001, B002]
    steps:  # the first waits for the other method, too
      - http: {GET: /uses, base: shop, until: {match: {$.uses: 4}, within_seconds: 60}}
      - http: {GET: /leave, base: shop}
  B005:
    group: all
    methods: [two]
    after: [B004]
    retries: {max: 0}
    steps: [{http: {GET: /, base: shop, match: {$.made: 2, $.cookie: none}}}]
"""


def test_a_run_signs_in_once_and_shows_nothing_of_it(tmp_path):
    project = SuiteProject(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    (tmp_path / "shop.py").write_text(SHOP)
    project.write(SPEC)
    assert project.run("compile").code == 0
    done = project.run("run")
    assert done.code == 1
    assert "7 passed, 1 failed" in done.err, done.err
    (run,) = (tmp_path / ".orchestra" / "s" / "runs").glob("2*")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    notes = [event["body"]["data"] for event in events if event["body"].get("kind") == "login"]
    assert [note["reason"].partition(":")[0] for note in notes] == ["first use", "its check failed"]
    assert {event["body"].get("facts", {}).get("login") for event in events if event["type"] == "attempt_finished"} == {
        "admin",
        None,
    }
    first, second = (tmp_path / "sessions.txt").read_text().split()
    texts = [done.out, done.err, *(path.read_text(errors="replace") for path in run.rglob("*") if path.is_file())]
    assert not [text for text in texts if first in text or second in text]
    assert "***login admin***" in (run / "services" / "shop.log").read_text()
    assert not (run / "logins").exists()
    assert project.run("audit").code == 0


@pytest.mark.parametrize("words", [("run",), ("down",), ("history", "--prune")])
def test_states_that_a_killed_run_has_left_are_removed(project, words):
    project.write(f'{HEAD}tests: {{a: {{command: {{argv: ["true"]}}}}}}\n').compile()
    assert project.run("run").code == 0
    left = project.folder / "logins"
    left.mkdir(mode=0o700)
    (left / "admin.json").write_text('{"storage": {"cookies": []}}')
    done = project.run(*words)
    assert (done.code, left.exists(), left.parent.exists()) == (0, False, True), done.err


def test_states_stay_while_a_run_is_in_progress(project):
    project.write(
        f'{HEAD}tests: {{a: {{command: {{argv: [sh, -c, "touch begun; while ! test -e end; do sleep 0.1; done"]}}}}}}\n'
    )
    project.compile()
    run = project.start("run")
    try:
        until((project.root / "begun").exists, "the test has begun")
        (left := project.folder_now() / "logins").mkdir()
        assert project.run("down").code == 0
        assert left.exists()
    finally:
        (project.root / "end").touch()
        run.communicate()
