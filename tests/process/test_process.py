"""Processes for real: what commands leave behind, refuse to do and do too much of; runs that are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestra.errors import MachineError
from orchestra.runtime.processes import mark as marks
from orchestra.runtime.processes.commands import Commands, Finished, Job
from orchestra.runtime.processes.mark import TREE, carries, marked, marks_of
from orchestra.runtime.processes.orphan import adopt, become_subreaper, reap_strays, strays
from orchestra.runtime.processes.process import Ended, Process, end_tree, spawn, tree
from orchestra.runtime.processes.reaper import Reaper

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the scenarios use setsid(1), /proc and child subreapers"
)

GENEROUS_SECONDS = 60.0
MARK = f"test-{os.getpid()}-{time.monotonic_ns()}"
"""Of this process of tests alone: others may run beside it, and a mark is enough to be ended."""
OTHERS = 12345
"""The number of a user who is not there."""
DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.chdir("/")
os.closerange(0, 3)
time.sleep(1000)
"""


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + GENEROUS_SECONDS
    while True:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that was looked at has just gone: look again
            if condition():
                return
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.01)


def living() -> set[psutil.Process]:
    """Every living descendant of this process."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
        except psutil.NoSuchProcess:
            pass
    return found


def bury() -> None:
    """Take the exit codes of all orphans that ended here; the tests' own children have been waited for."""
    adopt(p.pid for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE)
    reap_strays()


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    assert become_subreaper()
    before = living()
    yield
    left = living() - before
    for process in left:
        process.kill()
    assert not left
    bury()


@pytest.fixture(params=[True, False], ids=["pidfd", "thread"])
def commands(request: pytest.FixtureRequest) -> Iterator[Commands]:
    owned = Commands(pidfd=request.param)
    yield owned
    owned.close()


