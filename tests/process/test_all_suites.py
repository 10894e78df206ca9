"""Several suites in one go: a summary, the worst exit code, and one process for services that they have alike."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from orchestra.plan import Component, Job, RecoveryStep, Service
from orchestra.runtime.servers.lending import identities
from orchestra.runtime.servers.shared import alike
from tests.support.project import SuiteProject

SERVER = """
import http.server, os, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()} {' '.join(sys.argv[2:])}\\n")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
SUITE = """
orchestra: 1
suite: {suite}
methods: {{api: {{driver: http}}, {suite}_only: {{driver: http}}}}
defaults: {{requires: [web]}}
health:
  seed: {{job: {{run: [sh, -c, "echo seed >> seeds"]}}}}
  web: {{needs: [seed], service: {{run: [python, server.py, "${{port}}"{more}], {port}}}, ready: {{http: {{path: /server.py}}}}}}
tests:
  T1: {{steps: [{{http: {{GET: /server.py, base: web, status: {status}}}}}]}}
  {suite}: {{steps: [{{http: {{GET: /server.py, base: web, status: 200}}}}]}}
"""
PLAIN = 'orchestra: 1\nsuite: plain\nmethods: {cli: {driver: command}}\ntests: {X: {command: {argv: ["true"]}}}\n'


def suites(project: SuiteProject, *rows: tuple[str, str, int], port: str = "port_range: 18870-18890") -> SuiteProject:
    """Write suites of (id, a further argument of the server, the status that its test expects)."""
    (project.root / "server.py").write_text(SERVER)
    for suite, more, status in rows:
        text = SUITE.format(suite=suite, more=f", {more}" if more else "", status=status, port=port)
        project.write(text, f"specs/{suite}.yaml")
    return project.write(PLAIN, "specs/plain.yaml").compile()


def starts(project: SuiteProject) -> list[tuple[int, str]]:
    """The processes of servers that were started, each with its further argument."""
    lines = (project.root / "starts").read_text().splitlines()
    return [(int(pid), more) for pid, _, more in (line.partition(" ") for line in lines)]


def summary(out: str) -> dict[str, list[str]]:
    """The rows of the summary: exit code, verdicts, …"""
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}


def test_suites_share_a_process_and_the_exit_code_is_the_worst(project):
    suites(project, ("a", "", 200), ("b", "", 404), ("c", "other", 200))
    done = project.run("run", "--all-suites")
    assert done.code == 1, done.err
    rows = summary(done.out)
    assert {suite: row[0] for suite, row in rows.items()} == {"a": "0", "b": "1", "c": "0", "plain": "0"}
    assert rows["b"][1:5] == ["2", "passed,", "2", "failed"]
    assert "shared: web of a; web of b" in done.err
    assert done.err.count("is up by `run --all-suites`") == 4
    assert [more for _, more in starts(project)] == ["", "other"]
    assert (project.root / "seeds").read_text().count("seed") == 2
    assert not [pid for pid, _ in starts(project) if psutil.pid_exists(pid)]
    for suite in ("a", "b", "c", "plain"):
        assert project.run("audit", "--suite", suite).code == 0


def test_a_port_that_the_next_suite_needs_is_free_for_it(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    suites(project, ("a", "", 200), ("b", "other", 200), ("c", "", 200), port=f"port: {number}")
    done = project.run("run", "--all-suites", "T1", "--method", "api")
    assert done.code == 0, done.err
    assert [more for _, more in starts(project)] == ["", "other", ""]


def test_a_selection_runs_in_the_suites_that_have_it(project):
    suites(project, ("a", "", 200), ("b", "", 200))
    done = project.run("run", "--all-suites", "T1", "a", "--method", "api", "--method", "b_only")
    assert done.code == 0, done.err
    assert {suite: row[1:3] for suite, row in summary(done.out).items()} == {
        "a": ["2", "passed"],
        "b": ["2", "passed"],
    }
    for words, message in (
        (("zzz",), 'no suite has a test, group, tag or glob "zzz"'),
        (("--method", "zzz"), 'no suite has the method "zzz"'),
        (("--suite", "a"), "--all-suites starts a new run of each suite"),
        (("--resume",), "--all-suites starts a new run of each suite"),
        (("b", "--method", "a_only"), "nothing is selected in any suite"),
        (("--profile", "none"), 'with profile "none"'),
    ):
        refused = project.run("run", "--all-suites", *words)
        assert (refused.code, message in refused.err) == (2, True), refused.err


SLOW = ("python", "-c", "import time; open('here', 'w').close(); time.sleep(600)")


@pytest.mark.parametrize(
    "number",  # SIGINT is heard where SIGTERM is
    [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)],
)
def test_an_end_leaves_no_service_and_starts_no_further_suite(project, number):
    suites(project, ("a", "", 200), ("b", "", 200))
    text = (
        (project.root / "specs/a.yaml")
        .read_text()
        .replace("  T1:", f"  SLOW: {{command: {{argv: {list(SLOW)}}}}}\n  T1:")
    )
    project.write(
        text.replace("api: {driver: http}", "api: {driver: http}, cli: {driver: command}"), "specs/a.yaml"
    ).compile()
    process = project.start("run", "--all-suites", "SLOW", "b")
    while not (project.root / "here").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate()
    if number == signal.SIGKILL:
        for pid, _ in starts(project):
            psutil.wait_procs([one for one in psutil.process_iter() if one.pid == pid], timeout=60)
    else:
        assert process.returncode == 128 + number, err
        assert summary(out)["b"] == ["not", "run"]
    assert not [pid for pid, _ in starts(project) if psutil.pid_exists(pid)]


def test_an_identity_is_what_the_process_is_made_of():
    def rows(run: str, *, seed: str = "seed", title: str = "t", **more: object) -> list[Component]:
        job = Component("job", "j", job=Job((seed,)))
        return [job, Component("web", title, needs=("job",), service=Service((run,), **more))]

    one = identities(rows("run"))
    assert identities(rows("run", title="another")) == one
    for other in (
        rows("other"),
        rows("run", seed="other"),
        rows("run", env={"A": "b"}),
        rows("run", cwd="web"),
        rows("run", ports=(1, 2)),
        rows("run", host="::1"),
        rows("run", shell=True),
    ):
        assert identities(other)["web"] != one["web"]
        assert not alike([rows("run"), other])
    assert alike([rows("run"), rows("run")]) == {one["web"]}
    renewed = [Component("web", "t", service=Service(("run",)), between=(RecoveryStep("restart"),))]
    assert identities([*renewed, Component("next", "n", needs=("web",), service=Service(("run",)))]) == {}
