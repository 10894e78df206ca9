"""Integrity rules over real runs in a real git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import golden
from tests.support.paths import DATA
from tests.support.project import HEAD, SuiteProject

GOLDEN = DATA / "integrity"


SPEC = f"""{HEAD}
tests:
  a: {{command: {{argv: [sh, -c, "exit 0"]}}}}
"""


def git(root: Path, *words: str) -> None:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *words], cwd=root, check=True, capture_output=True)


def test_the_verb_prints_each_rule_and_ends_as_the_policy_says(tmp_path):
    project = SuiteProject(tmp_path).write(SPEC).compile()
    (tmp_path / ".gitignore").write_text(".orchestra/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "x")
    assert project.run("run").code == 0
    told = project.run("audit", "--policy", "--require", "clean_tree")
    assert (told.code, told.err) == (0, "")
    golden.check(GOLDEN / "good.out", told.out.partition("\n")[2])

    (tmp_path / "new.txt").write_text("not in a commit")
    assert project.run("run", "--force").code == 0
    assert project.run("audit", "--policy").code == 0
    told = project.run("audit", "--policy", "--require", "clean_tree")
    assert told.code == 1
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    golden.check(GOLDEN / "bad.out", told.out.partition("\n")[2].replace(head[:12], "COMMIT"))


def test_a_policy_needs_its_switch_and_must_make_sense(tmp_path):
    project = SuiteProject(tmp_path).write(SPEC).compile()
    assert project.run("run").code == 0
    for words, said in [
        (["--require", "clean_tree"], "need --policy"),
        (["--policy", "--require", "clean_tree", "--excuse", "clean_tree"], "cannot be both"),
        (["--policy", "--require", "cleantree"], "cleantree"),
    ]:
        told = project.run("audit", *words)
        assert (told.code, said in told.err) == (2, True), told.err
    ledger = project.folder / "events.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"passed"', b'"failed"', 1))
    told = project.run("audit", "--policy")
    assert (told.code, "events.jsonl:" in told.out, "all_selected" in told.out) == (1, True, False)