class Runner:
    """Starts jobs in a folder and collects what becomes of them."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self.commands = commands
        self.folder = folder
        self.serial = 0

    def start(self, *argv: str, key: str = "", **options: object) -> Process:
        self.serial += 1
        key = key or f"job{self.serial}"
        job = Job(key, argv, self.folder, dict(os.environ), self.folder / f"{key}.log", f"run-{id(self)}/{key}")
        return self.commands.start(Job(**{name: getattr(job, name) for name in job.__slots__} | options))  # type: ignore[arg-type]

    def collect(self, count: int = 1) -> list[Finished]:
        found: list[Finished] = []
        deadline = time.monotonic() + GENEROUS_SECONDS
        while len(found) < count:
            assert time.monotonic() < deadline
            found += self.commands.poll(1.0)
        return found

    def run(self, *argv: str, **options: object) -> Finished:
        self.start(*argv, **options)
        return self.collect()[0]


@pytest.fixture
def runner(commands: Commands, tmp_path: Path) -> Runner:
    return Runner(commands, tmp_path)


# ------------------------------------------------------------------------------------------------------------- marks


@pytest.mark.parametrize(
    "value, mark, expected",
    [
        ("run", "run", True),
        ("run/a", "run", True),
        ("run/a/1", "run/a", True),
        ("outer run/a", "run", True),
        ("outer run/a", "outer", True),
        ("run/ab", "run/a", False),
        ("runner", "run", False),
        ("run", "run/a", False),
        ("", "run", False),
    ],
)
def test_a_mark_holds_for_itself_and_what_is_below(value, mark, expected):
    assert carries(value, mark) is expected


def test_marks_nest_even_in_a_clean_environment(monkeypatch):
    monkeypatch.setenv(TREE, "outer/x")
    assert marked({}, "inner/y") == {TREE: "outer/x inner/y"}
    assert marked({TREE: "other"}, "inner/y") == {TREE: "other inner/y"}
    monkeypatch.delenv(TREE)
    assert marked({"A": "b"}, "inner") == {"A": "b", TREE: "inner"}


@pytest.fixture
def pauses(monkeypatch):
    """The pauses in which marks are asked for again; they are not made."""
    made = []
    monkeypatch.setattr(marks.time, "sleep", made.append)
    return made


def test_the_marks_of_a_reaper_are_asked_for_once(pauses):
    reaper = Reaper.start(MARK)
    until(lambda: marks._marks(reaper.pid) is not None, "the reaper, which is being started")
    pauses.clear()  # those of the wait are made in the same way
    try:
        assert (marks_of([reaper.pid]), pauses) == ({reaper.pid: ""}, [])
    finally:
        reaper.close()


def test_the_marks_of_a_process_of_another_user_are_asked_for_once(pauses, monkeypatch):
    blank = subprocess.Popen(["sleep", "1000"], env={})
    assert (marks_of([blank.pid]), pauses) == ({}, [0.005, 0.01, 0.02])
    pauses.clear()
    monkeypatch.setattr(marks.os, "geteuid", lambda: OTHERS)
    assert (marks_of([blank.pid]), pauses) == ({}, [])
    blank.kill()
    blank.wait()


@pytest.mark.parametrize("word", ["", "two words", "tab\t", " lead"])
def test_a_mark_is_one_word(word):
    with pytest.raises(ValueError, match="a mark is one word"):
        marked({}, word)


# ------------------------------------------------------------------------------------------------------------- spawn


def test_a_process_leads_its_session_and_gets_nothing_else(tmp_path):
    out = tmp_path / "out"
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    script = (
        "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', os.getcwd(),"
        f" os.environ['{TREE}'], sorted(os.environ), sorted(os.listdir('/proc/self/fd'))[:3], os.path.exists('/proc/self/fd/{secret}'),"
        " sys.argv[1:], sys.executable)"
    )
    with out.open("wb") as file:
        process = spawn(["python", "-c", script, "$HOME; `x`"], cwd=tmp_path, env={}, stdout=file, mark="m/1")
    assert process.popen.wait(GENEROUS_SECONDS) == 0
    os.close(secret)
    head = f"True True {tmp_path} m/1 ["
    assert out.read_text().startswith(head)
    assert out.read_text().rstrip().endswith(f"['0', '1', '2'] False ['$HOME; `x`'] {sys.executable}")


def test_a_command_that_cannot_start_says_why_and_the_mend(tmp_path):
    (tmp_path / "plain.txt").write_text("text")
    (tmp_path / "blob").write_bytes(b"\x00\x01")
    (tmp_path / "blob").chmod(0o755)
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "market-tool").write_text("#!/bin/sh\n")
    (tmp_path / "market-tool").chmod(0o755)

    def refusal(*argv: str, cwd: Path = tmp_path) -> tuple[str, str]:
        with pytest.raises(MachineError) as caught:
            spawn(argv, cwd=cwd, env={"PATH": f"/no/where:{tmp_path}"}, stdout=subprocess.DEVNULL, mark=MARK)
        return caught.value.message, caught.value.hint

    assert refusal("markt-tool") == (
        f"command 'markt-tool' was not found (cwd '{tmp_path}')",
        f'did you mean "market-tool"? install it, or add its folder to PATH: /no/where:{tmp_path}',
    )
    assert refusal("qqqqqq")[1] == f"install it, or add its folder to PATH: /no/where:{tmp_path}"
    assert refusal("./absent") == (
        f"no such file './absent' in '{tmp_path}'",
        "the path of a program is relative to `cwd`",
    )
    assert refusal("./plain.txt") == (
        f"'./plain.txt' is not executable (cwd '{tmp_path}')",
        "make it executable: chmod +x",
    )
    assert refusal("./blob")[0] == "'./blob' is not a program for this machine"
    assert (
        refusal("./script")[0] == "'./script' cannot be started: the interpreter that its first line names is missing"
    )
    assert refusal("true", cwd=tmp_path / "gone")[0] == f"'true' cannot be started in '{tmp_path}/gone': no such folder"
    assert "null byte" in refusal("./market-tool", "a\0b")[0]
    assert "Argument list too long" in refusal("./market-tool", "x" * 10_000_000)[0]
    assert refusal()[0] == "the command is empty"


def test_a_command_that_cannot_start_leaves_the_loop_as_it_was(runner):
    with pytest.raises(MachineError, match="was not found"):
        runner.start("no-such-command-here", key="a")
    assert len(runner.commands) == 0
    assert runner.run("true", key="a").exit_code == 0


# ---------------------------------------------------------------------------------------------------------- commands


def test_exit_code_signal_and_output(runner):
    ended = runner.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ended.exit_code, ended.signal, ended.timed_out, ended.stopped, ended.left_behind) == (
        7,
        None,
        False,
        False,
        0,
    )
    assert ended.log.read_text() == "out\nerr\n"
    assert (ended.log_bytes, ended.log_error, ended.survivors) == (8, "", 0)
    ended = runner.run("sh", "-c", "kill -SEGV $$")
    assert (ended.exit_code, ended.signal) == (None, signal.SIGSEGV)


def test_a_key_runs_once_at_a_time(runner):
    runner.start("sleep", "1000", key="a")
    with pytest.raises(ValueError, match="job 'a' runs already"):
        runner.start("true", key="a")


def test_output_over_the_limit_is_dropped_and_the_command_is_not_held_up(runner):
    ended = runner.run("sh", "-c", "head -c 100000000 /dev/zero; exit 3", log_limit_bytes=1_000_000)
    assert (ended.exit_code, ended.log_bytes, ended.log_error) == (
        3,
        100_000_000,
        "output over 1000000 bytes was dropped",
    )
    data = ended.log.read_bytes()
    assert data == b"\0" * 1_000_000 + b"\n[output over 1000000 bytes was dropped]\n"


def test_output_of_just_the_limit_is_whole(runner):
    ended = runner.run("sh", "-c", "head -c 70000 /dev/zero", log_limit_bytes=70_000)
    assert (ended.log_bytes, ended.log_error, ended.log.stat().st_size) == (70_000, "", 70_000)


def test_100_megabytes_are_kept_to_the_byte_below_the_limit(runner):
    ended = runner.run("head", "-c", "100000000", "/dev/zero", log_limit_bytes=100_000_000)
    assert (ended.exit_code, ended.log_error, ended.log.stat().st_size) == (0, "", 100_000_000)


def test_a_full_disk_does_not_stop_the_command(runner):
    ended = runner.run("sh", "-c", "echo hello; exit 4", log=Path("/dev/full"))
    assert (ended.exit_code, ended.log_error) == (4, "the log could not be written: No space left on device")


def test_a_log_that_cannot_be_opened_is_reported_with_the_end(runner, tmp_path):
    ended = runner.run("echo", "hello", log=tmp_path / "no" / "folder")
    assert (ended.exit_code, ended.log_bytes, ended.log_foreign) == (0, 6, False)
    assert ended.log_error == "the log could not be written: No such file or directory"


def test_a_command_without_output_has_no_log(runner):
    ended = runner.run("true")
    assert (ended.exit_code, ended.log_bytes, ended.log_error, ended.log.exists()) == (0, 0, "", False)


STUBBORN = {
    "sleeps": (["sleep", "1000"], signal.SIGTERM),
    "ignores TERM": (["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], signal.SIGKILL),
    "stops itself": (["sh", "-c", "kill -STOP $$; sleep 1000"], signal.SIGTERM),
    "stops itself and ignores TERM": (["sh", "-c", "trap '' TERM; kill -STOP $$; sleep 1000"], signal.SIGKILL),
    "floods": (["yes"], signal.SIGTERM),
}


@pytest.mark.parametrize("name", STUBBORN)
def test_a_timeout_ends_what_does_not_want_to_end(runner, name):
    argv, ended_by = STUBBORN[name]
    ended = runner.run(*argv, timeout_seconds=0.3, grace_seconds=0.3, log_limit_bytes=1000)
    assert ended.timed_out
    assert not ended.stopped
    assert ended.exit_code is None
    # A process that TERM reaches before its trap is set ends by TERM; nothing else may.
    assert ended.signal in {ended_by, signal.SIGTERM}
    assert ended.survivors == 0


def test_a_timeout_ends_the_whole_tree_though_it_forked_away(runner):
    script = f"{sys.executable} -c '{DAEMON}' & env -i setsid sleep 1000 & sleep 1000 & sleep 1000"
    before = living()
    process = runner.start("sh", "-c", script, timeout_seconds=2.0, grace_seconds=5.0)

    def settled() -> bool:
        there = {p.pid: p.as_dict(["name", "ppid"]) for p in living() - before}
        sleeps = [row for row in there.values() if row["name"] == "sleep"]
        daemons = [pid for pid, row in there.items() if row["ppid"] == os.getpid() and os.getsid(pid) not in there]
        return len(there) == 5 and len(sleeps) == 3 and len(daemons) == 1

    until(settled, "the shell, three sleeps and the daemon whose session has lost its leader")
    assert len(tree(process.pid, process.mark)) == 5
    assert runner.collect()[0].timed_out
    assert living() == before


def test_a_program_that_handles_term_says_its_own_exit_code(runner):
    runner.start("sh", "-c", "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.01; done", key="a")
    until(lambda: runner.commands.poll(0.01) or (runner.folder / "a.log").read_text(), "the trap")
    runner.commands.stop("a")
    ended = runner.collect()[0]
    assert (ended.exit_code, ended.stopped, ended.timed_out) == (9, True, False)
    assert ended.log.read_text() == "ready\nbye\n"
    runner.commands.stop("a")


def test_one_that_refuses_to_end_does_not_hold_up_the_others(runner):
    stuck = runner.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", key="a", grace_seconds=1000)
    until(lambda: runner.commands.poll(0.01) or (runner.folder / "a.log").read_text(), "the trap")
    runner.commands.stop("a")
    for _ in range(5):
        assert runner.run("true").exit_code == 0
    assert len(runner.commands) == 1
    for process in tree(stuck.pid, stuck.mark):
        process.kill()
    assert runner.collect()[0].signal == signal.SIGKILL


LEFT_BEHIND = {
    "in the background": "sleep 1000 & sleep 1000 &",
    "in a session of its own": "setsid -f sleep 1000",
    "with its outputs open": "sleep 1000 & echo $!",
    "forked twice, own session, files closed": f"{sys.executable} -c '{DAEMON}'",
    "deaf to TERM": "(trap '' TERM; while :; do sleep 1; done) >/dev/null 2>&1 &",
    "stopped": "(sh -c 'kill -STOP $$') &",
    "environment cleared": "env -i sleep 1000 &",
    "environment cleared, below one in a session of its own": "setsid -f sh -c 'env -i setsid sleep 1000; true'",
}


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_a_command_leaves_behind_is_counted_and_ended(runner, name):
    before = living()
    ended = runner.run("sh", "-c", f"{LEFT_BEHIND[name]}\nexit 5", grace_seconds=0.2)
    assert (ended.exit_code, ended.timed_out, ended.survivors) == (5, False, 0)
    assert ended.left_behind >= 1
    assert living() == before


def test_the_limit_cleared_environment_own_session_and_no_parent(runner):
    """Documented: such a process is nobody's attempt any more. It stays a child of the run, which can see it."""
    before = living()
    ended = runner.run("sh", "-c", "setsid -w sh -c 'env -i setsid -f sleep 1000'")
    until(lambda: [p.name() for p in living() - before] == ["sleep"], "the sleep")
    (escaped,) = living() - before
    assert ended.left_behind == 0
    assert escaped.ppid() == os.getpid()
    escaped.kill()
    until(lambda: living() == before, "the end of the sleep")


