"""The health matrix over real servers: what starts when, what is accepted, watched, recovered, and what is left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from orchestra.plan import Backoff, Component, Job, Probe, Ready, RecoveryStep, Service
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.port import busy
from orchestra.runtime.servers.recovery import start_bound_seconds
from tests.support.servers import QUICK, Ground, carriers, free_range, live, until

RESTART, RETRY, FAILOVER, PORT = (RecoveryStep(kind) for kind in ("restart", "retry", "failover", "port"))


@pytest.fixture
def ground(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    ground = Ground(tmp_path, request.node.name.partition("[")[0])
    yield ground
    ground.close()


class _Gate:
    """A sleep that mends the backend once its incident is open: what heals by itself has healed before the next try."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def sleep(self, seconds: float) -> None:
        if "backend unhealthy" in self.ground.story("backend"):
            self.ground.mode("backend", "ok")
        await asyncio.sleep(seconds)


def job(name: str, program: str, **more: object) -> Component:
    return Component(name, name, job=Job((sys.executable, "-c", program)), **more)


# ---------------------------------------------------------------------------------------------------------------- order


def test_a_suite_without_components_has_nothing_to_do(ground):
    matrix = ground.matrix()
    matrix.request(())
    assert matrix.names() == {}
    assert matrix.required_by(()) == ()
    matrix.close()
    matrix.close()
    assert ground.events == []


def test_needs_start_first_and_end_last_and_only_what_is_asked_for(ground):
    seed = job("seed", "open('seeded', 'w')")
    backend = ground.service("backend", needs=("seed",))
    frontend = ground.service("frontend", "--api", "${backend.url}", needs=("backend",))
    other = ground.service("other")
    matrix = ground.matrix(frontend, other, backend, seed)
    assert matrix.required_by(["frontend"]) == ("frontend", "backend", "seed")
    assert matrix.row("frontend").state == "idle"
    rows = ground.settle(matrix, "frontend", "backend", "seed")
    assert [row.state for row in rows] == ["healthy"] * 3, rows
    assert matrix.row("other").state == "idle"
    low, _ = backend.service.ports
    assert matrix.names() == {
        "backend.host": "127.0.0.1",
        "backend.port": str(low),
        "backend.url": f"http://127.0.0.1:{low}",
        **{f"frontend.{part}": value for part, value in _address(frontend).items()},
    }
    assert rows[1].url == f"http://127.0.0.1:{low}"
    assert f"http://127.0.0.1:{low}" in psutil.Process(rows[0].pid).cmdline()
    assert len(carriers(ground.mark)) == 2
    matrix.close()
    assert ground.story() == [
        "seed starting",
        "seed healthy",
        "backend starting",
        "backend healthy",
        "frontend starting",
        "frontend healthy",
        "frontend stopped",
        "backend stopped",
    ]
    assert carriers(ground.mark) == []


def _address(component: Component) -> dict[str, str]:
    assert component.service is not None
    assert component.service.ports is not None
    low = component.service.ports[0]
    return {"host": "127.0.0.1", "port": str(low), "url": f"http://127.0.0.1:{low}"}


def test_what_does_not_need_each_other_starts_at_the_same_time(ground):
    # Each of the two ends only when it has seen the other: one after the other, neither would.
    program = (
        "import os, sys, time\n"
        "open(sys.argv[1], 'w'); begin = time.monotonic()\n"
        "while not os.path.exists(sys.argv[2]):\n"
        "    time.sleep(0.01)\n"
        "    assert time.monotonic() < begin + 100\n"
    )
    pair = [
        Component(one, one, job=Job((sys.executable, "-c", program, one, two))) for one, two in (("a", "b"), ("b", "a"))
    ]
    assert [row.state for row in ground.settle(ground.matrix(*pair), "a", "b")] == ["healthy", "healthy"]


def test_a_job_that_fails_says_how_and_what_needs_it_does_not_start(ground):
    seed = job("seed", "import sys; print('reading'); sys.exit('no such table: quotes')")
    backend = ground.service("backend", needs=("seed",))
    frontend = ground.service("frontend", needs=("backend",))
    matrix = ground.matrix(seed, backend, frontend)
    rows = ground.settle(matrix, "seed", "backend", "frontend")
    why = "ended with exit code 1; its last words: reading | no such table: quotes"
    assert [row.reason for row in rows] == [
        why,
        f"needs seed, which {why}",
        f"needs backend, which needs seed, which {why}",
    ]
    assert rows[0].hint == f"its output is in {ground.root / 'run/services/seed.log'}"
    assert ground.story() == ["seed starting", "seed failed", "backend failed", "frontend failed"]


def test_a_job_that_does_not_end_is_ended_with_its_tree(ground):
    program = "import subprocess, time; subprocess.Popen(['sleep', '1000'], start_new_session=True); time.sleep(1000)"
    slow = Component("slow", "slow", job=Job((sys.executable, "-c", program), timeout_seconds=1.0))
    (row,) = ground.settle(ground.matrix(slow), "slow")
    assert (row.state, row.reason) == ("failed", "did not end within 1 s")
    assert carriers(ground.mark) == []


def test_a_job_whose_result_is_missing_has_failed(ground):
    seed = job("seed", "", ready=Ready(Probe("file", {"path": "market.json"}), 0.3))
    (row,) = ground.settle(ground.matrix(seed), "seed")
    assert row.reason == "did not get ready within 0.3 s: 'market.json' cannot be used: No such file or directory"


# ---------------------------------------------------------------------------------------------------------------- start


