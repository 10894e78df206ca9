"""Incidents: what is held, what is repeated, what is blocked, what is said; as a fold, and in runs with real servers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.event import Incident, ServiceChanged
from orchestra.ledger.parts import Died
from orchestra.ledger.view import look
from orchestra.plan import Backoff, Component, Live, Probe, Ready, RecoveryStep, Retry, Service
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.attempts.follow_up import FollowUp, final_verdict, follow_up
from orchestra.runtime.attempts.incident import Incidents, Outages
from orchestra.runtime.gates.figures import outage_figures
from orchestra.runtime.servers.recovery import bound_seconds, start_bound_seconds
from tests.support import events as made
from tests.support.outages import asks, backend, breaks, suite
from tests.support.servers import free_range

FAILED = Result("cli:a", 1, "failed", 1.0, AttemptFailure("command", "exit code 1"))
PASSED = Result("cli:a", 1, "passed", 1.0)


def change(component="backend", state="unhealthy", incident="backend-1", **more) -> ServiceChanged:
    fields = {"pid": None, "port": None, "attempt": 1, "reason": "died", "seconds": 0.0, "incident": incident, **more}
    return ServiceChanged(component=component, state=state, **fields)


def attempt_of(task: str, **more) -> dict:
    method, _, test = task.partition(":")
    ended = {"attempt": 1, "outcome": "failed", "seconds": 1.0, "error": None, "retry": False}
    return {"task": task, "test": test, "method": method, **ended, "steps": [], "evidence": [], **more}


# ------------------------------------------------------------------------------------------------------------- the fold


def test_an_incident_opens_once_counts_its_rungs_and_closes_with_its_outcome():
    fold = Incidents()
    fold.began("cli:a", {"backend"})
    fold.began("cli:b", {"other"})
    [opened] = fold.service(change(bound_seconds=60.0), 10.0, ago_seconds=2.0)
    assert (opened.id, opened.state, opened.tests, opened.bound_seconds) == ("backend-1", "opened", ("cli:a",), 60.0)
    assert fold.service(change("frontend", incident=""), 10.0) == []
    assert fold.service(change("frontend"), 10.0) == [], "what waits for it has no incident of its own"
    assert fold.service(change(action="restart"), 11.0) == []
    fold.began("cli:c", {"backend", "other"})
    [closed] = fold.service(change(state="healthy", action="failover"), 14.0)
    assert (closed.seconds, closed.outcome, closed.recovery_steps) == (6.0, "recovered", ("restart", "failover"))
    assert closed.tests == ("cli:a", "cli:c")
    assert [fold.ended(task) for task in ("cli:a", "cli:b", "cli:c")] == [("backend-1",), (), ("backend-1",)]
    assert fold.unresolved(20.0) == []


def test_an_attempt_after_it_is_not_touched_and_what_is_open_at_the_end_is_said():
    fold = Incidents()
    fold.service(change(), 0.0)
    fold.service(change(state="failed"), 1.0)
    fold.began("cli:a", {"backend"})
    assert fold.ended("cli:a") == ()
    fold.service(change(incident="backend-2"), 2.0)
    [closed] = fold.unresolved(5.0)
    assert (closed.id, closed.outcome, closed.seconds) == ("backend-2", "unresolved", 3.0)


@given(st.lists(st.tuples(st.sampled_from(["open", "close", "begin", "end"]), st.sampled_from("ab")), max_size=40))
def test_an_attempt_is_touched_by_exactly_the_incidents_whose_time_overlaps_its_own(story):
    """Against a plain list of intervals."""
    fold, number, open_now, began = Incidents(), dict.fromkeys("ab", 0), {}, {}
    incidents: list[list] = []  # component, from, to
    for now, (what, name) in enumerate(story):
        if what == "open" and name not in open_now:
            number[name] += 1
            open_now[name] = f"{name}-{number[name]}"
            incidents.append([name, now, None, open_now[name]])
            fold.service(change(name, incident=open_now[name]), float(now))
        elif what == "close" and name in open_now:
            fold.service(change(name, "healthy", open_now[name]), float(now))
            next(incident for incident in incidents if incident[3] == open_now[name])[2] = now
            del open_now[name]
        elif what == "begin" and name not in began:
            began[name] = now
            fold.began(f"cli:{name}", {name})
            assert fold.in_use(name)
        elif what == "end" and name in began:
            since = began.pop(name)
            wanted = {
                incident[3]
                for incident in incidents
                if incident[0] == name and (incident[2] is None or incident[2] > since)
            }
            assert set(fold.ended(f"cli:{name}")) == wanted
            assert not fold.in_use(name)


def test_the_first_failure_that_overlaps_is_repeated_at_no_cost_and_a_pass_is_a_pass():
    once = Retry(1, ("failed",))
    assert follow_up(FAILED, Retry(), held=0, incidents=["i"]) == FollowUp(suspect=True, requeue=True, again=True)
    assert follow_up(FAILED, Retry(), held=0, incidents=[]) == FollowUp(suspect=False, requeue=False, again=False)
    assert follow_up(PASSED, once, held=0, incidents=["i"]) == FollowUp(suspect=False, requeue=False, again=False)
    second = Result("cli:a", 2, "failed", 1.0, FAILED.failure)
    assert follow_up(second, once, held=1, incidents=[]) == FollowUp(
        suspect=False, requeue=False, again=True, retry_cause="failed", retries_left=0
    ), "its own retry is still there"
    assert follow_up(second, Retry(), held=1, incidents=["i"]) == FollowUp(suspect=True, requeue=False, again=False)


def test_a_product_is_never_blamed_for_an_outage():
    second = Result("cli:a", 2, "passed", 1.0)
    assert final_verdict(second, held=1, suspect=False, incidents=["b-1"]) == (
        "passed", "an attempt that failed during incident b-1 was repeated",
    )  # fmt: skip
    assert final_verdict(second, held=0, suspect=False)[0] == "flaky"
    verdict, reason = final_verdict(FAILED, held=1, suspect=True, incidents=["b-1", "b-2"])
    assert (verdict, reason) == (
        "error",
        "failed during incidents b-1, b-2, and again when it was repeated: exit code 1",
    )
    assert final_verdict(FAILED, held=0, suspect=True, cut=True, incidents=["b-1"])[0] == "interrupted"
    assert final_verdict(FAILED, held=0, suspect=False)[0] == "failed"


def test_a_failure_is_held_until_its_components_were_asked_and_not_when_the_run_is_ended():
    events, asked = [], []
    outages = Outages(events.append, clock=lambda: 1.0)
    outages.began("cli:a", ["backend"], [])
    assert outages.sift([FAILED], lambda ids, done: asked.append((ids, done))) == []
    assert asked[0][0] == ("backend",)
    asked[0][1]()
    assert outages.sift([], lambda *_: None) == [FAILED]
    assert outages.sift([PASSED], lambda *_: pytest.fail("a pass is not held")) == [PASSED]
    assert outages.sift([FAILED], lambda *_: None) == []
    assert outages.sift([], lambda *_: None, at_once=True) == [FAILED]
    outages.service(change(bound_seconds=3.0), ago_seconds=1.0)
    assert [type(body) for body in events] == [ServiceChanged, Incident]
    outages.close()
    assert (events[-1].outcome, events[-1].seconds) == ("unresolved", 1.0)


def gone(reason, *recovery_steps, part="browser", before=False):
    return Died(part=part, reason=reason, recovery_steps=recovery_steps, before=before)


def session(outcome="passed", *, alive=True, died=()):
    """A result of the method mcp."""
    failure = None if outcome == "passed" else AttemptFailure("crash", "the browser died in this step")
    return Result("mcp:a", 1, outcome, 1.0, failure, alive={"browser": alive, "server": True}, died=died)


def test_the_browser_of_a_session_is_a_row_whose_death_is_an_incident_until_the_next_test_has_a_new_one():
    events = []
    outages = Outages(events.append, clock=lambda: 1.0)
    outages.began("mcp:a", [], [])
    following, touched = outages.ended(
        session(outcome="error", alive=False, died=(gone("the browser died"),)), Retry(), held=0
    )
    assert (following, touched) == (FollowUp(suspect=True, requeue=True, again=True), ("mcp.browser-1",))
    outages.began("mcp:a", [], [])
    following, touched = outages.ended(
        session(died=(gone("the browser had died", "relaunch", before=True),)), Retry(), held=1
    )
    assert (following, touched) == (FollowUp(suspect=False, requeue=False, again=False), ())
    told = [(body.component, body.state) for body in events if isinstance(body, ServiceChanged)]
    assert told == [("mcp.browser", "unhealthy"), ("mcp.server", "healthy"), ("mcp.browser", "healthy")]
    opened, closed = [body for body in events if isinstance(body, Incident)]
    assert (opened.reason, closed.outcome, closed.recovery_steps) == ("the browser died", "recovered", ("relaunch",))
    assert outage_figures(made.view(*events))["incidents"] == 1


def test_a_row_of_a_session_counts_its_incidents_on():
    fold = Incidents({"mcp.browser": 3})
    fold.began("mcp:a", set())
    told = [fold.part("mcp:a", "mcp.browser", gone("is gone", "browser"), now) for now in (1.0, 2.0)]
    assert [body.id for bodies in told for body in bodies if body.state == "opened"] == [
        "mcp.browser-4",
        "mcp.browser-5",
    ]


def test_browsers_of_several_workers_are_one_row_and_touch_each_its_own_test():
    events = []
    outages = Outages(events.append, clock=lambda: 1.0)
    for task in ("cli:a", "cli:b", "cli:c"):
        outages.began(task, [], [])
    lost = {"died": (gone("the browser died"),), "alive": {"browser": False}}
    crash = AttemptFailure("crash", "the browser died in this step")
    for task in ("cli:a", "cli:b"):
        following, touched = outages.ended(Result(task, 1, "error", 1.0, crash, **lost), Retry(), held=0)
        assert (following.requeue, touched) == (True, ("cli.browser-1",))
    assert outages.ended(Result("cli:c", 1, "passed", 1.0, alive={"browser": True}), Retry(), held=0)[1] == ()
    outages.began("cli:a", [], [])
    back = {"died": (gone("the browser died", "relaunch", before=True),), "alive": {"browser": True}}
    assert outages.ended(Result("cli:a", 2, "passed", 1.0, **back), Retry(), held=1)[1] == ()
    opened, closed = [body for body in events if isinstance(body, Incident)]
    assert (opened.id, closed.outcome, closed.tests) == ("cli.browser-1", "recovered", ("cli:a", "cli:b"))


def test_what_is_counted_is_counted_over_all_segments():
    """Of incidents the numbers, also of those that a segment was cut off before; of components on failover each once."""
    failed = made.body("attempt_finished", attempt_of("cli:a", infra_suspect=True))
    actions = [
        change(name, incident=f"{name}-{number}", action=action)
        for name, number, action in (("backend", 5, "restart"), ("backend", 6, "failover"), ("other", 1, "failover"))
    ]
    told = [failed, *actions, made.body("run_resumed", {"run": "r", "rerun": ["cli:a"]}), failed]
    assert outage_figures(made.view(*told)) == {"incidents": 7, "infra_suspect": 2, "recoveries": 3, "degraded": 2}
    back = change("backend", "healthy", incident="backend-6", action="fail_back")
    assert outage_figures(made.view(*told, back))["recoveries"] == 3, "going back is no recovery"


def test_a_server_that_was_replaced_in_a_test_marks_its_pass_and_one_before_it_does_not():
    outages = Outages(lambda _: None)
    for before, wanted in ((False, ("mcp.server-1",)), (True, ())):
        outages.began("mcp:a", [], [])
        result = session(died=(gone("the MCP server died", "restart", part="server", before=before),))
        assert outages.ended(result, Retry(), held=0)[1] == wanted


# ------------------------------------------------------------------------------------------------------------ the bounds


def test_every_wait_of_a_recovery_has_a_bound():
    probe = Probe("http", {"path": "/"}, 2.0)
    service = Service(("x",), ports=(1, 3), grace_seconds=1.0)
    backoff = Backoff(max=2, initial_seconds=1.0, factor=2.0, max_seconds=5.0, jitter=0.0)
    policy = (
        RecoveryStep("retry"),
        RecoveryStep("run", ("r",)),
        RecoveryStep("run", ("r",), 9.0),
        RecoveryStep("restart"),
    )
    one = Component(
        "b", "b", service=service, ready=Ready(probe, 10.0), live=Live(probe), retries=backoff, recover=policy
    )
    starts = (2 + 1 + 2) * (10.0 + 6.0) + 3.0
    assert start_bound_seconds(one) == starts
    assert bound_seconds(one) == (3.0 + 4.0) + (305.0 + 2.0) + (14.0 + 2.0) + starts
    assert bound_seconds(one, [one]) == bound_seconds(one) + 6.0


# ------------------------------------------------------------------------------------------------------------------ runs


MORE_FAULTS = [pytest.param(how, marks=pytest.mark.nightly) for how in ("stop", "500", "close", "wrong")]
"""For a run a server that is stopped hangs, and a wrong answer is no answer; test_health.py tells all of them apart."""


@pytest.mark.parametrize("how", ["kill", "hang", *MORE_FAULTS])
def test_a_test_that_fails_over_a_broken_server_is_repeated_behind_its_recovery(project, how):
    live = "live: {http: {path: /health, timeout_seconds: 5, json: {status: ok}}, every_seconds: 5, failures: 2}"
    suite(project, backend(live=live), f"  a: {{{breaks(how, seconds=2.0)}\n  b: {{after: [a], {asks()}\n")
    done = project.run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == {"cli:a": "passed", "cli:b": "passed"}
    first, second = [event["body"] for event in project.events("attempt_finished") if event["body"]["task"] == "cli:a"]
    assert (first["outcome"], first["infra_suspect"], first["incidents"], first["retry"]) == (
        "failed",
        True,
        ["backend-1"],
        True,
    )
    assert (second["outcome"], second.get("infra_suspect")) == ("passed", None)
    opened, closed = [event["body"] for event in project.events("incident")]
    assert (opened["state"], closed["outcome"], closed["recovery_steps"], closed["tests"]) == (
        "opened",
        "recovered",
        ["restart"],
        ["cli:a"],
    )
    assert opened["bound_seconds"] > 60
    [verdict] = [event["body"] for event in project.events("verdict") if event["body"]["task"] == "cli:a"]
    assert (verdict["incidents"], verdict["attempts"]) == (["backend-1"], 2)
    assert "incident    backend-1  opened" in done.err
    assert "held        cli:a  attempt 1 failed during backend-1, to be repeated" in done.err
    assert "incident    backend-1  " in done.err.partition("tests  ")[2]
    summary = (project.folder / "summary.md").read_text()
    assert "## Incidents" in summary
    assert "recovered by restart" in summary
    state = json.loads((project.folder / "state.json").read_text())
    assert (state["incident_count"], state["incidents"], state["past_incidents"][0]["id"]) == (1, {}, "backend-1")


def test_a_product_that_fails_over_healthy_servers_has_failed(project):
    bad = asks().replace("ask.py", "fault.py")
    done = suite(project, backend(), f"  a: {{{bad}\n").run("run")
    assert done.code == 1, done.err
    assert project.verdicts() == {"cli:a": "failed"}
    assert project.events("incident") == []


def test_a_pass_that_overlapped_is_a_pass_and_marked(project):
    code = (
        "import pathlib, subprocess, sys, time\n"
        "subprocess.run([sys.executable, 'fault.py', 'kill', 'backend'], check=True)\n"
        "while len(pathlib.Path('backend/starts').read_text().split()) < 2: time.sleep(0.01)\n"
    )
    tests = f"  a: {{requires: [backend], command: {{argv: {json.dumps(['python', '-c', code])}}}}}\n"
    done = suite(project, backend(), tests).run("run")
    assert done.code == 0, done.err
    [verdict] = [event["body"] for event in project.events("verdict")]
    assert (verdict["verdict"], verdict["incidents"], verdict["attempts"], verdict["reason"]) == (
        "passed",
        ["backend-1"],
        1,
        "",
    )
    assert "cli:a overlapped: backend-1" in (project.folder / "summary.md").read_text()


@pytest.mark.parametrize("way", ["argv", pytest.param("environment", marks=pytest.mark.nightly)])  # one look for both
def test_a_command_with_the_address_of_a_server_that_moved_is_ended_and_repeated(project, way):
    code = (
        "import os, pathlib, subprocess, sys, time\n"
        "address = sys.argv[1] if len(sys.argv) > 1 else os.environ['ADDRESS']\n"
        "try:\n"
        "    pathlib.Path('broken').touch(exist_ok=False)\n"
        "except FileExistsError:\n"
        "    sys.exit(subprocess.run([sys.executable, 'ask.py', address, '60']).returncode)\n"
        "subprocess.run([sys.executable, 'fault.py', 'kill', 'backend'], check=True)\n"
        "time.sleep(1000)\n"
    )
    argv = json.dumps(["python", "-c", code, *(["${backend.url}"] if way == "argv" else [])])
    env = "" if way == "argv" else ', env: {ADDRESS: "${backend.url}"}'
    tests = f"  a: {{requires: [backend], timeout_seconds: 900, command: {{argv: {argv}{env}}}}}\n"
    done = suite(project, backend(recover="[port]"), tests).run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == {"cli:a": "passed"}
    first, second = [event["body"] for event in project.events("attempt_finished")]
    assert (first["outcome"], first["infra_suspect"], first["incidents"]) == ("error", True, ["backend-1"])
    assert first["error"]["message"].startswith("backend moved while it ran: ${backend.url} was http://127.0.0.1:")
    assert first["error"]["message"].endswith("; it was ended, and its result does not count")
    assert second["outcome"] == "passed"


def test_past_the_last_recovery_step_tests_are_blocked_with_the_incident(project):
    code = "import pathlib; pathlib.Path('backend/sick').touch()"
    sick = "python, -c, " + json.dumps(code)
    health = backend(recover=f"[{{run: [{sick}]}}, restart]").replace(
        '"${port}", "backend"', '"${port}", "backend", "dies=9"'
    )
    # The first start lives: the folder has no file of starts that dies=9 would count up to.
    health = health.replace('"dies=9"', '"late"')
    tests = f"  a: {{{breaks('kill', seconds=2.0)}\n  b: {{after: [a], {asks()}\n  free: {{command: {{argv: [python, -c, pass]}}}}\n"
    suite(project, health, tests)
    # After the fault nothing starts any more.
    serve = project.root / "serve.py"
    serve.write_text("import os, sys\nif os.path.exists('broken-backend'): sys.exit('no more')\n" + serve.read_text())
    done = project.run("run")
    assert done.code == 3, done.err
    assert project.verdicts() == {"cli:a": "blocked", "cli:b": "blocked", "cli:free": "passed"}
    bodies = {event["body"]["task"]: event["body"] for event in project.events("verdict")}
    assert all("(incident backend-1)" in bodies[task]["reason"] for task in ("cli:a", "cli:b"))
    assert bodies["cli:b"]["incidents"] == ["backend-1"]
    assert project.events("incident")[-1]["body"]["outcome"] == "failed"


def test_one_that_fails_in_two_incidents_is_an_error_of_the_machine_and_no_failure(project):
    twice = breaks("kill", seconds=2.0).replace("exist_ok=False", "exist_ok=True")
    done = suite(project, backend(), f"  a: {{{twice}\n").run("run")
    assert done.code == 1, done.err
    assert project.verdicts() == {"cli:a": "error"}
    assert "failed during incidents backend-1, backend-2, and again when it was repeated" in project.reasons()["cli:a"]


def test_a_run_that_goes_on_counts_its_incidents_on(project):
    twice = breaks("kill", seconds=2.0).replace("exist_ok=False", "exist_ok=True")
    gate = "gates: {after: {all: {require: 'incidents + infra_suspect + recoveries < 100'}}}\n"
    suite(project, backend(), f"  a: {{{twice}\n{gate}")
    assert project.run("run").code == 1
    (project.root / "broken-backend").unlink()
    assert project.run("run", "--resume").code == 1
    told = [event["body"] for event in project.events("incident")]
    assert [one["id"] for one in told if one["state"] == "opened"] == [f"backend-{number}" for number in (1, 2, 3, 4)]
    assert "failed during incidents backend-3, backend-4, and again" in project.reasons()["cli:a"]
    values = {}
    for one in project.events("gate"):
        values |= one["body"]["values"]
    assert (values["incidents"], values["infra_suspect"]) == (4, 4)
    assert values["recoveries"] >= 2, "the last of each segment may still be under way at its end"
    assert project.run("audit").code == 0


def test_metrics_count_incidents_and_held_attempts(project):
    gates = (
        "gates: {after: {i: {require: incidents == 1}, s: {require: infra_suspect == 1}, r: {require: retries == 0}}}\n"
    )
    suite(project, backend(), f"  a: {{{breaks('kill', seconds=2.0)}\n" + gates)
    done = project.run("run")
    assert done.code == 0, done.err
    view = look(project.folder)
    assert len(view.health.outages) == 1
    own = ("after:i", "after:s", "after:r")
    assert {name: view.gates[name].body.result for name in own} == dict.fromkeys(own, "passed")


# ------------------------------------------------------------------------------------------------------------- fail_back


def test_a_backup_serves_its_time_and_the_primary_comes_back_when_no_test_uses_it(project):
    """The first test kills the primary while it is sick; the second waits, so that the backup must not be taken away."""
    low = backend(recover="[failover]", more="fail_back: true\n    cool_down_seconds: 0.2")
    health = low + '    failover: {run: [python, backup.py, "${port}"]}\n'
    serve = "import os, sys\nif os.path.exists('sick'): sys.exit('sick')\n"
    hold = (
        "import json, pathlib, sys, time, urllib.request\n"
        "ask = lambda: urllib.request.urlopen(sys.argv[1] + '/health', timeout=30).read()\n"
        "first = ask(); pathlib.Path('sick').unlink()\n"
        "ledger = pathlib.Path(sys.argv[2]) / 'events.jsonl'\n"
        "now = lambda: [line for line in ledger.read_text().splitlines() if 'service_event' in line][-1]\n"
        "while 'is taken back' not in now(): time.sleep(0.05)\n"
        "assert ask() == first, 'it was taken away under a test'\n"
    )
    kill = breaks("kill", seconds=2.0).replace("import os,", "import os; open('sick', 'w').close()\\nimport os,", 1)
    tests = (
        f"  a: {{{kill}\n"
        f"  b: {{after: [a], requires: [backend], command: {{argv: {json.dumps(['python', '-c', hold, '${backend.url}'])}}}}}\n"
        f"  c: {{after: [b], {asks()}\n"
    ).replace('"${backend.url}"]}}\n  c', '"${backend.url}", "${attempt.dir}/../../../.."]}}\n  c')
    suite(project, health, tests)
    (project.root / "backup.py").write_text(
        "import sys\nsys.argv = ['server.py', sys.argv[1], 'backend']\nexec(open('server.py').read())\n"
    )
    path = project.root / "serve.py"
    path.write_text(serve + path.read_text())
    done = project.run("run")
    assert done.code == 0, done.err
    degraded = {event["body"]["task"]: event["body"]["degraded"] for event in project.events("verdict")}
    assert degraded["cli:b"] == ["backend on failover"]
    assert degraded["cli:c"] == []
    actions = [event["body"].get("action") for event in project.events("service_event") if event["body"].get("action")]
    assert (actions[0], set(actions[1:])) == ("failover", {"fail_back"})
    assert [event["body"]["state"] for event in project.events("incident")] == ["opened", "closed"]


# ------------------------------------------------------------------------------------------------------ method mcp

KILLER = """
import http.server, os, psutil, sys
run = os.environ["ORCHESTRA_TREE"].split()[-1].split("/")[0]
done = []
class Killer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = {"/server": "mcp --endpoint", "/driver": "run-driver", "/browser": "--remote-debugging",
                  "/renderer": "--type=renderer"}.get(self.path)
        if wanted and self.path not in done:
            done.append(self.path)
            victims = []  # all of them first: whose parent has been killed is hard to tell
            for one in psutil.process_iter():
                try:
                    words = " ".join(one.cmdline())
                    if wanted not in words or ("--type=" in words and "--type=" not in wanted):
                        continue
                    # A renderer writes its title over its environment: its parents are asked.
                    if any(run in up.environ().get("ORCHESTRA_TREE", "") for up in (one, *one.parents())):
                        victims.append(one)
                except psutil.Error:
                    pass
            for one in victims:
                one.kill()
        body = b"<h1>Here</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Killer).serve_forever()
