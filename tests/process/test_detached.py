"""Runs that outlive the command that started them: run --detach, wait, stop, events --follow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from orchestra.ledger.lock import holder_of
from orchestra.verbs.waiting import Watched
from tests.support.project import HEAD, SuiteProject, environment

WAITS = """
tests:
  a: {command: {argv: [sh, -c, "touch here; while ! test -e go; do sleep 0.1; done"]}}
  b: {needs: [a], command: {argv: [sh, -c, "echo odd; exit 3"]}}
  c: {skip: why, command: {argv: ["true"]}}
"""


@pytest.fixture
def waits(project) -> SuiteProject:
    """A suite whose first test waits for the file `go`, and whose second one fails."""
    return project.write(HEAD + WAITS).compile()


def begun(project: SuiteProject, *words: str, **env: str) -> str:
    """The id of a run that was started by `run --detach`."""
    done = project.run("run", "--detach", *words, **env)
    assert done.code == 0, done.out + done.err
    first, follow, stop = (line.split() for line in done.out.splitlines())
    assert first[0] == "run"
    assert follow == ["follow", *f"orchestra wait {first[1]} --suite s".split()]
    assert stop == ["stop", *f"orchestra stop {first[1]} --suite s".split()]
    return first[1]


def holder(project: SuiteProject) -> psutil.Process:
    found = holder_of(project.root / ".orchestra/s/lock")
    assert found is not None
    return psutil.Process(found.pid)


def test_a_run_goes_on_and_each_wait_prints_what_is_new(waits):
    run = begun(waits, PYTHONHASHSEED="0")  # no fork, whose command line is another one
    assert holder(waits).cmdline()[-2:] == ["--suite=s", "--"]
    early = waits.run("wait", run, "--seconds", "0")
    assert early.code == 124
    assert "3 tests to run" in early.out
    assert "goes on     1 skipped, 1 waiting  running cli:a " in early.out
    again = waits.run("wait", "--seconds", "0")
    assert (again.code, "to run" in again.out, len(again.out.splitlines())) == (124, False, 1)
    (waits.root / "go").touch()
    last = waits.run("wait", run)
    assert (last.code, last.err) == (1, "")
    assert "to run" not in last.out
    assert "failed      cli:b" in last.out
    assert "tests       1 passed, 1 failed, 1 skipped; 3 in all" in last.out
    assert waits.run("wait").out == "exit        1: tests or gates failed\n"
    everything = waits.run("wait", run, "--all")
    assert (everything.code, "3 tests to run" in everything.out, "failed      cli:b" in everything.out) == (
        1,
        True,
        True,
    )
    assert waits.run("audit").code == 0
    [started] = waits.events("run_started")
    assert started["body"]["argv"] == ["orchestra", "run", "--detach", "--suite=s", "--"]


def test_a_detached_run_outlives_the_session_of_its_caller(waits):
    """The client of an agent ends its shell with all that is in its group."""
    shell = subprocess.Popen(
        ["sh", "-c", '"$0" -m orchestra run --detach; echo; sleep 600', sys.executable],
        cwd=waits.root,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in shell.stdout:
        if not line.strip():
            break
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    shell.stdout.close()
    assert waits.run("wait", "--seconds", "0").code == 124
    (waits.root / "go").touch()
    assert waits.run("wait").code == 1


@pytest.mark.parametrize(
    "spec, words, code, message",
    [
        ("tests: {a: {command: {argv: ['true']}}}", ["zz"], 2, 'no test, group, tag or glob "zz"'),
        ("tests: {a: {command: {argv: ['true']}}}", ["--list"], 2, "--detach starts a run"),
        ("tests: {a: {skip: why, command: {argv: ['true']}}}", [], 0, "1 skipped; 1 in all"),
        (
            "gates: {before: {never: {require: 'workers > 99'}}}\ntests: {a: {command: {argv: ['true']}}}",
            [],
            1,
            "gate        before:never  failed",
        ),
    ],
)
def test_a_run_that_does_not_begin_ends_the_command_with_its_own_code(project, spec, words, code, message):
    project.write(f"{HEAD}{spec}\n").compile()
    done = project.run("run", "--detach", *words)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_stale_plan_and_a_suite_in_use_are_refused_at_once(waits):
    run = begun(waits)
    refused = waits.run("run", "--detach")
    assert (refused.code, f"run {run} (process " in refused.err) == (3, True)
    waits.write(f"{HEAD}{WAITS.replace('echo odd', 'echo even')}")
    stale = waits.run("run", "--detach")
    assert (stale.code, "run `orchestra compile`" in stale.err) == (2, True)
    assert waits.run("stop", run).code == 0


def test_stop_ends_a_run_in_order_and_leaves_nothing(waits):
    begun(waits, "a")
    process = holder(waits)
    family = [process, *process.children(recursive=True)]
    done = waits.run("stop")
    assert (done.code, done.out.split()[0], done.out.split()[2:]) == (0, "stopped", ["exit", "143"])
    psutil.wait_procs(family, timeout=60)
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert waits.verdicts() == {"cli:a": "interrupted"}
    assert waits.run("wait").code == 143
    assert "is not in progress" in waits.run("stop").out
    (waits.root / "go").touch()
    begun(waits, "--resume")
    assert waits.run("wait").code == 0
    assert waits.verdicts() == {"cli:a": "passed"}


def test_a_run_that_was_killed_has_no_exit_code(waits):
    begun(waits, "a")
    holder(waits).kill()
    done = waits.run("wait")
    assert (done.code, "ended without an end" in done.err) == (3, True)
    assert "orchestra run --resume" in done.err


def test_stop_at_once(waits):
    begun(waits, "a")
    done = waits.run("stop", "--now")
    assert (done.code, done.out.split()[0]) == (0, "stopped")
    assert holder_of(waits.root / ".orchestra/s/lock") is None


def test_stop_ends_only_the_process_that_started_the_run(waits):
    begun(waits, "a")
    lock = waits.root / ".orchestra/s/lock"
    said = json.loads(lock.read_text())
    lock.write_text(json.dumps({**said, "born": said["born"] - 60}))
    refused = waits.run("stop")
    assert (refused.code, "is not the one that started run" in refused.err) == (3, True)
    lock.write_text(json.dumps({**said, "born": 0}))
    assert waits.run("stop").code == 3
    assert waits.run("wait", "--seconds", "0").code == 124
    lock.write_text(json.dumps(said))
    assert waits.run("stop").code == 0


def test_a_run_by_doit_is_waited_for(waits):
    doit = subprocess.Popen(
        [sys.executable, "-m", "doit", "cli"],
        cwd=waits.root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (waits.root / "here").exists():
        assert doit.poll() is None
    assert waits.run("wait", "--seconds", "0").code == 124
    assert waits.run("stop").code == 0
    assert (doit.wait(), waits.run("wait").code) == (143, 143)


def test_events_follow_the_run_in_progress_or_wait_for_the_next_one(waits):
    (waits.root / "go").touch()
    assert waits.run("run", "a").code == 0
    follower = waits.start("events", "--follow", "--type", "run_started", "--type", "verdict")
    assert "waiting for the next one" in follower.stderr.readline()
    run = begun(waits, "c", "b")
    out, _ = follower.communicate()
    assert (follower.returncode, run in out.splitlines()[0]) == (0, True)
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["skipped", "passed", "failed"]


def test_a_wait_shows_progress_of_a_record_alone(waits):
    (waits.root / "go").touch()
    waits.run("run")
    watched = Watched(waits.root, waits.folder, 0)
    lines = watched.poll()
    assert lines[0].startswith("run ")
    assert (watched.code, watched.poll()) == (1, [])