def test_one_that_dies_twice_and_then_works_is_started_three_times(ground):
    matrix = ground.matrix(ground.service("backend", "dies=2"))
    (row,) = ground.settle(matrix, "backend")
    assert (row.state, row.attempts, row.pid) == ("healthy", 3, ground.starts("backend")[2])
    reasons = [body.reason for body in ground.events if body.state == "starting"]
    assert [body.attempt for body in ground.events if body.state == "starting"] == [1, 2, 3]
    assert reasons[0] == ""
    assert reasons[2].startswith("ended with exit code 1 before it was ready; its last words: start 2 of ")
    assert reasons[2].endswith("| no data for start 2")
    log = (ground.root / "run/services/backend.log").read_text()
    assert [line.split(" ", 1)[1].partition(":")[0] for line in log.splitlines() if "[start" in line] == [
        "[start 1",
        "[start 2",
        "[start 3",
    ]


def test_one_that_always_dies_fails_after_its_tries(ground):
    matrix = ground.matrix(ground.service("backend", "dies=99"))
    (row,) = ground.settle(matrix, "backend")
    assert row.state == "failed"
    assert row.reason.startswith("ended with exit code 1 at each of 3 starts; its last words: start 3 of ")
    assert len(ground.starts("backend")) == 3


def test_one_that_never_gets_ready_says_the_bound_and_what_was_seen(ground):
    backend = ground.service("backend", "never", ready=Ready(Probe("http", {"path": "/health"}), 4.0))
    (row,) = ground.settle(ground.matrix(backend), "backend")
    url = f"http://127.0.0.1:{backend.service.ports[0]}/health"
    assert row.state == "failed"
    assert row.reason.startswith(
        f"did not get ready within 4 s: GET {url}: nothing listens there; it listens on no port; its last words: start 1 of "
    )
    assert carriers(ground.mark) == []


@pytest.mark.parametrize(
    "mode, said",
    [
        ("hang", "gave no answer within 0.2 s"),
        pytest.param("trickle", "gave no answer within 0.2 s", marks=pytest.mark.nightly),
        ("500", """answered 500, not 200: '{"status": "ok", "pid": """),
        ("wrong", 'did not answer JSON: "somebody else\'s page"'),
        # By day one of the words of httpx is enough.
        pytest.param("cut", "peer closed connection without sending complete message body", marks=pytest.mark.nightly),
        ("close", "Server disconnected without sending a response."),
    ],
)
def test_a_wrong_answer_is_told_and_a_right_one_accepted_later(ground, mode, said):
    args = {"path": "/", "json": {"status": "ok"}}
    short, patient = (0.2, 5.0) if mode in {"hang", "trickle"} else (60.0, 60.0)
    probe = Probe("http", args, short)
    good = ground.service("good", ready=Ready(Probe("http", args, patient), 100.0))
    ground.mode("good", mode)
    port = free_range(1)[0]
    ground.stranger(port)
    ground.mode("stranger", mode)
    bad = Component(
        "bad", "b", url=f"http://127.0.0.1:{port}", ready=Ready(probe, 100.0), retries=QUICK, identity="none"
    )
    matrix = ground.matrix(bad, good)
    matrix.request(["bad", "good"])
    ground.until(matrix, ["bad"], lambda row: row.state == "failed")
    assert matrix.row("bad").reason.startswith(f"is not reachable: GET http://127.0.0.1:{port}/")
    assert said in matrix.row("bad").reason
    assert matrix.row("good").state == "starting"
    ground.mode("good", "ok")
    ground.until(matrix, ["good"], lambda row: row.state == "healthy")


