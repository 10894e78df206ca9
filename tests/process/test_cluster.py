"""Runs on the nodes of a Dask cluster: a real scheduler, real nodes, and what happens to either."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from tests.process.test_logins import SHOP
from tests.support.project import HEAD, Ended, Process, SuiteProject, ended, environment, py, under_way
from tests.support.servers import carriers, free_range, until

WAIT = "sh, -c, 'touch $0; while ! test -e go; do sleep 0.1; done'"
"""A command that leaves a file with the name that follows, and waits for the file `go`."""

SLOW = """
import http.server, os, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while self.path == "/wait" and not os.path.exists("go"):
            time.sleep(0.05)
        self.send_response(200)
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server whose page `/wait` comes when there is a file `go`."""

SECONDS = 120
"""A limit for what takes a second or two."""

DASK = (
    *("orchestra.verbs.worker", "orchestra.runtime.nodes.dask_link", "orchestra.runtime.nodes.own_nodes"),
    *("orchestra.runtime.nodes.dask_package:distributed", "distributed.http.scheduler.info"),
)
"""The imports of a node, of a run on nodes and of a scheduler."""


IMPATIENT = {"orchestra.runtime.nodes.dask_link.CONNECT_SECONDS": 1.0}
"""For a run that nobody answers: it need not wait 10 s for that."""


def on_nodes(
    project: SuiteProject, *words: str, limits: Mapping[str, float] = MappingProxyType({}), **env: str
) -> Ended:
    """Carry out a run on nodes to its end, with `limits` as in `SuiteProject.shortened`."""
    return ended(["orchestra", "run", *words], project.root, environment(**env), limits=limits, modules=DASK)


class Cluster:
    """A scheduler and its nodes, each in a process of its own."""

    def __init__(self, project: SuiteProject) -> None:
        self.project = project
        self.port = free_range(1)[0]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[Process] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> Process:
        words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        process = under_way(words, Path("/"), environment(), modules=DASK)  # it has no checkout of the project
        self.processes.append(process)
        return process

    def node(self, name: str, root: Path | None = None, before: Sequence[str] = (), **env: str) -> Process:
        """A node that the scheduler knows, started by the words `before` its own."""
        project = self.project if root is None else SuiteProject(root)
        words = ("worker", f"--scheduler={self.address}", f"--name={name}")
        process = project.start(*words, before=before, modules=DASK, **env)
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"node {name}: 1 slot, at {self.address}\n", line + process.stderr.read()
        return process

    def words(self, *words: str) -> tuple[str, ...]:
        return ("--engine", "dask", "--scheduler", self.address, *words)

    def run(self) -> Process:
        """A run that uses the cluster, under way."""
        process = self.project.start("run", *self.words(), modules=DASK)
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(SECONDS)
            finally:
                process.kill()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def project(tmp_path) -> SuiteProject:
    project = SuiteProject(tmp_path / "project")
    project.root.mkdir()
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    return project


@pytest.fixture
def cluster(project) -> Iterator[Cluster]:
    cluster = Cluster(project)
    yield cluster
    cluster.close()


def notes(project: SuiteProject, kind: str) -> list[str]:
    return [event["body"]["message"] for event in project.events("note") if event["body"]["kind"] == kind]


def attempts(project: SuiteProject, task: str) -> list[tuple[str, str]]:
    ends = [event["body"] for event in project.events("attempt_finished")]
    return [(end["outcome"], end["node"]) for end in ends if end["task"] == task]


def living(pid: int) -> bool:
    """Whether a process runs. One that has ended stays a zombie where the process of the tests adopts orphans."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left_of(project: SuiteProject) -> list[psutil.Process]:
    """The processes that carry the mark of the last run."""
    return carriers(project.folder.name)