"""
"""A page; asked for /browser, /renderer or /server it first kills that part of the session, once."""


def deadly(project, driver, *parts):
    """Run tests of which each kills a part of what carries it, and then looks at the page; the last kills nothing."""
    low, high = free_range(4)
    look = '{goto: "${web.url}/"}'
    tests = "".join(
        f"  {name}: {{after: [{before}], steps: [{look}, {{http: {{GET: /{name}, base: web}}}}, "
        "{expect: {role: heading, to: {contain: Here}}}]}\n"
        for before, name in zip(("first", *parts), parts, strict=False)
    )
    spec = f"""orchestra: 1
suite: s
methods: {{{driver}: {{driver: {driver}, workers: 1}}}}
health:
  web:
    service: {{run: [python, killer.py, "${{port}}"], port_range: {low}-{high}}}
    ready: {{http: {{path: /}}}}
defaults: {{requires: [web], retries: {{max: 0}}}}
tests:
  first: {{steps: [{look}]}}
{tests}  last: {{after: [{parts[-1]}], steps: [{look}]}}
"""
    (project.root / "killer.py").write_text(KILLER)
    return project.write(spec).compile().run("run")


@pytest.mark.browser
def test_a_browser_and_a_page_of_a_method_without_a_session_are_incidents_of_its_browser(project, chromium):
    done = deadly(project, "playwright", "browser", "renderer")
    assert done.code == 0, done.err
    assert set(project.verdicts().values()) == {"passed"}, done.err
    given = {
        event["body"]["task"]: (event["body"].get("incidents"), event["body"]["attempts"])
        for event in project.events("verdict")
    }
    assert given == {
        "playwright:first": (None, 1),
        "playwright:browser": (["playwright.browser-1"], 2),
        "playwright:renderer": (["playwright.browser-2"], 2),
        "playwright:last": (None, 1),
    }
    closed = [event["body"] for event in project.events("incident") if event["body"]["state"] == "closed"]
    assert [(one["id"], one["outcome"], one["recovery_steps"], one["reason"]) for one in closed] == [
        ("playwright.browser-1", "recovered", ["relaunch"], "the browser died"),
        ("playwright.browser-2", "recovered", ["page"], "the page crashed"),
    ]
    state = json.loads((project.folder / "state.json").read_text())
    assert (state["health"]["playwright.browser"]["state"], state["incident_count"]) == ("healthy", 2)
    assert project.run("audit").code == 0


@pytest.mark.nightly  # the next test has a session by day, and the one before a page that crashes
@pytest.mark.browser
def test_a_page_that_crashes_in_a_session_is_an_incident_of_its_browser(project, chromium):
    done = deadly(project, "mcp", "renderer")
    assert done.code == 0, done.err
    assert set(project.verdicts().values()) == {"passed"}, done.err
    closed = [event["body"] for event in project.events("incident") if event["body"]["state"] == "closed"]
    assert [(one["id"], one["outcome"], one["recovery_steps"], one["tests"]) for one in closed] == [
        ("mcp.browser-1", "recovered", ["page"], ["mcp:renderer"]),
    ]
    told = [event["body"]["continuity"] for event in project.events("session")]
    assert told == ["new", "kept", "lost", "kept"]


@pytest.mark.browser
def test_a_browser_and_a_server_that_die_under_a_test_are_incidents_of_their_rows(project, chromium):
    low, high = free_range(4)
    spec = f"""orchestra: 1