def test_one_that_dies_while_a_probe_hangs_is_not_waited_for(ground):
    probe = Probe("http", {"path": "/"}, 1000.0)
    matrix = ground.matrix(ground.service("backend", ready=Ready(probe, 2000.0), retries=QUICK))
    ground.mode("backend", "hang")
    matrix.request(["backend"])
    until((ground.root / "run/services/backend.log").exists, "a log")
    until(lambda: "listening" in (ground.root / "run/services/backend.log").read_text(), "a server")
    ground.mode("backend", "ok")
    os.kill(ground.starts("backend")[0], signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy")
    assert "ended with signal SIGKILL before it was ready" in ground.events[1].reason


def test_a_command_that_does_not_exist_is_told_with_its_mend(ground):
    backend = Component("backend", "b", service=Service(("no-such-server",)))
    (row,) = ground.settle(ground.matrix(backend), "backend")
    assert row.reason == f"cannot be started: command 'no-such-server' was not found (cwd '{ground.root}')"
    assert "PATH" in row.hint


def test_a_name_without_a_value_is_told_with_its_mend(ground):
    rows = ground.settle(
        ground.matrix(
            Component("a", "a", service=Service(("echo", "${b.url}"))),
            Component("b", "b", service=Service(("echo", "${env.NOT_THERE}"))),
            Component("c", "c", service=Service(("echo", "${port}"))),
        ),
        *"abc",
    )
    assert [(row.reason, row.hint) for row in rows] == [
        ("cannot be started: ${b.url} has no value yet", "add b to its `needs`"),
        ("cannot be started: the environment variable NOT_THERE is not set", "export NOT_THERE=…"),
        ("cannot be started: ${port} has no value yet", "give it a `port` or a `port_range`"),
    ]


def test_a_service_without_ready_has_to_run_for_a_moment(ground):
    good = Component("good", "g", service=Service(("sleep", "1000")))
    bad = Component("bad", "b", service=Service(("sh", "-c", "echo sorry; exit 3")), retries=QUICK)
    rows = ground.settle(ground.matrix(good, bad), "good", "bad")
    assert [row.state for row in rows] == ["healthy", "failed"]
    assert rows[1].reason == "ended with exit code 3 at each of 3 starts; its last words: sorry"


def test_a_port_that_the_service_chose_itself_is_read_from_its_output(ground):
    ready = Ready(Probe("log", {"match": r"^listening on (?P<port>\d+)$"}))
    words = (sys.executable, "server.py", "0", "backend", "port0")
    (ground.root / "backend").mkdir()
    backend = Component("backend", "b", service=Service(words), ready=ready)
    user = Component(
        "user", "u", needs=("backend",), ready=Ready(Probe("http", {"url": "${backend.url}/"})), identity="none"
    )
    matrix = ground.matrix(backend, user)
    rows = ground.settle(matrix, "backend", "user")
    assert [row.state for row in rows] == ["healthy", "healthy"], rows
    assert matrix.names()["backend.url"] == f"http://127.0.0.1:{rows[0].port}"


# ------------------------------------------------------------------------------------------------------------- identity


ELSEWHERE = "import socket, sys, time\ns = socket.create_server((sys.argv[1], int(sys.argv[2])), family=getattr(socket, sys.argv[3]))\ntime.sleep(600)"


@pytest.mark.parametrize(
    "argv, reason, hint",
    [
        (("::1", "${port}", "AF_INET6"), "it listens on [::1]:{port}, not on 127.0.0.1:{port}", '`host: "::1"`'),
        (
            ("127.0.0.1", "{other}", "AF_INET"),
            "it listens on 127.0.0.1:{other}, not on 127.0.0.1:{port}",
            "`port: {other}`",
        ),
        ((), "it listens on no port", "its output is in"),
    ],
)
@pytest.mark.parametrize(
    "probe",  # the sockets are the same by each, and http is the usual one
    [Probe("http", {"path": "/"}), pytest.param(Probe("tcp", {}), marks=pytest.mark.nightly)],
    ids=lambda probe: probe.kind,
)
def test_a_server_that_listens_elsewhere_is_named_with_the_sockets_that_it_holds(ground, argv, reason, hint, probe):
    (port, _), (other, _) = free_range(1), free_range(1)
    words = tuple(word.replace("{other}", str(other)) for word in argv)
    program = ELSEWHERE if argv else "import time; time.sleep(600)"
    service = Service((sys.executable, "-c", program, *words), ports=(port, port))
    one = Component("one", "one", service=service, ready=Ready(probe, 2.0), retries=QUICK)
    [row] = ground.settle(ground.matrix(one), "one")
    assert reason.format(port=port, other=other) in row.reason
    assert hint.format(other=other) in row.hint


def test_a_taken_port_is_passed_over_and_its_owner_left_alone(ground):
    low, high = free_range(3)
    stranger = ground.stranger(low)
    (row,) = ground.settle(ground.matrix(ground.service("backend", ports=(low, high))), "backend")
    assert (row.state, row.port) == ("healthy", low + 1)
    assert stranger.poll() is None


def test_a_range_that_is_all_taken_names_each_owner(ground):
    low, high = free_range(2)
    first, second = ground.stranger(low), ground.stranger(high)
    (row,) = ground.settle(ground.matrix(ground.service("backend", ports=(low, high))), "backend")
    assert row.state == "failed"
    command = f"{sys.executable} server.py"
    assert row.reason == (
        f"found no free port in {low}-{high}: port {low} is held by process {first.pid} ({command} {low} stranger); "
        f"port {high} is held by process {second.pid} ({command} {high} stranger)"
    )
    assert (first.poll(), second.poll()) == (None, None)


def test_a_stranger_who_answers_in_place_of_the_service_is_never_accepted(ground):
    low, high = free_range(2)
    # It looks at another port than the one where it was told to listen, where somebody else is.
    stranger = ground.stranger(low)
    backend = ground.service("backend", ports=(high, high))
    probe = Probe("http", {"url": f"http://127.0.0.1:{low}/"})
    backend = Component("backend", "b", service=backend.service, ready=Ready(probe, 60.0), retries=QUICK)
    (row,) = ground.settle(ground.matrix(backend), "backend")
    assert row.state == "failed"
    assert f"port {low} is answered by process {stranger.pid} ({sys.executable} server.py {low} stranger)" in row.reason
    assert stranger.poll() is None
    again = Component("backend", "b", service=backend.service, ready=backend.ready, identity="none")
    (row,) = ground.settle(ground.matrix(again, run="again"), "backend")
    assert (row.state, row.identity) == ("healthy", "none")


def test_a_service_that_forks_away_is_its_own_answerer_and_is_ended(ground):
    matrix = ground.matrix(ground.service("backend", "daemon", live=live(), recover=(RESTART,)))
    (row,) = ground.settle(matrix, "backend")
    assert row.state == "healthy", row
    assert len(carriers(ground.mark)) == 1
    (daemon,) = carriers(ground.mark)
    assert daemon.pid != row.pid
    daemon.kill()
    ground.until(matrix, ["backend"], lambda now: now.state == "healthy" and now.attempts >= 2)
    assert matrix.row("backend").attempts == 2, ground.events
    matrix.close()
    assert carriers(ground.mark) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nobody tells of the end of a process")
@pytest.mark.parametrize("flags", [(), ("daemon",)])
def test_the_end_of_a_service_is_told_and_not_asked_for_ever_anew(ground, flags):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        await asyncio.sleep(seconds)

    matrix = ground.matrix(ground.service("backend", *flags, recover=(RESTART,)), sleep=sleep)
    ground.settle(matrix, "backend")
    pauses.clear()
    for process in carriers(ground.mark):
        process.kill()
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy" and row.attempts == 2)
    assert not {0.002, 0.5} & set(pauses)


def test_two_matrices_at_once_share_one_range(ground):
    ports = free_range(4)
    matrices = [ground.matrix(ground.service("backend", ports=ports), run=f"run{index}") for index in range(3)]
    for matrix in matrices:
        matrix.request(["backend"])
    for matrix in matrices:
        ground.until(matrix, ["backend"], lambda row: row.state == "healthy")
    assert len({matrix.row("backend").port for matrix in matrices}) == 3
    assert len({matrix.row("backend").pid for matrix in matrices}) == 3
    assert all(matrix.row("backend").attempts == 1 for matrix in matrices), "reserved, not found out by a death"


def test_a_reply_of_the_wrong_server_elsewhere_is_refused(ground):
    low, _ = free_range(1)
    ground.stranger(low)
    ready = Ready(Probe("http", {"path": "/"}), 100.0)
    fields = {"url": f"http://127.0.0.1:{low}/", "ready": ready, "retries": QUICK}
    rows = ground.settle(
        ground.matrix(
            Component("header", "h", identity={"header": {"Server": "tiny"}}, **fields),
            Component("other", "o", identity={"header": {"Server": "huge"}}, **fields),
            Component("json", "j", identity={"json": {"status": "ok"}}, **fields),
            Component("none", "n", identity="none", required=False, **fields),
        ),
        "header",
        "other",
        "json",
        "none",
    )
    assert [row.state for row in rows] == ["healthy", "failed", "healthy", "healthy"]
    assert [row.identity for row in rows] == ["header", "header", "json", "none"]
    assert [row.required for row in rows] == [True, True, True, False]
    assert rows[0].url == f"http://127.0.0.1:{low}"
    assert rows[1].reason == (
        f"is not reachable: GET http://127.0.0.1:{low}/ was answered by another server: "
        "its header 'Server' is 'tiny', not 'huge'"
    )


# --------------------------------------------------------------------------------------------------------------- checks


def test_a_check_says_what_it_found(ground):
    secret = "sk-very-secret"
    checks = {
        "tool": Probe("run", {"argv": [sys.executable, "-c", "print('v22.1')"], "stdout": r"^v2\d"}, 60.0),
        "missing": Probe("run", {"argv": ["no-such-tool"]}),
        "key": Probe("env", {"name": "KEY", "match": "^pk-"}),
        "unset": Probe("env", {"name": "UNSET"}),
    }
    components = [Component(name, name, ready=Ready(probe, 60.0), retries=QUICK) for name, probe in checks.items()]
    rows = ground.settle(ground.matrix(*components, env={"KEY": secret}), *checks)
    assert [row.state for row in rows] == ["healthy", "failed", "failed", "failed"]
    assert rows[1].reason == f"failed its check: command 'no-such-tool' was not found (cwd '{ground.root}')"
    assert rows[2].reason == "failed its check: KEY is set, but does not match '^pk-'"
    assert rows[3].reason == "failed its check: the environment variable UNSET is not set"
    assert rows[3].hint == "export UNSET=…"
    assert secret not in str(rows) + str(ground.events)


def test_a_check_that_fails_is_asked_again_as_often_as_declared(ground):
    program = "import os; open('asked', 'a').write('x'); raise SystemExit(os.path.getsize('asked') < 3)"
    probe = Probe("run", {"argv": [sys.executable, "-c", program]}, 60.0)
    (row,) = ground.settle(ground.matrix(Component("tool", "t", ready=Ready(probe, 100.0), retries=QUICK)), "tool")
    assert row.state == "healthy"
    assert (ground.root / "asked").read_text() == "xxx"


# -------------------------------------------------------------------------------------------------------------- watching


def test_a_death_is_an_incident_and_dependents_start_again_behind_it(ground):
    backend = ground.service("backend", live=live(), recover=(RESTART,))
    frontend = ground.service("frontend", "${backend.url}", needs=("backend",), live=live())
    matrix = ground.matrix(frontend, backend)
    ground.settle(matrix, "frontend", "backend")
    names = matrix.names()
    os.kill(matrix.row("backend").pid, signal.SIGKILL)
    ground.until(matrix, ["backend", "frontend"], lambda row: row.state == "healthy" and row.attempts == 2)
    assert ground.story()[4:] == [
        "backend unhealthy",
        "frontend unhealthy",
        "backend starting",
        "backend healthy restart",
        "frontend starting",
        "frontend healthy",
    ]
    assert ground.events[4].reason == "ended with signal SIGKILL while tests ran"
    assert ground.events[5].reason == "waits for backend, which is being recovered"
    assert matrix.names() == names, "the ports stay, so that open pages find their servers"
    assert len(carriers(ground.mark)) == 2


@pytest.mark.parametrize("how", ["hang", "500", "stopped"])
def test_a_service_that_lives_but_does_not_answer_is_restarted(ground, how):
    backend = ground.service(
        "backend", "deaf", live=live(timeout=0.5, failures=2), recover=(RESTART,), grace_seconds=0.2
    )
    matrix = ground.matrix(backend)
    (row,) = ground.settle(matrix, "backend")
    if how == "stopped":
        os.kill(row.pid, signal.SIGSTOP)
    else:
        ground.mode("backend", how)
    ground.until(matrix, ["backend"], lambda row: row.state != "healthy")
    assert matrix.row("backend").reason.startswith("missed 2 probes in a row while tests ran: ")
    ground.mode("backend", "ok")
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy" and row.attempts == 2)
    assert not psutil.pid_exists(row.pid)


def test_a_hiccup_is_healed_by_asking_again_and_nothing_is_restarted(ground):
    backend = ground.service("backend", live=live(failures=1), recover=(RETRY, RESTART), retries=QUICK)
    frontend = ground.service("frontend", needs=("backend",))
    matrix = ground.matrix(backend, frontend, rand=lambda: 0.5, sleep=_Gate(ground).sleep)
    ground.settle(matrix, "backend", "frontend")
    pids = [matrix.row(name).pid for name in ("backend", "frontend")]
    ground.mode("backend", "500")
    ground.until(matrix, ["backend"], lambda row: "unhealthy" in " ".join(ground.story("backend")))
    ground.until(matrix, ["backend", "frontend"], lambda row: row.state == "healthy")
    assert [matrix.row(name).pid for name in ("backend", "frontend")] == pids
    assert "backend healthy retry" in ground.story()
    assert "backend healthy restart" not in ground.story()


def test_repair_then_restart_then_the_backup_in_the_order_declared(ground):
    backend = ground.service("backend", live=live(), retries=QUICK)
    repair = RecoveryStep("run", (sys.executable, "-c", "open('repaired', 'a').write('x')"))
    failing = RecoveryStep("run", ("no-such-repair",))
    # After the first start, the primary dies at once, for ever.
    program = (
        "import os, sys\nif os.path.exists('backend/starts'): sys.exit('no primary')\nexec(open('server.py').read())"
    )
    primary = Service((sys.executable, "-c", program, "${port}", "backend"), ports=backend.service.ports)
    backup = Service((sys.executable, "server.py", "${port}", "backend"), ports=backend.service.ports)
    backend = Component(
        "backend",
        "b",
        service=primary,
        failover=backup,
        ready=backend.ready,
        live=backend.live,
        retries=QUICK,
        recover=(failing, repair, RESTART, FAILOVER),
    )
    matrix = ground.matrix(backend)
    (row,) = ground.settle(matrix, "backend")
    assert (row.state, row.degraded) == ("healthy", "")
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda now: now.degraded != "" and now.state == "healthy")
    assert [one for one in ground.story() if "starting" not in one][1:] == [
        "backend unhealthy",
        "backend unhealthy run",
        "backend unhealthy run",
        "backend unhealthy restart",
        "backend healthy failover",
    ]
    row = matrix.row("backend")
    assert (row.degraded, row.incidents, row.recoveries) == ("backend on failover", 1, 4)
    assert (ground.root / "repaired").read_text() == "x"
    reasons = [body.reason for body in ground.events if body.action]
    assert reasons[0].startswith("has a repair that cannot be started: command 'no-such-repair' was not found")
    assert reasons[1] == "does not run"
    assert reasons[2].startswith("ended with exit code 1 at each of 3 starts; its last words: no primary")


