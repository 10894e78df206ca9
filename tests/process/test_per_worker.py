"""Components with an instance for each worker, in real runs: who holds which, what is reset, and what a failure costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestra.plan import ResetStep
from tests.support.project import SuiteProject
from tests.support.servers import Ground, until

SERVER = '''
"""server.py PORT FOLDER [ABOVE]: keeps notes in a file of FOLDER. POST /note/X adds one, /reset removes them, /crash ends it."""
import http.server, json, os, pathlib, sys
file = pathlib.Path(sys.argv[2], "notes")
with open("starts", "a") as starts:
    starts.write(" ".join(sys.argv[2:]) + "\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, code, value):
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        self.answer(200, {"notes": file.read_text().split() if file.exists() else [], "above": sys.argv[3:]})
    def do_POST(self):
        _, verb, *rest = self.path.split("/")
        print(verb, *rest, flush=True)
        if verb == "crash":
            os._exit(9)
        if verb == "reset":
            if os.path.exists("broken"):
                return self.answer(500, {})
            file.unlink(missing_ok=True)
        else:
            file.open("a").write(rest[0] + "\\n")
        self.answer(200, {})
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''
VISIT = '''
"""visit.py URL NAME [OTHER]: the notes must be empty; writes NAME, waits until OTHER has written too, and reads NAME alone."""
import json, os, sys, time, urllib.request
url, name, *others = sys.argv[1:]
def notes():
    return json.load(urllib.request.urlopen(url + "/notes"))["notes"]
assert notes() == [], notes()
urllib.request.urlopen(urllib.request.Request(f"{url}/note/{name}", method="POST"))
open("here." + name, "w").close()
while not all(os.path.exists("here." + other) for other in others):
    time.sleep(0.02)
assert notes() == [name], notes()
'''
CRASH = '''
"""crash.py URL OTHER: ends its server once, when OTHER is there; the second time it only reads."""
import os, sys, time, urllib.error, urllib.request
url, other = sys.argv[1:]
while not os.path.exists("here." + other):
    time.sleep(0.02)
first = not os.path.exists("crashed")
open("crashed", "w").close()
open("here.crashed", "w").close()
urllib.request.urlopen(urllib.request.Request(url + ("/crash" if first else "/note/late"), method="POST"))
'''
SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2}}
defaults: {retries: {max: 0}}
health:
  app:
    per: worker
    service: {run: [python, server.py, "${port}", "${worker.dir}"], port_range: 18960-18979}
    ready: {http: {path: /notes}, within_seconds: 60}
    live: {http: {path: /notes}, every_seconds: 1}
    recover: [restart]
    reset: [RESET]
tests:
"""
ONE = "  {}: {{command: {{argv: [python, visit.py, '${{app.url}}', {}]}}}}\n"
HTTP = "{http: {path: /reset}, timeout_seconds: 30}"


