"""What tests run as a fork does what a process of its own does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import forks
from tests.support.project import HEAD, environment, py

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or "COVERAGE_PROCESS_START" in os.environ,
    reason="nothing is forked here, and where each process is measured",
)

SPEC = f"{HEAD}tests:\n  good: {py('print(1)')}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("orchestra", "--version"),
        ("orchestra", "run", "--list"),
        ("orchestra", "run", "--nope"),
        ("orchestra", "run", "--suite", "other"),
        ("doit", "list", "--all"),
        ("doit", "nothing"),
    ],
)
@pytest.mark.parametrize("together", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_fork_prints_and_ends_as_a_process_does(project, words, together):
    project.write(SPEC).compile()
    env = environment(PYTHONUNBUFFERED="1", COLUMNS="100")
    assert forks.suits(env)
    argv = [Path(sys.executable).with_name(words[0]), *words[1:]]
    err = subprocess.STDOUT if together else subprocess.PIPE
    real = subprocess.run(
        argv, cwd=project.root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, check=False
    )
    assert forks.run(words, project.root, env, together=together) == (real.returncode, real.stdout, real.stderr or b"")


def test_the_end_by_a_signal_is_an_exit_code_and_the_next_fork_runs(project):
    project.write(f"{HEAD}tests:\n  ends: {py('import os; os.kill(os.getppid(), 9)')}\n").compile()
    assert project.process("run").code == -9
    assert project.process("--version").code == 0


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "LC_ALL", "TZ", "COVERAGE_PROCESS_START"])
def test_what_python_reads_when_it_starts_needs_a_process(name):
    assert forks.suits(environment())
    assert not forks.suits(environment(**{name: "other"}))


KILLS = """\
import os, psutil, time
run = psutil.Process(os.getppid())
while not (others := [one for one in run.children() if os.getsid(one.pid) == one.pid != os.getpid() and one.children()]):
    time.sleep(0.05)
[worker] = others
assert "tests.support.forks" in " ".join(worker.cmdline())
worker.kill()
"""


@pytest.mark.browser
def test_a_worker_is_a_fork_and_as_a_process_its_run_s_child(project, chromium):
    hangs = "{steps: [{goto: about:blank}, {evaluate: 'new Promise(() => {})'}]}"
    project.write(
        "orchestra: 1\nsuite: s\nmethods: {cli: {driver: playwright, workers: 2}}\n"
        f"tests:\n  page: {hangs}\n  kills: {py(KILLS)}\n"
    ).compile()
    done = project.run("run")
    assert project.verdicts() == {"cli:page": "error", "cli:kills": "passed"}, done.err
    assert "the worker died (exit -9)" in project.reasons()["cli:page"]