def test_a_primary_that_never_comes_up_is_replaced_by_its_failover(ground):
    low, high = free_range(4)
    dies = (sys.executable, "-c", "import sys; sys.exit('no primary')", "${port}")
    backend = ground.service("backend", live=live(), recover=(RESTART, FAILOVER))
    backup = backend.service
    backend = structs.replace(backend, service=Service(dies, ports=(low, high)), failover=backup)
    frontend = ground.service("frontend", needs=("backend",))
    matrix = ground.matrix(backend, frontend)
    (row, _) = ground.settle(matrix, "backend", "frontend")
    assert (row.state, row.degraded, row.incidents, row.failovers) == ("healthy", "backend on failover", 0, 1)
    assert (matrix.row("frontend").state, ground.story("backend")[-1]) == ("healthy", "backend healthy failover")
    assert set(ground.story("backend")) == {"backend starting", "backend healthy failover"}
    [why] = [body.reason for body in ground.events if body.reason.endswith("; starts its failover")]
    assert why.startswith("ended with exit code 1 at each of 3 starts; its last words: no primary")
    # It is watched and recovered as any other.
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend", "frontend"], lambda now: now.state == "healthy" and now.pid != row.pid)
    assert matrix.row("backend").incidents == 1


def test_a_failover_that_does_not_come_up_either_ends_with_both_reasons(ground):
    ports = free_range(4)
    dies = Service((sys.executable, "-c", "import sys; sys.exit('no primary')", "${port}"), ports=ports)
    fails = Service((sys.executable, "-c", "import sys; sys.exit('no backup')", "${port}"), ports=ports)
    backend = structs.replace(ground.service("backend", recover=(FAILOVER,)), service=dies, failover=fails)
    (row,) = ground.settle(ground.matrix(backend), "backend")
    assert (row.state, row.degraded) == ("failed", "")
    first, _, second = row.reason.partition("; its failover ")
    assert first == "ended with exit code 1 at each of 3 starts; its last words: no primary"
    assert second == "ended with exit code 1 at each of 3 starts; its last words: no backup"