def test_what_another_job_left_is_not_taken_for_ones_own(runner):
    runner.start("sh", "-c", "setsid -f sleep 1000 >/dev/null 2>&1; sleep 1000", key="a")
    before = living()
    until(lambda: any(p.ppid() == os.getpid() and p.name() == "sleep" for p in living()), "the orphan of a")
    before = living()
    assert runner.run("true").left_behind == 0
    assert living() == before


def test_a_command_that_ended_in_time_is_no_timeout_because_its_loop_was_busy(tmp_path):
    now = 0.0
    commands = Commands(clock=lambda: now)
    runner = Runner(commands, tmp_path)
    process = runner.start("true", timeout_seconds=10)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    now = 1000.0
    assert [(f.exit_code, f.timed_out) for f in commands.poll(0)] == [(0, False)]
    commands.close()


def test_to_wake_what_is_closed_does_nothing(tmp_path):
    commands = Commands()
    waker = commands._waker
    commands.close()
    files = [os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(8)]
    assert waker in files, "the number is that of another file now"
    commands.wake()
    assert (tmp_path / "file").read_bytes() == b""
    for file in files:
        os.close(file)


def test_poll_returns_when_the_time_is_over_or_another_thread_or_a_signal_wakes_it(commands):
    assert commands.poll(0.01) == []
    thread = threading.Timer(0.05, commands.wake)
    thread.start()
    assert commands.poll(None) == []
    thread.join()
    former = signal.signal(signal.SIGALRM, lambda *_: commands.wake())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert commands.poll(None) == []
    signal.signal(signal.SIGALRM, former)
    for _ in range(100_000):
        commands.wake()
    assert commands.poll(None) == []
    assert commands.poll(0) == []