def test_a_cluster_of_this_machine_for_a_try(project):
    """Two nodes of the run's own: results, evidence and failures come back, and nothing is left."""
    large = "import os; open(os.environ['AT'] + '/large.bin', 'wb').write(bytes(range(256)) * 12000)"
    project.write(
        f"""{HEAD}tests:
  a: {{command: {{argv: [sh, -c, "sleep 1; echo said"]}}, evidence: always}}
  b: {{command: {{argv: [python, -c, "{large}"], env: {{AT: "${{attempt.dir}}"}}, attach: ["${{attempt.dir}}/*"]}}}}
  c: {{command: {{argv: [sh, -c, "sleep 1; echo why; exit 3"]}}}}
  d: {{command: {{argv: [sh, -c, 'echo "$ORCHESTRA_TREE"; sleep 60']}}, timeout_seconds: 1}}
"""
    ).compile()
    done = on_nodes(project, "--engine", "dask")
    assert done.code == 1, done.out + done.err
    assert project.verdicts() == {"cli:a": "passed", "cli:b": "passed", "cli:c": "failed", "cli:d": "timeout"}
    ends = {event["body"]["task"]: event["body"] for event in project.events("attempt_finished")}
    assert {end["node"] for end in ends.values()} == {"node1", "node2"}
    assert ends["cli:c"]["error"]["found"] == "why"
    assert (project.folder / "output/passed.log").read_text() == "==> cli:a, attempt 1 <==\nsaid\n"
    assert not (project.folder / "attempts/cli/a").exists()
    assert (project.folder / "attempts/cli/b/1/large.bin").stat().st_size == 256 * 12000
    assert "/@node" in (project.folder / "attempts/cli/d/1/output.log").read_text()
    assert not left_of(project)
    assert project.run("audit").code == 0


def test_where_a_test_runs_and_its_step_are_seen_meanwhile(cluster, project):
    """A server lets the step wait until its state was seen."""
    (project.root / "slow.py").write_text(SLOW)
    low, high = free_range(2)
    project.write(
        f"""orchestra: 1
suite: s
methods: {{cli: {{driver: http}}}}
health:
  slow: {{service: {{run: [python, slow.py, "${{port}}"], port_range: {low}-{high}}}, ready: {{http: {{path: /}}}}}}
tests:
  a: {{steps: [{{http: {{GET: /, base: slow}}}}, {{http: {{GET: /wait, base: slow}}}}]}}
"""
    ).compile()
    cluster.node("first")
    run = cluster.run()

    def status() -> str:
        return project.run("status").out

    until(lambda: "  on first  step 2 of 2 http" in status(), "the step that the node executes")
    assert "\nnode        first  1 of 1 slot in use  cli:a\n" in status()
    (project.root / "go").touch()
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert "\nnode        the node first is used, with 1 slot\n" in err
    assert "  on first\n" in project.run("show", "--run", "last", "a").out
    assert not list((project.folder / "workers").glob("*.step"))