def test_a_repair_that_does_not_end_in_its_time_is_ended_and_the_next_rung_is_taken(ground):
    sleeps = RecoveryStep("run", (sys.executable, "-c", "import time; time.sleep(1000)"), 0.5)
    backend = ground.service("backend", live=live(), recover=(sleeps, RESTART))
    matrix = ground.matrix(backend)
    ground.settle(matrix, "backend")
    os.kill(matrix.row("backend").pid, signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy" and row.attempts == 2)
    [said] = [body.reason for body in ground.events if body.action == "run"]
    assert said == "has a repair that did not end within 0.5 s"
    assert ground.story("backend")[-1] == "backend healthy restart"


def test_past_the_last_recovery_step_it_has_failed_and_so_has_what_needs_it(ground):
    backend = ground.service("backend", "dies=0", live=live(), recover=(RETRY,), retries=QUICK)
    frontend = ground.service("frontend", needs=("backend",))
    matrix = ground.matrix(backend, frontend)
    ground.settle(matrix, "backend", "frontend")
    os.kill(matrix.row("backend").pid, signal.SIGKILL)
    ground.until(matrix, ["backend", "frontend"], lambda row: row.state == "failed")
    why = "ended with signal SIGKILL while tests ran, and no step of its `recover` restarts it"
    assert matrix.row("backend").reason == why
    assert matrix.row("backend").hint == "write recover: [retry, restart]"
    assert matrix.row("frontend").reason == f"needs backend, which {why}"
    assert carriers(ground.mark) == []


def test_to_ask_a_dead_process_again_is_passed_over_and_costs_nothing(ground):
    patient = Backoff(max=9, initial_seconds=600.0, max_seconds=600.0)
    matrix = ground.matrix(ground.service("backend", live=live(), recover=(RETRY, RESTART), retries=patient))
    (row,) = ground.settle(matrix, "backend")
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy" and row.attempts == 2)
    assert ground.story("backend")[-3:] == ["backend unhealthy", "backend starting", "backend healthy restart"]
    [opened] = [body for body in ground.events if body.state == "unhealthy" and not body.action and body.bound_seconds]
    assert opened.bound_seconds < start_bound_seconds(matrix._members["backend"].component) + 600


def test_what_was_tried_is_counted(ground):
    backend = ground.service("backend", live=live(), recover=(RETRY, RESTART), retries=QUICK)
    matrix = ground.matrix(backend)
    ground.settle(matrix, "backend")
    (ground.root / "server.py").write_text("raise SystemExit(9)")
    ground.mode("backend", "500")
    ground.until(matrix, ["backend"], lambda row: row.state == "failed")
    assert matrix.row("backend").reason.endswith(" and was not brought back by 2 retries and 1 restart")


def test_without_recovery_steps_a_death_is_the_end_and_the_hint_says_so(ground):
    matrix = ground.matrix(ground.service("backend"))
    (row,) = ground.settle(matrix, "backend")
    os.kill(row.pid, signal.SIGTERM)
    ground.until(matrix, ["backend"], lambda row: row.state == "failed")
    row = matrix.row("backend")
    assert row.reason == "ended with exit code 0 while tests ran and has no `recover`"
    assert row.hint == "declare a recovery policy: recover: [restart]"


def test_a_port_that_was_taken_between_death_and_restart_is_passed_over(ground):
    low, high = free_range(3)
    # The repair ends when the thief is there, so that the restart comes after him.
    wait = "import os, time\nwhile not os.path.exists('taken'): time.sleep(0.01)"
    policy = (RecoveryStep("run", (sys.executable, "-c", wait)), RESTART)
    matrix = ground.matrix(ground.service("backend", ports=(low, high), recover=policy))
    (row,) = ground.settle(matrix, "backend")
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda now: now.state == "unhealthy")
    thief = ground.stranger(low)
    (ground.root / "taken").touch()
    ground.until(matrix, ["backend"], lambda now: now.state == "healthy")
    assert (matrix.row("backend").port, thief.poll()) == (low + 1, None)


