"""Trouble of the machine that is no bug of ours and no failure of the product: closed streams, a git that hangs."""

from __future__ import annotations

import os
import subprocess
import time

import psutil
import pytest

from orchestra import git
from tests.support.nights import by_day
from tests.support.project import SuiteProject, environment
from tests.support.servers import until

SPEC = (
    "orchestra: 1\nsuite: s\nbaseline: {max_load_percent: 100}\nmethods: {cli: {driver: command}}\n"
    "tests: {a: {title: A, command: {argv: [python, -c, pass]}}}\n"
)
"""Its duration becomes a sample however busy the machine is: `baseline show` has something to print."""
VERBS = [
    "run",
    "run --dry-run",
    "status",
    "events",
    "plan",
    "show a",
    "report",
    "validate",
    "compile --check",
    "schema",
    "health",
    "history",
    "audit",
    "baseline show",
    "--help",
]


@pytest.fixture
def ran(project: SuiteProject) -> SuiteProject:
    project.write(SPEC).compile()
    assert project.run("run").code == 0
    return project


def shell(project: SuiteProject, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=project.root, env=environment(**env), capture_output=True, text=True, check=False
    )


CLOSED = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"]
LINES = [*(f"orchestra {verb}" for verb in VERBS), "doit", "python -m orchestra run", "orchestra show nothing"]


@pytest.mark.parametrize(
    "closed, lines",
    [
        *((closed, LINES[at :: 2 * len(CLOSED)]) for at, closed in enumerate(CLOSED)),  # each stream with two lines
        *(pytest.param(closed, LINES, marks=pytest.mark.nightly) for closed in CLOSED),  # each line with each stream
    ],
)
def test_a_stream_that_is_closed_or_takes_nothing_changes_no_exit_code(ran, closed, lines):
    for line in lines:
        assert shell(ran, f"{line} {closed}").returncode == (2 if "nothing" in line else 0), line
        assert ran.run("audit").code == 0, f"something that {line} printed is in the record"


@pytest.mark.parametrize(
    "verb",
    by_day(["plan", "schema", "events", "--help", "run --dry-run", "doctor"], "events", "--help", "run --dry-run"),
)
def test_an_output_that_cannot_be_written_is_of_the_machine(ran, verb):
    done = shell(ran, f"orchestra {verb} >/dev/full")
    assert done.returncode == 3
    assert "error: the output cannot be written: No space left on device" in done.stderr
    assert "bug" not in done.stderr


def living(pid: int) -> bool:
    """Return whether a process runs: one that was killed may take a moment to end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def hanging(tmp_path_factory) -> str:
    """A PATH on which git hangs, with a helper that holds its output open."""
    folder = tmp_path_factory.mktemp("hanging")
    (folder / "git").write_text(f"#!/bin/sh\nsleep 98765 &\necho $! >> {folder}/pids\nwait\n")
    (folder / "git").chmod(0o755)
    yield str(folder)
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    assert pids
    until(lambda: not any(map(living, pids)), "the helpers of git to end")


def test_a_git_that_hangs_costs_a_run_its_commit_and_nothing_else(ran, hanging):
    path = f"{hanging}{os.pathsep}{os.environ['PATH']}"
    done = ran.shortened({"orchestra.git.SECONDS": 1.0}, "run", PATH=path)
    assert done.code == 0, done.err
    assert ran.events("run_started")[0]["body"]["provenance"]["git"] == {}


def test_a_git_that_hangs_is_told_where_nothing_goes_without_it(ran, hanging, monkeypatch):
    monkeypatch.setenv("PATH", f"{hanging}{os.pathsep}{os.environ['PATH']}")
    begun = time.monotonic()
    asked = git.ask(ran.root, ["status"], seconds=0.5)
    assert (asked.code, asked.err) == (None, "git did not answer within 0.5 s")
    assert time.monotonic() - begun < 60, "the helper that holds its output is not waited for"


def test_a_run_begins_below_the_root(ran):
    (ran.root / "pyproject.toml").unlink()
    below = ran.root / "e2e" / "deep"
    below.mkdir(parents=True)
    for words in (["run"], ["status"], ["compile", "--check"]):
        done = subprocess.run(
            ["orchestra", *words], cwd=below, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert not (below / ".orchestra").exists()