suite: s
methods: {{mcp: {{driver: mcp, session: {{single: true}}}}}}
health:
  web:
    service: {{run: [python, killer.py, "${{port}}"], port_range: {low}-{high}}}
    ready: {{http: {{path: /}}}}
defaults: {{requires: [web], retries: {{max: 0}}}}
tests:
  browser: {{steps: [{{goto: "${{web.url}}/"}}, {{http: {{GET: /browser, base: web}}}}, {{expect: {{role: heading, to: {{contain: Here}}}}}}]}}
  server: {{after: [browser], steps: [{{goto: "${{web.url}}/"}}, {{http: {{GET: /server, base: web}}}}, {{expect: {{role: heading, to: {{contain: Here}}}}}}]}}
  driver: {{after: [server], steps: [{{goto: "${{web.url}}/"}}, {{http: {{GET: /driver, base: web}}}}, {{expect: {{role: heading, to: {{contain: Here}}}}}}]}}
  plain: {{after: [driver], steps: [{{goto: "${{web.url}}/"}}]}}
"""
    (project.root / "killer.py").write_text(KILLER)
    done = project.write(spec).compile().run("run")
    assert done.code == 1, done.err
    good = dict.fromkeys(("mcp:browser", "mcp:server", "mcp:plain"), "passed")
    assert project.verdicts() == {**good, "mcp:driver": "error"}, (
        "Playwright's own process is no row; it comes back, too"
    )
    given = {event["body"]["task"]: event["body"].get("incidents") for event in project.events("verdict")}
    assert given == {
        "mcp:browser": ["mcp.browser-1"],
        "mcp:server": ["mcp.server-1"],
        "mcp:driver": None,
        "mcp:plain": None,
    }
    closed = [event["body"] for event in project.events("incident") if event["body"]["state"] == "closed"]
    assert [(one["id"], one["outcome"], one["recovery_steps"]) for one in closed] == [
        ("mcp.browser-1", "recovered", ["relaunch"]),
        ("mcp.server-1", "recovered", ["restart"]),
    ]
    rows = [(event["body"]["component"], event["body"]["state"]) for event in project.events("service_event")]
    assert ("mcp.browser", "unhealthy") in rows
    state = json.loads((project.folder / "state.json").read_text())
    assert state["health"]["mcp.browser"]["state"] == "healthy"