def test_the_rung_port_moves_to_another_port_and_dependents_hear_of_it(ground):
    backend = ground.service("backend", live=live(), recover=(PORT,))
    frontend = ground.service("frontend", "${backend.url}", needs=("backend",))
    matrix = ground.matrix(backend, frontend)
    (row, _) = ground.settle(matrix, "backend", "frontend")
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend", "frontend"], lambda now: now.state == "healthy" and now.attempts == 2)
    assert matrix.row("backend").port != row.port
    assert matrix.names()["backend.url"] in psutil.Process(matrix.row("frontend").pid).cmdline()


BAKE = "import sys; open('baked', 'a').write(sys.argv[1] + chr(10))"


def between(ground, *policy: RecoveryStep, retries: Backoff = QUICK) -> list[Component]:
    """A server, a job that bakes its address into a file, what is elsewhere by that address, and a server behind both."""
    backend = ground.service("backend", live=live(), recover=policy, retries=retries)
    bake = Component("bake", "bake", needs=("backend",), job=Job((sys.executable, "-c", BAKE, "${backend.url}")))
    far = Component(
        "far", "far", needs=("backend",), url="${backend.url}/far", ready=Ready(Probe("http", {"path": "/"}), 60.0)
    )
    frontend = ground.service("frontend", "${far.url}", needs=("bake", "far"))
    return [frontend, far, bake, backend]


def test_a_job_and_an_address_between_two_services_follow_the_one_below_when_it_moves(ground):
    matrix = ground.matrix(*between(ground, RETRY, PORT))
    ground.settle(matrix, "frontend")
    before = matrix.names()
    os.kill(matrix.row("backend").pid, signal.SIGKILL)
    ground.until(
        matrix, ["backend", "bake", "far", "frontend"], lambda row: row.state == "healthy" and row.attempts == 2
    )
    now = matrix.names()
    assert now["backend.url"] != before["backend.url"]
    assert (ground.root / "baked").read_text().split() == [before["backend.url"], now["backend.url"]]
    assert now["far.url"] == f"{now['backend.url']}/far"
    assert now["far.url"] in psutil.Process(matrix.row("frontend").pid).cmdline()
    [*_, last] = [body for body in ground.events if body.component == "bake" and body.state == "unhealthy"]
    assert last.reason == "waits for backend, which is being recovered"


def test_a_job_is_not_run_again_where_what_it_rests_on_was_not_started_again(ground):
    patient = Backoff(max=100_000, initial_seconds=0.01, max_seconds=0.05)
    matrix = ground.matrix(*between(ground, RETRY, PORT, retries=patient))
    ground.settle(matrix, "frontend")
    (pid, frontend) = (matrix.row("backend").pid, matrix.row("frontend").pid)
    ground.mode("backend", "500")
    ground.until(matrix, ["backend"], lambda row: row.state == "unhealthy")
    ground.mode("backend", "ok")
    ground.until(matrix, ["backend", "bake", "far", "frontend"], lambda row: row.state == "healthy")
    assert (matrix.row("backend").pid, matrix.row("frontend").pid) == (pid, frontend)
    assert (len((ground.root / "baked").read_text().split()), matrix.row("bake").attempts) == (1, 1)