def test_close_ends_all_that_runs(tmp_path):
    commands = Commands()
    runner = Runner(commands, tmp_path)
    for _ in range(3):
        runner.start("sh", "-c", "sleep 1000 & sleep 1000")
    assert [f.stopped for f in commands.close()] == [True] * 3


def test_no_file_descriptors_are_lost(runner):
    runner.run("true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        runner.run("sh", "-c", "sleep 1000 & exit 0")
        with pytest.raises(MachineError):
            runner.start("no-such-command-here")
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before, "the waiting threads' pipes")


@pytest.mark.parametrize("pidfd", [True, False])
@pytest.mark.parametrize(
    "number", [100, pytest.param(500, marks=pytest.mark.nightly)]
)  # more than descriptors last for
def test_many_commands_two_at_a_time(tmp_path, pidfd, number):
    commands = Commands(pidfd=pidfd)
    runner = Runner(commands, tmp_path)
    left, codes = number, []
    while len(codes) < number:
        while left and len(commands) < 2:
            runner.start("true", timeout_seconds=60)
            left -= 1
        codes += [(one.exit_code, one.left_behind) for one in commands.poll(60)]
    commands.close()
    assert set(codes) == {(0, 0)}


# -------------------------------------------------------------------------------------------------------------- tree


def test_the_tree_of_a_process_in_our_session_is_not_our_session():
    mine, other = (subprocess.Popen(["sleep", "1000"]) for _ in range(2))
    assert [p.pid for p in tree(mine.pid, "no-such-mark")] == [mine.pid]
    for popen in (mine, other):
        popen.kill()
        popen.wait()