@pytest.fixture
def ground(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    ground = Ground(tmp_path, request.node.name)
    yield ground
    ground.close()


def make(project: SuiteProject, reset: str, tests: str, spec: str = SPEC) -> SuiteProject:
    for name, text in (("server.py", SERVER), ("visit.py", VISIT), ("crash.py", CRASH)):
        (project.root / name).write_text(text)
    return project.write(spec.replace("RESET", reset) + tests).compile()


def held(project: SuiteProject) -> dict[str, list[str]]:
    """Return the instances that the attempts of each test held, and check that no two tests held one at the same time."""
    now: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for event in project.events():
        body = event["body"]
        if event["type"] == "attempt_started":
            for name in body["holds"].values():
                assert now.setdefault(name, body["task"]) == body["task"], (now, body)
            found.setdefault(body["test"], []).extend(body["holds"].values())
        elif event["type"] == "verdict":
            now = {name: task for name, task in now.items() if task != body["task"]}
    return found


def test_tests_that_write_at_the_same_time_see_only_what_they_wrote(project):
    pairs = (("a", "a b"), ("b", "b a"), ("c", "c d"), ("d", "d c"), ("e", "e"))
    made = make(project, HTTP, "".join(ONE.format(name, ", ".join(words.split())) for name, words in pairs))
    done = made.run("run")
    assert (done.code, set(made.verdicts().values())) == (0, {"passed"}), done.out + done.err
    instances = held(made)
    assert {name for some in instances.values() for name in some} == {"app.1", "app.2"}
    assert instances["a"] != instances["b"]
    starts = (made.root / "starts").read_text().split()
    assert len(starts) == 2
    assert [folder.rpartition("/")[2] for folder in sorted(starts)] == ["1", "2"]
    logs = [(made.folder / f"services/app.{number}.log").read_text() for number in (1, 2)]
    # Five tests on two instances: not before the first on each.
    assert sum(log.count(" reset\n") for log in logs) == 3
    assert not (made.folder / "per_worker").exists()
    state = json.loads((made.folder / "state.json").read_text())
    assert {"app.1", "app.2"} <= state["health"].keys()
    assert made.run("audit").code == 0


def test_a_crash_costs_only_the_test_that_holds_the_instance(project):
    tests = "  bad: {command: {argv: [python, crash.py, '${app.url}', good]}}\n"
    made = make(project, HTTP, tests + ONE.format("good", "good, crashed"))
    done = made.run("run")
    assert made.verdicts() == {"cli:bad": "passed", "cli:good": "passed"}, done.out + done.err
    [opened] = [event["body"] for event in made.events("incident") if event["body"]["state"] == "opened"]
    [closed] = [event["body"] for event in made.events("incident") if event["body"]["state"] == "closed"]
    instances = held(made)
    assert (opened["component"], opened["tests"]) == (instances["bad"][0], ["cli:bad"])
    assert (closed["outcome"], closed["recovery_steps"]) == ("recovered", ["restart"])
    assert instances["bad"] == [opened["component"]] * 2
    assert len(instances["good"]) == 1
    log = (made.folder / f"services/{opened['component']}.log").read_text()
    assert log.index(" crash\n") < log.index(" reset\n") < log.index(" note late\n")
    listed = made.run("health", "--history").out
    assert "app " in listed
    assert "app." not in listed


def test_a_reset_that_fails_is_an_incident_and_is_tried_again_after_each_recovery_step(project):
    spec = SPEC.replace("recover: [restart]", "recover: [restart, {run: [rm, -f, broken]}]").replace(
        "workers: 2", "workers: 1"
    )
    tests = ONE.format("a", "a") + "  b: {after: [a], command: {argv: [touch, broken]}, requires: [app]}\n"
    made = make(
        project, HTTP, tests + "  c: {after: [b], command: {argv: [python, visit.py, '${app.url}', c]}}\n", spec
    )
    done = made.run("run")
    assert set(made.verdicts().values()) == {"passed"}, done.out + done.err
    [opened, closed] = [event["body"] for event in made.events("incident")]
    assert opened["component"] == "app.1"
    assert "could not be reset: POST http://127.0.0.1:" in opened["reason"]
    assert "/reset answered 500" in opened["reason"]
    assert (closed["outcome"], closed["recovery_steps"]) == ("recovered", ["restart", "run"])


@pytest.mark.parametrize(
    "reset, recover, reason",
    [
        (
            "{run: [sh, -c, 'echo no space; exit 3']}",
            "",
            "has a reset that ended with exit code 3; its last words: no space and has no `recover`",
        ),
        (
            "{run: [sh, -c, 'echo no space; exit 3']}",
            "restart",
            "has a reset that ended with exit code 3; its last words: no space and was not brought back by 1 restart",
        ),
        (
            "{run: [sleep, '600'], timeout_seconds: 0.2}",
            "",
            "has a reset that did not end within 0.2 s",
        ),
    ],
)
def test_an_instance_that_cannot_be_reset_blocks_the_next_test_on_it(project, reset, recover, reason):
    spec = SPEC.replace("recover: [restart]", f"recover: [{recover}]").replace("workers: 2", "workers: 1")
    made = make(project, reset, ONE.format("a", "a") + ONE.format("b", "b"), spec)
    done = made.run("run")
    assert made.verdicts() == {"cli:a": "passed", "cli:b": "blocked"}, done.out + done.err
    assert done.code == 3
    assert f"requires app.1, which {reason}" in made.reasons()["cli:b"]


def test_a_failed_instance_is_left_for_another_one(project):
    spec = SPEC.replace("    recover: [restart]\n", "")
    tests = "  bad: {command: {argv: [python, crash.py, '${app.url}', none]}}\n"
    tests += "".join(
        f"  t{n}: {{after: [bad], command: {{argv: [python, visit.py, '${{app.url}}', t{n}]}}}}\n" for n in range(3)
    )
    made = make(project, HTTP, tests, spec)
    (made.root / "here.none").touch()
    done = made.run("run")
    assert set(made.verdicts().values()) == {"passed"}, done.out + done.err
    instances = held(made)
    assert instances["bad"] == ["app.1", "app.2"]
    assert {name for test in ("t0", "t1", "t2") for name in instances[test]} == {"app.2"}
    [gate] = [
        event["body"]
        for event in made.events("gate")
        if event["body"]["name"] == "servers_up" and event["body"]["result"] == "failed"
    ]
    assert gate["values"]["servers_down"] == 1


def test_a_chain_of_instances_keeps_its_number_and_a_restart_takes_what_needs_it(project):
    spec = SPEC.replace(
        "tests:",
        """\
  seed: {per: worker, job: {run: [sh, -c, "echo seeded-${worker.number} > $0/notes", "${worker.dir}"]}}
  edge:
    per: worker
    needs: [app]
    service: {run: [python, server.py, "${port}", "${worker.dir}", "${app.url}"], port_range: 18980-18999}
    ready: {http: {path: /notes}, within_seconds: 60}
tests:""",
    ).replace("  app:\n", "  app:\n    needs: [seed]\n")
    reset = "{run: [sh, -c, 'echo again > $0/notes', '${worker.dir}']}, restart"
    ask = "import json, sys, urllib.request; seen = json.load(urllib.request.urlopen(sys.argv[1])); print(json.dumps(seen)); open(sys.argv[3] + '.json', 'w').write(json.dumps([seen, sys.argv[2]]))"
    (project.root / "ask.py").write_text(ask)
    tests = "".join(
        f"  {n}: {{command: {{argv: [python, ask.py, '${{edge.url}}', '${{app.url}}', {n}]}}}}\n" for n in "ab"
    )
    made = make(project, reset, tests, spec.replace("workers: 2", "workers: 1"))
    done = made.run("run")
    assert set(made.verdicts().values()) == {"passed"}, done.out + done.err
    first, second = (json.loads((made.root / f"{name}.json").read_text()) for name in "ab")
    assert first[0] == {"notes": ["seeded-1"], "above": [first[1]]}
    assert second[0] == {"notes": ["again"], "above": [second[1]]}
    assert not made.events("incident")
    assert len((made.root / "starts").read_text().splitlines()) == 4
    [holds] = {json.dumps(event["body"]["holds"], sort_keys=True) for event in made.events("attempt_started")}
    assert json.loads(holds) == {"app": "app.1", "edge": "edge.1", "seed": "seed.1"}


def test_one_instance_is_probed_by_hand_and_none_stays_up(project):
    made = make(project, HTTP, ONE.format("a", "a"))
    idle = made.run("health")
    assert (idle.code, "is started by a run, once for each worker" in idle.out) == (3, True), idle.out
    started = made.run("health", "--start", "--json")
    assert [(row["id"], row["status"]) for row in json.loads(started.out)] == [("app.1", "healthy")], started.err
    refused = made.run("up")
    assert refused.code == 2
    assert '"app" has `per: worker`: a run starts an instance for each worker, and none stays up' in refused.err
    assert "one for each worker; reset http" in made.run("show", "a").out


def test_a_reset_that_is_asked_late_does_not_reset_under_the_next_attempt(ground, tmp_path):
    note = ResetStep((sys.executable, "-c", "open('resets', 'a').write('x')"))
    matrix = ground.matrix(ground.service("app", per="worker", reset=(note,)), instances=1)
    ground.settle(matrix, "app.1")
    assert matrix.unclean(["app.1"]) == ""
    matrix.touch(["app.1"])
    assert matrix.unclean(["app.1"]) == "app.1"
    for _ in range(3):
        matrix.reset("app.1")
    until(lambda: not matrix.unclean(["app.1"]), "the first reset")
    matrix._loop.call_soon_threadsafe(matrix._climb.ask_reset, matrix._members["app.1"], 1)
    matrix.touch(["app.1"])
    matrix.reset("app.1")
    until(lambda: not matrix.unclean(["app.1"]), "the second reset")
    assert (tmp_path / "resets").read_text() == "xx"
    assert not [change for change in ground.events if change.incident]
