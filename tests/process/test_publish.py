"""`orchestra report --commit`: one commit by compare and swap, index and work tree untouched. Real git, real remotes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from orchestra.errors import MachineError, UsageError
from orchestra.report.publish import TRIES, Git
from tests.support.project import ANY_LOAD, HEAD, SuiteProject, py

SPEC = f"{HEAD}baseline: {{{ANY_LOAD}}}\ntests:\n  a: {{command: {{argv: [sh, -c, exit 0]}}}}\n"
IDENTITY = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
}


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    (root / "file.txt").write_text("one")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def snapshot(root: Path) -> tuple[bytes, str, str]:
    return (root / ".git" / "index").read_bytes(), git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD")


def test_the_report_of_a_run_is_committed_and_pushed(checkout, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(checkout, "remote", "add", "origin", str(tmp_path / "remote.git"))
    (checkout / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(checkout).write(SPEC).compile()
    assert project.run("run").code == 0
    before = snapshot(checkout)
    told = project.run("report", "--commit", "--push")
    assert (told.code, told.out.splitlines()[1:]) == (0, ["pushed to origin"]), told.err
    assert snapshot(checkout) == before
    names = git(checkout, "ls-tree", "-r", "--name-only", "refs/orchestra/s").splitlines()
    disturbed = any(event["body"].get("disturbed") for event in project.events("attempt_finished"))
    assert names == [
        *([] if disturbed else [".orchestra/s/baseline.json"]),  # a busy machine measures no durations
        ".orchestra/s/report/run.json",
        ".orchestra/s/report/summary.md",
    ]
    facts = json.loads(git(checkout, "show", "refs/orchestra/s:.orchestra/s/report/run.json"))
    assert facts["ledger"]["head"] == project.events()[-1]["hash"]
    assert git(tmp_path / "remote.git", "rev-parse", "refs/orchestra/s") == git(
        checkout, "rev-parse", "refs/orchestra/s"
    )
    again = project.run("report", "--commit")
    assert "which has this report already" in again.out
    for words, said in (
        (["--commit", "--ref", "trunk"], 'the branch "trunk" is checked out'),
        (["--commit", "--ref", "a..b"], '"a..b" is not a name for a git ref'),
        (["--ref", "x"], "--ref and --push need --commit"),
        (["--commit", "--format", "md"], "exclude each other"),
    ):
        refused = project.run("report", *words)
        assert (refused.code, said in refused.err) == (2, True), refused.err
    assert "refuses" in project.run("report", "--commit", "--push", "--remote", "nowhere").err


def test_the_report_of_a_run_that_did_not_end_is_not_committed(checkout):
    (checkout / "pyproject.toml").write_text("[tool.orchestra]\n")
    wait = "import pathlib, time; pathlib.Path('here').touch(); time.sleep(0 if pathlib.Path('go').exists() else 600)"
    project = SuiteProject(checkout).write(f"{HEAD}tests: {{a: {py(wait)}}}\n").compile()
    process = project.start("run")
    while not (checkout / "here").exists():
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    refused = project.run("report", "--commit")
    assert (refused.code, "has not ended" in refused.err, "orchestra run --resume" in refused.err) == (2, True, True)
    assert subprocess.run(["git", "show-ref", "refs/orchestra/s"], cwd=checkout, check=False).returncode == 1
    (checkout / "go").touch()
    assert project.run("run", "--resume").code == 0
    assert project.run("report", "--commit").code == 0


def test_what_a_branch_has_stays_and_the_report_is_beside_it(checkout):
    git(checkout, "branch", "reports")
    before = snapshot(checkout)
    made = Git(checkout).publish("refs/heads/reports", {"a/b.md": b"text"}, "A report\n")
    assert git(checkout, "ls-tree", "-r", "--name-only", "reports").splitlines() == ["a/b.md", "file.txt"]
    assert git(checkout, "show", "reports:a/b.md") == "text"
    assert git(checkout, "rev-parse", "reports^") == before[2]
    assert (made.fresh, snapshot(checkout)) == (True, before)


def test_below_the_top_the_paths_are_those_of_the_project(checkout):
    (checkout / "below").mkdir()
    Git(checkout / "below").publish("refs/orchestra/x", {"r.md": b"t"}, "m")
    assert git(checkout, "ls-tree", "-r", "--name-only", "refs/orchestra/x") == "below/r.md"


class Moved(Git):
    """Somebody else commits to the ref between our reading and our moving it, so many times."""

    times = 1

    def _tree(self, parent, blobs):
        if self.times:
            self.times -= 1
            Git(self.root).publish("refs/orchestra/x", {f"other{self.times}": b"o"}, "other")
        return super()._tree(parent, blobs)


def test_a_ref_that_moved_is_read_again_and_what_moved_it_is_kept(checkout):
    Moved(checkout).publish("refs/orchestra/x", {"mine": b"m"}, "mine")
    assert git(checkout, "ls-tree", "-r", "--name-only", "refs/orchestra/x").splitlines() == ["mine", "other0"]
    assert git(checkout, "rev-list", "--count", "refs/orchestra/x") == "2"


def test_a_ref_that_moves_again_and_again_is_given_up(checkout):
    moving = Moved(checkout)
    moving.times = TRIES
    with pytest.raises(MachineError, match="another process moved refs/orchestra/x"):
        moving.publish("refs/orchestra/x", {"mine": b"m"}, "mine")
    assert "mine" not in git(checkout, "ls-tree", "-r", "--name-only", "refs/orchestra/x")


def test_outside_of_git_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is in no git work tree"):
        Git(tmp_path)