def test_a_number_that_was_given_away_is_a_stranger():
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    assert tree(stranger.pid, "no-such-mark", reaped=True) == []
    stranger.kill()
    stranger.wait()


def test_a_leader_that_was_reaped_still_names_its_session(tmp_path):
    process = spawn(
        ["sh", "-c", "env -i sleep 1000 &"], cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, mark=MARK
    )
    process.popen.wait()
    until(lambda: [p.name() for p in tree(process.pid, MARK, reaped=True)] == ["sleep"], "the sleep")
    assert end_tree(process, grace_seconds=GENEROUS_SECONDS) == Ended(killed=1, survivors=0)


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_the_tree_of_the_whole_machine_is_refused(pid):
    with pytest.raises(ValueError, match="no tree of ours"):
        tree(pid, "m")


def test_neither_we_nor_our_ancestors_belong_to_a_tree():
    """The innermost process carries the mark that it asks for, and so does its parent."""
    script = "import os; from orchestra.runtime.processes.process import tree; print(tree(os.getppid(), os.environ['ORCHESTRA_TREE']))"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {script!r}], check=True)"
    process = subprocess.run(
        [sys.executable, "-c", outer], env={**os.environ, TREE: MARK}, capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"


def test_end_tree_waits_the_grace_of_its_own_clock_and_then_kills(tmp_path):
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        time.sleep(min(seconds, 0.01))

    out = tmp_path / "out"
    with out.open("wb") as file:
        process = spawn(
            ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"],
            cwd=tmp_path, env=os.environ, stdout=file, mark=MARK,
        )  # fmt: skip
    until(out.read_bytes, "the trap")
    ended = end_tree(process, grace_seconds=2.0, clock=lambda: now, sleep=sleep)
    assert ended.survivors == 0
    assert ended.killed >= 1
    assert now >= 2.0
    assert process.popen.returncode == -signal.SIGKILL


def test_end_tree_sends_the_signal_that_it_is_told(tmp_path):
    process = spawn(["sleep", "1000"], cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, mark=MARK)
    assert end_tree(process, grace_seconds=GENEROUS_SECONDS, signal=signal.SIGINT) == Ended(1, 0)
    assert process.popen.returncode == -signal.SIGINT
    assert end_tree(process, grace_seconds=GENEROUS_SECONDS) == Ended(0, 0)


# ----------------------------------------------------------------------------------------------------------- orphans


@pytest.mark.parametrize("session", [False, True])
def test_the_exit_codes_of_a_librarys_children_are_not_taken(session):
    popen = subprocess.Popen(["sh", "-c", "exit 7"], start_new_session=session)
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    assert not strays(1, "no-such-mark")
    assert reap_strays() == 0
    assert popen.wait() == 7


def test_the_exit_codes_of_our_own_processes_are_not_taken(tmp_path):
    process = spawn(["sh", "-c", "exit 7"], cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, mark=MARK)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert reap_strays() == 0
    assert process.popen.wait() == 7


def test_orphans_that_ended_leave_no_zombies(runner):
    runner.start("sh", "-c", "(sleep 0.1 & sleep 0.1 &) ; echo done; sleep 1000", key="a")
    zombies = lambda: [p for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]  # noqa: E731
    until(lambda: runner.commands.poll(0) == [] and len(zombies()) == 2, "two zombies")
    assert runner.run("true").exit_code == 0
    assert zombies() == []


# ------------------------------------------------------------------------------------------------------------ reaper

RUN = """
import itertools, os, sys
from pathlib import Path
from orchestra.runtime.processes import mark as marks
from orchestra.runtime.processes.commands import Commands, Job
from orchestra.runtime.processes.reaper import Reaper
mark, folder = sys.argv[1], Path(sys.argv[2])
reaper = Reaper.start(mark)
commands = Commands()
print("ready", flush=True)
kinds = itertools.cycle([
    ("true",),
    ("sh", "-c", "sleep 1000 & env -i sleep 1000 & exit 0"),
    ("sleep", "1000"),
    ("sh", "-c", "setsid -f sleep 1000; setsid -f sh -c 'env -i sleep 1000; true'; sleep 1000"),
    (sys.executable, "-c", os.environ["DAEMON"]),
    ("sh", "-c", "trap '' TERM; while :; do sleep 1; done"),
    ("sh", "-c", "kill -STOP $$"),
])
serial = itertools.count()
while True:
    while len(commands) < 6:
        key = str(next(serial))
        reaper.add(commands.start(Job(
            key, next(kinds), folder, os.environ, folder / "log", f"{mark}/{key}", timeout_seconds=0.2, grace_seconds=0.1,
        )).pid)
    commands.poll(1.0)
"""


def test_a_killed_run_leaves_nothing_wherever_it_was(tmp_path):
    """Twelve runs are killed at seeded moments of their first second, from before their reaper is up."""
    before = living()
    dice = random.Random(20)
    runs = []
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        popen = subprocess.Popen(
            [sys.executable, "-c", RUN, f"killed-{os.getpid()}-{number}", str(folder)],
            env={**os.environ, "DAEMON": DAEMON},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert popen.stdout is not None
        if number % 4:
            assert popen.stdout.readline() == b"ready\n"
        time.sleep(dice.uniform(0.0, 0.25))
        popen.kill()
        popen.wait()
        popen.stdout.close()
        runs.append(popen)
    until(lambda: bury() or living() == before, "the reapers and all that they end")
    assert {popen.returncode for popen in runs} == {-signal.SIGKILL}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_reaper_outlives_the_signals_that_end_a_run(number):
    reaper = Reaper.start(MARK)
    assert os.getsid(reaper.pid) == reaper.pid
    os.kill(reaper.pid, number)
    reaper.add(os.getpid())
    reaper.remove(os.getpid())
    assert psutil.Process(reaper.pid).status() != psutil.STATUS_ZOMBIE
    reaper.close()
    assert not psutil.pid_exists(reaper.pid)
    reaper.close()


def test_a_reaper_that_is_done_ends_nothing(tmp_path):
    reaper = Reaper.start(MARK)
    process = spawn(["sleep", "1000"], cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, mark=f"{MARK}/1")
    reaper.add(process.pid)
    reaper.close()
    assert process.popen.poll() is None
    assert end_tree(process, grace_seconds=GENEROUS_SECONDS) == Ended(1, 0)


def test_a_reaper_that_somebody_killed_is_started_again_and_told_again():
    marked_by_nobody = subprocess.Popen(["sleep", "1000"], env={}, start_new_session=True)
    reaper = Reaper.start(MARK)
    reaper.add(marked_by_nobody.pid)
    first = reaper.pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    reaper.add(os.getppid())
    reaper.remove(os.getppid())
    assert reaper.pid != first
    os.close(reaper._pipe)  # as the end of the run would
    assert os.waitpid(reaper.pid, 0)[1] == 0
    assert marked_by_nobody.wait(GENEROUS_SECONDS) == -signal.SIGTERM


def test_a_session_whose_leader_is_a_zombie_is_ended_too(tmp_path):
    before = living()
    leader = subprocess.Popen(["sh", "-c", "env -i sleep 1000 &"], start_new_session=True, cwd=tmp_path)
    os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
    until(lambda: [p.name() for p in living() - before] == ["sleep"], "the sleep")
    reaper = Reaper.start(MARK)
    reaper.add(leader.pid)
    leader.wait()
    os.close(reaper._pipe)
    assert os.waitpid(reaper.pid, 0)[1] == 0
    assert living() == before


def test_a_reaper_ends_what_is_stopped_and_what_is_deaf():
    before = living()
    script = "trap '' TERM; (sh -c 'kill -STOP $$') & while :; do sleep 1; done"
    popen = subprocess.Popen(["sh", "-c", script], env={**os.environ, TREE: f"outer {MARK}/a"}, start_new_session=True)
    until(lambda: any(p.status() == psutil.STATUS_STOPPED for p in living() - before), "the stopped one")
    reaper = Reaper.start(MARK)
    os.close(reaper._pipe)
    assert os.waitpid(reaper.pid, 0)[1] == 0
    assert popen.wait(GENEROUS_SECONDS) == -signal.SIGKILL
    assert living() == before


def test_a_reaper_knows_a_number_that_was_given_away():
    stranger = subprocess.Popen(["sleep", "1000"], env={}, start_new_session=True)
    reaper = Reaper.start(MARK)
    os.write(reaper._pipe, f"+{stranger.pid} 1\n".encode())
    os.close(reaper._pipe)
    assert os.waitpid(reaper.pid, 0)[1] == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_process_that_is_gone_is_not_told():
    gone = subprocess.Popen(["true"])
    gone.wait()
    reaper = Reaper.start(MARK)
    reaper.add(gone.pid)
    assert reaper._told == {}
    reaper.close()