def test_two_that_die_at_once_both_come_back(ground):
    backend = ground.service("backend", live=live(), recover=(RESTART,))
    other = ground.service("other", live=live(), recover=(RESTART,))
    frontend = ground.service("frontend", needs=("backend", "other"), live=live(), recover=(RESTART,))
    matrix = ground.matrix(backend, other, frontend)
    ids = ("backend", "other", "frontend")
    rows = ground.settle(matrix, *ids)
    for row in rows:
        os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ids, lambda row: row.state == "healthy" and row.attempts >= 2)
    assert len(carriers(ground.mark)) == 3


# ----------------------------------------------------------------------------------------------------------------- ends


def test_one_that_ignores_term_is_killed_after_its_grace(ground):
    matrix = ground.matrix(ground.service("backend", "deaf", grace_seconds=0.3))
    (row,) = ground.settle(matrix, "backend")
    begin = time.monotonic()
    matrix.close()
    assert time.monotonic() - begin >= 0.3
    assert not psutil.pid_exists(row.pid)
    assert matrix.row("backend").state == "stopped"


def test_the_stop_signal_is_the_one_declared(ground):
    program = "import signal, sys, time\ndef bye(*_): print('bye', flush=True); sys.exit()\nsignal.signal(signal.SIGINT, bye)\nprint('up', flush=True)\ntime.sleep(1000)"
    one = Component(
        "one",
        "o",
        service=Service((sys.executable, "-c", program), stop_signal="INT", grace_seconds=100.0),
        ready=Ready(Probe("log", {"match": "^up$"})),
    )
    matrix = ground.matrix(one)
    ground.settle(matrix, "one")
    matrix.close()
    assert (ground.root / "run/services/one.log").read_text().endswith(" bye\n")


def test_closing_in_the_middle_of_a_start_leaves_nothing(ground):
    backend = ground.service("backend", "never", "deaf", grace_seconds=0.1)
    frontend = ground.service("frontend", needs=("backend",))
    matrix = ground.matrix(backend, frontend)
    matrix.request(["frontend"])
    ground.until(matrix, ["backend"], lambda row: row.state == "starting")
    matrix.close()
    assert carriers(ground.mark) == []
    matrix.request(["frontend"])
    assert matrix.row("frontend").state == "idle"


def test_closing_in_the_middle_of_a_job_leaves_nothing(ground):
    matrix = ground.matrix(job("slow", "import time; time.sleep(1000)"))
    matrix.request(["slow"])
    until(lambda: carriers(ground.mark), "the job")
    matrix.close()
    assert carriers(ground.mark) == []


def test_the_reaper_knows_every_service_and_forgets_it(ground):
    reaper = Reaper.start(ground.mark)
    matrix = ground.matrix(ground.service("backend"), reaper=reaper)
    (row,) = ground.settle(matrix, "backend")
    assert set(reaper._told) == {row.pid}
    matrix.close()
    assert reaper._told == {}
    reaper.close()


def test_a_disk_that_refuses_the_record_does_not_stop_the_services(ground):
    from orchestra.errors import MachineError

    def refuse(body, ago_seconds):
        raise MachineError("no space left")

    matrix = ground.matrix(ground.service("backend"))
    matrix._on_event = refuse
    (row,) = ground.settle(matrix, "backend")
    assert row.state == "healthy"


def test_a_bug_of_ours_fails_the_component_and_holds_up_nobody(ground):
    backend = ground.service("backend")
    matrix = ground.matrix(backend, ground.service("frontend", needs=("backend",)))

    async def broken():
        raise KeyError("oops")

    matrix._members["backend"].go_down = broken
    rows = ground.settle(matrix, "backend", "frontend")
    assert [row.state for row in rows] == ["failed", "failed"]
    assert rows[0].reason == "met a bug of orchestra: KeyError('oops')"
    assert "Traceback" in (ground.root / "run/services/backend.log").read_text()


def test_secrets_are_in_no_reason_and_no_log(ground):
    program = "import os, sys; print('the key is', os.environ['KEY']); sys.exit(os.environ['KEY'])"
    one = Component("one", "o", job=Job((sys.executable, "-c", program), env={"KEY": "${env.SECRET}"}))
    matrix = ground.matrix(one, env={"SECRET": "hunter22"}, masks=Masks(["SECRET"], {"SECRET": "hunter22"}))
    (row,) = ground.settle(matrix, "one")
    assert row.reason == "ended with exit code 1; its last words: the key is ***SECRET*** | ***SECRET***"
    log = (ground.root / "run/services/one.log").read_text()
    assert "hunter22" not in log + str(ground.events)
    assert log.count("***SECRET***") == 2


# -------------------------------------------------------------------------------------------------------------- hardship


def test_a_clock_that_jumps_opens_no_incident_and_hinders_no_recovery(ground, monkeypatch):
    """The wall clock of this process moves by a day, back and forth, at each look; nothing that waits looks at it."""
    jumps = itertools.count()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + (86400 if next(jumps) % 2 else -86400))
    matrix = ground.matrix(ground.service("backend", live=live(failures=1), recover=(RESTART,)))
    (row,) = ground.settle(matrix, "backend")
    asked = threading.Event()
    matrix.look(["backend"], asked.set)
    assert asked.wait(60)
    assert "backend unhealthy" not in ground.story()
    os.kill(row.pid, signal.SIGKILL)
    ground.until(matrix, ["backend"], lambda now: now.state == "healthy" and now.attempts == 2)