def test_a_login_of_a_node_is_hidden_in_the_record_of_the_run(project):
    """The server prints the session that the node has made."""
    (project.root / "shop.py").write_text(SHOP)
    low, high = free_range(4)
    project.write(
        f"""orchestra: 1
suite: s
methods: {{cli: {{driver: http}}}}
health:
  shop: {{service: {{run: [python, shop.py, "${{port}}"], port_range: {low}-{high}}}, ready: {{http: {{path: /, status: 401}}}}}}
logins: {{admin: {{steps: [{{http: {{POST: /session, base: shop}}}}]}}}}
defaults: {{login: admin}}
tests:
  a: {{steps: [{{http: {{GET: /, base: shop, match: {{$.made: 1}}}}}}]}}
  b: {{needs: [a], steps: [{{http: {{GET: /, base: shop, match: {{$.cookie: odd}}}}}}]}}
"""
    ).compile()
    done = on_nodes(project, "--engine", "dask")
    assert (done.code, project.verdicts()) == (1, {"cli:a": "passed", "cli:b": "failed"}), done.out + done.err
    sessions = (project.root / "sessions.txt").read_text().split()
    texts = [done.err, *(path.read_text(errors="replace") for path in project.folder.rglob("*") if path.is_file())]
    assert not [text for text in texts for session in sessions if session in text]
    assert "***login admin***" in (project.folder / "services/shop.log").read_text()
    assert not list(project.root.glob(".orchestra/s/nodes/*/logins"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ended"])
def test_a_node_that_leaves_and_one_that_joins_late(cluster, project, number):
    """Its attempt is a crash, and is repeated by `retries` on a node that came meanwhile."""
    project.write(
        f"""{HEAD}defaults: {{retries: {{max: 1, on: [crash]}}}}
tests:
  a: {{command: {{argv: [{WAIT}, begun]}}}}
  b: {{needs: [a], command: {{argv: [echo, after]}}}}
"""
    ).compile()
    first = cluster.node("first")
    run = cluster.run()
    until((project.root / "begun").exists, "the test to begin")
    first.send_signal(number)
    first.wait(SECONDS)
    (project.root / "begun").unlink()
    cluster.node("second")
    until((project.root / "begun").exists, "the retry to begin")
    (project.root / "go").touch()
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert project.verdicts() == {"cli:a": "flaky", "cli:b": "passed"}
    assert attempts(project, "cli:a") == [("error", "first"), ("passed", "second")]
    lost = [end["body"]["error"] for end in project.events("attempt_finished") if end["body"]["node"] == "first"]
    why = "it is not in the cluster any more|it let go of the run|it was started again, or gave the run up"
    [(kind, message)] = [(error["kind"], error["message"]) for error in lost]
    assert kind == "crash"
    assert re.fullmatch(f"the node first was lost: ({why})", message)
    assert [event["body"]["message"] for event in project.events("node")] == [
        "the node first is used, with 1 slot",
        message,
        "the node second is used, with 1 slot",
    ]
    assert not left_of(project)


def test_a_node_that_freezes_is_given_up_and_its_late_answer_does_not_count(cluster, project):
    """When it wakes it answers, or sees first that the run has not asked for 10 s, and ends the attempt itself."""
    project.write(
        f"""{HEAD}defaults: {{retries: {{max: 1, on: [crash]}}}}
tests:
  a: {{command: {{argv: [{WAIT}, begun]}}}}
  b: {{needs: [a], command: {{argv: [{WAIT.replace("go", "end")}, last]}}}}
"""
    ).compile()
    frozen = cluster.node("frozen")
    run = cluster.run()
    until((project.root / "begun").exists, "the test to begin")
    (project.root / "begun").unlink()
    cluster.node("second")  # before the other one freezes: Dask lets go of a node that is silent for 30 s
    os.kill(frozen.pid, signal.SIGSTOP)
    until((project.root / "begun").exists, "the retry to begin")
    assert "no heartbeat for 10 s" in (project.folder_now() / "events.jsonl").read_text()
    (project.root / "go").touch()
    until((project.root / "last").exists, "the next test to begin")
    said = list[str]()
    assert frozen.stdout is not None
    reader = threading.Thread(target=said.extend, args=(frozen.stdout,))
    reader.start()
    os.kill(frozen.pid, signal.SIGCONT)
    until(
        lambda: (
            '"late_result"' in (project.folder_now() / "events.jsonl").read_text()
            or "node frozen: free, no heartbeat of the run for 10 s\n" in said
        ),
        "its late answer, or that it lets go of the run",
    )
    (project.root / "end").touch()
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert attempts(project, "cli:a") == [("error", "frozen"), ("passed", "second")]
    late = "frozen answered for attempt 1 of cli:a after it was given up: passed, which does not count"
    assert notes(project, "late_result") in ([], [late])
    frozen.terminate()
    reader.join(SECONDS)
    assert project.verdicts() == {"cli:a": "flaky", "cli:b": "passed"}
    assert not left_of(project)


def test_a_scheduler_that_is_killed_ends_the_run_which_is_resumed(cluster, project):
    project.write(
        f"""{HEAD}tests:
  a: {{command: {{argv: [echo, done]}}}}
  b: {{needs: [a], command: {{argv: [{WAIT}, begun]}}}}
"""
    ).compile()
    node = cluster.node("first")
    run = cluster.run()
    until((project.root / "begun").exists, "the test to begin")
    cluster.scheduler.kill()
    cluster.scheduler.wait(SECONDS)
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 3, out + err
    assert f"error: the Dask scheduler at {cluster.address} is gone: it has closed the connection\n" in err
    resume = f"orchestra run --resume --engine dask --scheduler {cluster.address}"
    assert f"hint: start it and its nodes again, then `{resume}`" in err
    assert node.wait(SECONDS) == 3
    assert f"error: the scheduler at {cluster.address} is gone" in node.stderr.read()
    until(lambda: not left_of(project), "the node to end what it had")
    cluster.scheduler = cluster.start_scheduler()
    cluster.node("second")
    (project.root / "go").touch()
    done = on_nodes(project, *cluster.words("--resume"))
    assert done.code == 0, done.out + done.err
    assert attempts(project, "cli:a") == [("passed", "first")]
    assert attempts(project, "cli:b")[-1] == ("passed", "second")


def test_a_run_that_is_killed_leaves_nothing_on_a_node(cluster, project):
    """The node ends the test when no heartbeat comes, and is free for the next run, which may not begin before."""
    project.write(f"{HEAD}tests:\n  a: {{command: {{argv: [{WAIT}, begun]}}}}\n").compile()
    node = cluster.node("first")
    run = cluster.run()
    until((project.root / "begun").exists, "the test to begin")
    second = SuiteProject(project.root.parent / "copy")
    second.root.mkdir()
    (second.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    second.write((project.root / "specs/s.yaml").read_text()).compile()
    refused = on_nodes(second, *cluster.words())
    assert refused.code == 3
    assert (
        f"error: the cluster at {cluster.address} is in use by a run of suite s (process {run.pid} on " in refused.err
    )
    run.kill()
    run.communicate(timeout=SECONDS)
    assert node.stdout.readline().startswith("node first: run ")
    assert node.stdout.readline() == "node first: free, no heartbeat of the run for 10 s\n"
    assert not carriers(f"{project.folder_now().name}/@first")
    (project.root / "go").touch()
    done = on_nodes(project, *cluster.words())
    assert done.code == 0, done.out + done.err


def test_a_node_with_a_full_disk_is_given_up_and_fails_no_test(cluster, project):
    """Its tests end there like those of a lost node. It would fail one after the other, because it is free at once."""
    write = "touch begun; head -c 100000 /dev/zero > $DIR/large.bin || exit 9"
    command = f"{{argv: [sh, -c, '{write}'], env: {{DIR: '${{attempt.dir}}'}}, attach: ['${{attempt.dir}}/*']}}"
    tests = "".join(f"  {name}: {{command: {command}}}\n" for name in "abc")
    project.write(f"{HEAD}defaults: {{retries: {{max: 1, on: [crash]}}}}\ntests:\n{tests}").compile()
    cluster.node("full", before=["sh", "-c", 'ulimit -f 60 && exec "$@"', "sh"])
    run = cluster.run()
    until((project.root / "begun").exists, "a test to begin")
    until(lambda: "it cannot write: " in (project.folder_now() / "events.jsonl").read_text(), "a full disk")
    cluster.node("roomy")
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert sorted(project.verdicts().values()) == ["flaky", "passed", "passed"]
    [error] = [end["body"]["error"] for end in project.events("attempt_finished") if end["body"]["node"] == "full"]
    reason = f'cannot write "{project.root}/.orchestra/s/nodes/full": file too large'
    assert (error["kind"], error["message"]) == ("crash", f"the node cannot write: {reason}")
    assert [event["body"]["message"] for event in project.events("node")] == [
        "the node full is used, with 1 slot",
        f"the node full was lost: it cannot write: {reason}",
        f"the node full is not used: it cannot write: {reason}; free some space there, and start the node again",
        "the node roomy is used, with 1 slot",
    ]
    assert not left_of(project)


def test_nodes_that_do_not_fit_are_refused_and_why(cluster, project):
    """A node proves itself: its plan, what it runs, and that it reaches the servers of the suite."""
    spec = f"{HEAD}secrets: [TOKEN]\ntests:\n  a: {py('pass')}\n  b: {{command: {{argv: [sh, -c, 'exit 0'], env: {{V: '${{env.TOKEN}}'}}}}}}\n"
    project.write(spec).compile()
    other = SuiteProject(project.root.parent / "other")
    other.root.mkdir()
    (other.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    other.write(spec.replace("exit 0", "exit 1")).compile()
    cluster.node("other", other.root, TOKEN="t")
    cluster.node("poor")
    limits = {"orchestra.runtime.nodes.cluster.NODE_SECONDS": 8}
    done = on_nodes(project, *cluster.words(), limits=limits, TOKEN="a-long-enough-token")
    assert done.code == 3
    assert "the node other is not used: its plan is another one (sha256:" in done.err
    assert "the node poor is not used: it lacks the variable TOKEN; " in done.err
    assert f"error: the cluster at {cluster.address} has had no node for 8 s: none that can be used (" in done.err
    with pytest.raises(AssertionError, match=r'error: a node "poor" is at tcp://.* already'):
        cluster.node("poor")


def test_an_interrupt_in_the_wait_for_a_scheduler_ends_the_run(project):
    project.write(f"{HEAD}tests:\n  a: {py('pass')}\n").compile()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(SECONDS)
        words = ("run", "--engine=dask", f"--scheduler=tcp://127.0.0.1:{mute.getsockname()[1]}")
        run = project.start(*words, modules=DASK)
        with mute.accept()[0]:
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=SECONDS)
    assert (run.returncode, out, err) == (130, "", "interrupted\n")
    assert not project.root.joinpath(".orchestra/s/runs").exists()


def test_no_scheduler_and_no_such_engine(project):
    project.write(f"{HEAD}tests:\n  a: {py('pass')}\n").compile()
    port = free_range(1)[0]
    nobody = on_nodes(project, "--engine=dask", f"--scheduler=tcp://127.0.0.1:{port}", limits=IMPATIENT)
    assert (nobody.code, project.root.joinpath(".orchestra/s/runs").exists()) == (3, False)
    assert nobody.err.startswith(f"error: no Dask scheduler answers at tcp://127.0.0.1:{port}: ")
    assert f"\nhint: start one: `dask scheduler --port {port}`, or correct the address\n" in nobody.err
    wrong = project.run("run", "--engine=dask", "--scheduler=10.0.0.1")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, 'error: "10.0.0.1" is not the address of a Dask scheduler')
    unknown = project.run("run", "--engine=dusk")
    assert unknown.code == 2
    assert unknown.err.startswith('error: unknown engine "dusk" (did you mean "dask"?); there are "local", "dask"')
    shown = project.run("run", "--engine=dask", "--headed")
    assert (shown.code, "--headed is about this machine" in shown.err) == (2, True)
    project.write(f"{HEAD}engine: {{dask: {{scheduler: '${{env.DASK}}'}}}}\ntests:\n  a: {py('pass')}\n").compile()
    unset = project.run("run")
    assert unset.code == 2
    assert unset.err.startswith("error: specs/s.yaml:4:28: the environment variable DASK is not set, and the spec uses")
    assert "hint: set it, name another scheduler with --scheduler, or run here: --engine local\n" in unset.err
    empty = project.run("run", DASK="")
    assert empty.code == 2
    assert empty.err.startswith('error: specs/s.yaml:4:28: the address of the scheduler, "${env.DASK}", is empty\n')
    named = on_nodes(project, limits=IMPATIENT, DASK=f"tcp://127.0.0.1:{port}")
    assert (named.code, f"no Dask scheduler answers at tcp://127.0.0.1:{port}" in named.err) == (3, True)
    assert project.run("run", "--engine=local").code == 0
    project.write(f"{HEAD}tests:\n  a: {py('pass')}\n").compile()
    for more in ((), ("--dry-run",), ("--list",)):
        alone = project.run("run", "--scheduler=tcp://10.0.0.1:8786", *more)
        assert (alone.code, "--scheduler needs --engine dask" in alone.err) == (2, True)


APP = """
import http.server, os, pathlib, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end" and not os.path.exists("ended"):
            pathlib.Path("ended").touch()
            print("it was asked to end", flush=True)
            os._exit(7)
        if self.path == "/wait":
            pathlib.Path(f"waits-{os.getpid()}").touch()
            while not os.path.exists("go"):
                time.sleep(0.05)
        self.send_response(200)
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server that ends once when it is asked to, and whose page `/wait` comes when there is a file `go`."""


def on_each_node(project: SuiteProject, rest: str) -> None:
    """Write a suite whose server is on each node, and more rows and tests."""
    (project.root / "app.py").write_text(APP)
    low, high = free_range(8)
    project.write(
        f"""orchestra: 1
suite: s
methods: {{cli: {{driver: http}}}}
health:
  app:
    where: worker
    service: {{run: [python, app.py, "${{port}}"], port_range: {low}-{high}}}
    ready: {{http: {{path: /}}}}
    recover: [restart]
{rest}"""
    ).compile()


def rows_of(project: SuiteProject) -> list[tuple[str, str, str]]:
    changes = [event["body"] for event in project.events("service_event")]
    return [(change["component"], change["state"], change["reason"]) for change in changes]


def test_each_node_has_its_own_instance_of_a_component(project):
    """Tests reach the one of their node. It is watched and recovered there, and ends with the run."""
    low, high = free_range(2)
    on_each_node(
        project,
        f"""  odd:
    where: worker
    required: false
    service: {{run: [python, -c, "raise SystemExit(3)", "${{port}}"], port_range: {low}-{high}}}
    retries: {{max: 0}}
tests:
  a: {{steps: [{{http: {{GET: /, base: app}}}}]}}
  b: {{steps: [{{http: {{GET: /, base: app}}}}]}}
  c: {{needs: [a, b], steps: [{{http: {{GET: /end, base: app}}}}]}}
  d: {{requires: [odd], steps: [{{http: {{GET: /, base: app}}}}]}}
""",
    )
    done = on_nodes(project, "--engine", "dask")
    assert done.code == 0, done.out + done.err
    assert project.verdicts() == {"cli:a": "passed", "cli:b": "passed", "cli:c": "passed", "cli:d": "skipped"}
    begun = [event["body"] for event in project.events("attempt_started")]
    assert {one["node"] for one in begun} <= {"node1", "node2"}
    assert all(one["holds"] == {"app": f"app@{one['node']}"} for one in begun)
    rows = rows_of(project)
    ended = begun[-2]["node"]  # the node on which the first attempt at `c` ended the server
    assert (f"app@{ended}", "unhealthy", "ended with exit code 7 while tests ran") in rows
    assert {name for name, _, _ in rows} <= {f"{name}@node{number}" for name in ("app", "odd") for number in (1, 2)}
    assert {state for name, state, _ in rows if name == f"app@{ended}"} >= {
        "starting",
        "healthy",
        "unhealthy",
        "stopped",
    }
    assert {event["body"]["id"] for event in project.events("incident")} == {f"app@{ended}-1"}
    assert attempts(project, "cli:c")[0] == ("failed", ended)
    assert "it was asked to end" in (project.folder / "attempts/cli/c/1/services/app.log").read_text()
    [skipped] = [event["body"] for event in project.events("verdict") if event["body"]["task"] == "cli:d"]
    assert re.match(r"requires odd@node[12], which ended with exit code 3 at each of 1 starts", skipped["reason"])
    assert not left_of(project)
    assert project.run("audit").code == 0
    assert project.run("run").code == 0, "here it is one, as any other"
    assert {name for name, _, _ in rows_of(project)} == {"app", "odd"}


def test_the_instance_of_a_node_ends_with_it(cluster, project):
    on_each_node(
        project,
        """defaults: {retries: {max: 1, on: [crash]}}
tests:
  a: {steps: [{http: {GET: /wait, base: app}}]}
""",
    )
    first = cluster.node("first")
    run = cluster.run()
    until(lambda: list(project.root.glob("waits-*")), "the server of the first node to be asked")
    [served] = project.root.glob("waits-*")
    healthy = "\nserver      app@first  healthy  http://127.0.0.1:"  # a node tells it with its next heartbeat
    until(lambda: healthy in project.run("status").out, "the news of the node")
    assert "app@first" in project.run("health").out
    first.kill()
    first.wait(SECONDS)
    until(lambda: not living(int(served.name.removeprefix("waits-"))), "its server to end")
    cluster.node("second")
    until(lambda: len(list(project.root.glob("waits-*"))) > 1, "the server of the second node to be asked")
    (project.root / "go").touch()
    out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, out + err
    assert attempts(project, "cli:a") == [("error", "first"), ("passed", "second")]
    rows = rows_of(project)
    assert ("app@first", "stopped", "its node is gone") in rows
    assert [state for name, state, _ in rows if name == "app@second"] == ["starting", "healthy", "stopped"]
    assert not left_of(project)
