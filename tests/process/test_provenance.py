"""Where a run comes from: real git, and environments as agents and CI systems set them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from orchestra.ledger.origin import Environment, Git
from orchestra.runtime.run.provenance import environment, git_state, provenance, started_by


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "trunk")
    for name in ("kept.txt", "changed.txt", "moved.txt", "gone.txt"):
        (tmp_path / name).write_text(f"{name}\n" * 9)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_checkout_has_commit_and_branch(checkout):
    commit = git(checkout, "rev-parse", "HEAD").strip()
    assert git_state(checkout) == Git(commit=commit, branch="trunk", dirty_files=0, dirty={})


def test_changed_files_have_digests(checkout):
    (checkout / "changed.txt").write_text("other")
    (checkout / "new one.txt").write_text("new")
    git(checkout, "mv", "moved.txt", "there.txt")
    (checkout / "gone.txt").unlink()
    (checkout / "below").mkdir()
    found = git_state(checkout / "below")
    assert found.dirty_files == 4
    assert found.dirty == {
        "changed.txt": hashlib.sha256(b"other").hexdigest(),
        "gone.txt": None,
        "new one.txt": hashlib.sha256(b"new").hexdigest(),
        "there.txt": hashlib.sha256(b"moved.txt\n" * 9).hexdigest(),
    }


def test_outside_of_git_there_is_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == Git()


def test_the_environment_is_redacted():
    env = {"CI": "1", "TZ": "UTC", "HOME": "/home/a", "ORCHESTRA_TOKEN": "t", "ORCHESTRA_PROFILE": "p", "API_KEY": "k"}
    assert environment(env) == Environment(
        values={"CI": "1", "TZ": "UTC", "ORCHESTRA_PROFILE": "p"}, names=("API_KEY", "HOME", "ORCHESTRA_TOKEN")
    )


@pytest.mark.parametrize(
    "env, found",
    [
        ({"USER": "ann"}, {"started_by": "person", "user": "ann"}),
        ({"CLAUDECODE": "1", "CI": "1"}, {"started_by": "agent"}),
        ({"CI": "true"}, {"started_by": "ci"}),
        ({"GITLAB_CI": "true", "CI_JOB_URL": "https://x/1"}, {"started_by": "ci", "job": "https://x/1"}),
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SERVER_URL": "https://g",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_RUN_ID": "7",
            },
            {"started_by": "ci", "job": "https://g/a/b/actions/runs/7"},
        ),
    ],
)
def test_who_started_it(env, found):
    assert started_by(env) == found


def test_where_a_run_comes_from_is_recorded_whole(checkout):
    facts = provenance(checkout, {"USER": "ann"}, "1.2.3")
    assert (facts.orchestra, facts.user) == ("1.2.3", "ann")
    assert {"doit", "playwright"} <= set(facts.tools)
    assert all((facts.python, facts.system, facts.machine, facts.cores, facts.memory_megabytes, facts.git.commit))
