"""A machine that is odd: the right verdict, or a message that says what is odd and what to do."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.nights import at_night, by_day
from tests.support.paths import ROOT
from tests.support.project import HEAD, Ended, SuiteProject, ended, environment, py

SPEC = f"""{HEAD}tests:
  T1: {py("import os; raise SystemExit(0 if os.path.exists('good') else 1)")}
"""
OTHERS = 12345
"""The number of a user who is not there."""


@pytest.fixture
def project(tmp_path) -> SuiteProject:
    project = SuiteProject(tmp_path / "project")
    project.write(SPEC)
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    return project.compile()


def ids(project: SuiteProject) -> list[str]:
    return sorted(path.name for path in (project.root / ".orchestra/s/runs").iterdir() if not path.is_symlink())


# ------------------------------------------------------------------------------------------------------------ the clock


def test_a_run_before_which_the_clock_was_set_back_is_the_newest(project):
    """The newest run has an id with a later time than now."""
    assert project.run("run").code == 1
    later = f"{datetime.now(UTC) + timedelta(days=400):%Y%m%dT%H%M%SZ}-fff0"
    project.folder.rename(project.folder.with_name(later))
    (project.root / "good").touch()
    ended = project.run("run")
    assert ended.code == 0
    assert re.search(r"note +the clock is at [0-9: -]+Z, earlier than the newest run of the suite", ended.err)
    [newest] = set(ids(project)) - {later}
    assert newest > later
    assert newest in project.run("status").out + str(project.folder)
    assert "1 passed" in project.run("report", "--format", "md").out
    assert "nothing to resume" in project.run("run", "--resume").err
    assert project.run("audit").code == 0


def test_runs_that_follow_at_once_are_in_order(project):
    """Three runs, and each time the newest is the one that was last; in one second or in three."""
    for number in range(3):
        assert project.run("run").code == 1
        assert project.folder.name == ids(project)[-1], number
    assert not any("clock" in event["body"]["message"] for event in project.events("note"))


# ---------------------------------------------------------------------------------------------- a checkout of another


@pytest.fixture(params=["really", "by a variable of git"])
def of_another(project, request) -> tuple[SuiteProject, dict[str, str]]:
    """A work tree that belongs to another user, and the environment."""
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    if request.param == "by a variable of git":
        return project, {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (project.root, *project.root.rglob("*")):
        os.chown(path, OTHERS, OTHERS, follow_symlinks=False)
    return project, {"HOME": str(project.root.parent), "GIT_CONFIG_NOSYSTEM": "1"}


def test_a_checkout_of_another_user_is_run_and_git_is_told_of(of_another):
    project, env = of_another
    (project.root / "good").touch()
    ended = project.run("run", **env)
    assert ended.code == 0
    told = f'the work tree "{project.root}" belongs to another user, and git refuses it: git config --global --add safe.directory {project.root}'
    assert f"note        the record has no commit and no branch: {told}" in ended.err
    assert project.run("audit", "--policy", **env).code == 0
    strict = project.run("audit", "--policy", "--require", "clean_tree", **env)
    assert (strict.code, "the run was outside a git work tree" in strict.out) == (1, True)
    commit = project.run("report", "--commit", **env)
    assert (commit.code, f"nothing can be committed: {told}" in commit.err) == (2, True)
    assert told in project.process("doctor", **env).out


def test_a_checkout_of_ones_own_has_no_such_note(project):
    """The control; and a folder that is in no work tree has none either."""
    project.run("run")
    assert not project.events("note")
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    project.run("run")
    assert not project.events("note")


# --------------------------------------------------------------------------------------------------------------- locks

NO_LOCKS = (errno.ENOLCK, *map(at_night, (errno.EOPNOTSUPP, errno.ENOSYS)))
HELD = (errno.EAGAIN, at_night(errno.EACCES))
SHIM = """
import errno, fcntl, os, sys
number = int(sys.argv.pop(1))

def flock(file, how):
    raise OSError(number, os.strerror(number))

fcntl.flock = flock
from orchestra.cli import main
main()
"""


def with_locks_that_fail(project: SuiteProject, number: int, *words: str) -> Ended:
    """`orchestra …` where the file system answers each lock with an error, as NFS does. There is no NFS to be had here."""
    done = subprocess.run(
        [sys.executable, "-c", SHIM, str(number), *words],
        cwd=project.root,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_told(project, number):
    ended = with_locks_that_fail(project, number, "run")
    assert ended.code == 3
    assert f'error: cannot lock "{project.root}/.orchestra/s/lock": {os.strerror(number).lower()}' in ended.err
    assert "hint: use a checkout on a local disk, or mount this one (NFS?) with locks" in ended.err
    assert not (project.root / ".orchestra/s/runs").exists()


@pytest.mark.parametrize("number", HELD, ids=errno.errorcode.get)
def test_a_lock_that_another_machine_has_is_one_of_a_run(project, number):
    ended = with_locks_that_fail(project, number, "run")
    assert ended.code == 3
    assert f'another run holds "{project.root}/.orchestra/s/lock"' in ended.err


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
def test_a_record_can_be_read_where_there_are_no_locks(project, number, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    assert project.run("run").code == 1
    monkeypatch.setattr(fcntl, "flock", refused)
    for words in (("status",), ("audit",), ("events",), ("report", "--format", "md")):
        assert project.run(*words).code == 0, words


# ------------------------------------------------------------------------------------------- home and temporary folders

HOMES = {"unset": None, "empty": "", "not there": "{tmp}/none", "a file": "/dev/null", "read-only": "/proc"}


@pytest.mark.parametrize("home", by_day(HOMES, "unset", "read-only"))
def test_a_run_needs_no_home(project, home):
    """`/proc` is a folder in which not even root can make a file. Without a key no record is trusted, and the message says why."""
    own = environment(HOME=(HOMES[home] or "").replace("{tmp}", str(project.root.parent)))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", *(["HOME"] if home == "unset" else [])):
        own.pop(name, None)

    def called(*words: str) -> Ended:
        done = ended(["orchestra", *words], project.root, own)
        assert "Traceback" not in done.err
        return done

    (project.root / "good").touch()
    for words in (("compile", "--check"), ("run",), ("audit", "--policy"), ("doctor",)):
        assert called(*words).code == 0, words
    assert not (project.root.parent / "none").exists()
    (project.root / "good").unlink()
    assert called("run").code == 1
    if home != "unset":  # the user's home is known without the variable
        refused = called("run", "--resume")
        assert (refused.code, "this user has no key on this machine to prove it" in refused.err) == (2, True)


@pytest.mark.parametrize("folder", by_day(["not there", "/dev/null", "/proc", "of another"], "/proc", "of another"))
def test_a_run_needs_no_tmpdir_of_ones_own(project, folder):
    path = project.root.parent / "tmpdir"
    if folder == "of another":
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(path, OTHERS, OTHERS)
        else:
            path = Path("/root")
    elif folder != "not there":
        path = Path(folder)
    (project.root / "good").touch()
    assert project.run("run", TMPDIR=str(path)).code == 0
    assert project.doit(TMPDIR=str(path)).code == 0
    assert project.process("doctor", TMPDIR=str(path)).code == 0