def test_a_look_is_answered_when_a_component_is_well_or_known_not_to_be(ground):
    """Its own period is an hour, so that only the look can have found out."""
    backend = ground.service("backend", live=live(every=3600, failures=2, timeout=5.0), recover=(RESTART,))
    quiet = ground.service("quiet", recover=(RESTART,))
    matrix = ground.matrix(backend, quiet, job("once", "pass"))
    ground.settle(matrix, "backend", "quiet", "once")
    states = []

    def look():
        done = threading.Event()
        matrix.look(["backend", "quiet", "once"], done.set)
        assert done.wait(60)
        states.append([matrix.row(name).state for name in ("backend", "quiet")])

    look()
    ground.mode("backend", "500")
    look()
    assert states == [["healthy", "healthy"], ["unhealthy", "healthy"]] or states[1][0] == "starting"
    ground.mode("backend", "ok")
    ground.until(matrix, ["backend"], lambda row: row.state == "healthy")
    pid = matrix.row("quiet").pid
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # the matrix may have seen its end already
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # else a look in between finds a process that still runs
    look()
    assert "quiet unhealthy" in ground.story(), "one without `live` is known to be dead by its process"
    matrix.close()
    late = threading.Event()
    matrix.look(["backend"], late.set)
    assert late.is_set()


def test_one_that_does_not_come_back_behind_what_it_needs_takes_its_own_recovery_steps(ground):
    """The backend dies; the front end cannot start behind it until its own repair has run."""
    backend = ground.service("backend", live=live(), recover=(RESTART,))
    low, high = free_range(2)
    program = (
        "import os, sys\n"
        "if os.path.exists('front/starts') and not os.path.exists('mended'): sys.exit('broken')\n"
        "sys.argv = ['server.py', sys.argv[1], 'front']\nexec(open('server.py').read())"
    )
    front = ground.service(
        "front", needs=("backend",), recover=(RecoveryStep("run", (sys.executable, "-c", MEND)), RESTART)
    )
    words = (sys.executable, "-c", program, "${port}")
    front = _changed(front, service=Service(words, ports=(low, high)))
    matrix = ground.matrix(backend, front)
    ground.settle(matrix, "backend", "front")
    os.kill(matrix.row("backend").pid, signal.SIGKILL)
    ground.until(matrix, ["backend", "front"], lambda row: row.state == "healthy" and row.attempts >= 2)
    assert (ground.root / "mended").exists()
    incidents = {body.incident for body in ground.events if body.incident}
    assert incidents == {"backend-1", "front-1"}


MEND = "open('mended', 'w').close()"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (1, 2, 3))])
def test_whatever_dies_whenever_all_come_back_each_once_and_nothing_is_left(ground, seed):
    dice = random.Random(seed)
    ids = ("backend", "other", "frontend", "top")
    needs = {"frontend": ("backend", "other"), "top": ("frontend",)}
    # A start that is killed is tried again; so many that the dice cannot use them up.
    patient = Backoff(max=50, initial_seconds=0.01, factor=1.0, max_seconds=0.05, jitter=0.1)
    policy = (RESTART,) * 20
    components = [
        ground.service(name, needs=needs.get(name, ()), live=live(), recover=policy, retries=patient) for name in ids
    ]
    matrix = ground.matrix(*components)
    ground.settle(matrix, *ids)
    for _ in range(8):
        victims = carriers(ground.mark)
        if victims:
            with contextlib.suppress(psutil.Error):
                dice.choice(victims).kill()
        time.sleep(dice.choice([0.0, 0.05, 0.3]))  # the moment of the next fault is part of the scenario
    ground.until(matrix, ids, lambda row: row.state == "healthy")
    until(lambda: all(matrix.row(name).state == "healthy" for name in ids) and len(carriers(ground.mark)) == 4, "four")
    assert {matrix.row(name).pid for name in ids} == {process.pid for process in carriers(ground.mark)}
    matrix.close()
    assert carriers(ground.mark) == []


def test_a_flood_of_100_megabytes_is_bounded_on_the_disk(ground):
    flood = (
        "import sys\nfor n in range(1000): sys.stdout.write(('x' * 99 + '\\n') * 1000)\nexec(open('server.py').read())"
    )
    words = (sys.executable, "-c", flood, "${port}", "backend")
    backend = ground.service("backend")
    backend = _changed(backend, service=Service(words, ports=backend.service.ports))
    (row,) = ground.settle(ground.matrix(backend), "backend")
    assert row.state == "healthy"
    files = list((ground.root / "run/services").iterdir())
    assert sum(file.stat().st_size for file in files) < 17 * 1024 * 1024


def _changed(component: Component, **more: object) -> Component:
    return Component(**{**{name: getattr(component, name) for name in component.__struct_fields__}, **more})


RUN = """
import os, sys, time
from pathlib import Path
from orchestra.plan import Backoff, Component, Probe, Ready, Service
from orchestra.runtime.mask import NOTHING
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.port import busy
from orchestra.runtime.processes.reaper import Reaper
mark, low, high = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
words = (sys.executable, "server.py", "${port}", "backend", "deaf", "daemon")
backend = Component("backend", "b", service=Service(words, ports=(low, high)), ready=Ready(Probe("http", {"path": "/"})))
matrix = Matrix([backend], root=Path.cwd(), folder=Path.cwd() / "run", mark=mark, env=dict(os.environ), masks=NOTHING,
                on_event=lambda body, ago_seconds: None, wake=lambda: None, reaper=Reaper.start(mark))
matrix.request(["backend"])
while matrix.row("backend").state != "healthy":
    time.sleep(0.01)
print(matrix.row("backend").port, flush=True)
time.sleep(1000)
"""


def test_a_run_that_is_killed_leaves_no_process_and_no_port(ground):
    (ground.root / "backend").mkdir()
    low, high = free_range(3)
    argv = [sys.executable, "-c", RUN, f"{ground.mark}/run", str(low), str(high)]
    run = subprocess.Popen(argv, cwd=ground.root, stdout=subprocess.PIPE)
    ground.strangers.append(run)
    assert run.stdout is not None
    number = int(run.stdout.readline())
    assert len(carriers(ground.mark)) == 1
    run.kill()
    until(lambda: not carriers(ground.mark), "the reaper")
    until(lambda: busy("127.0.0.1", number) == "", "the port")
