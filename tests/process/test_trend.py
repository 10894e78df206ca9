"""Since which commit a test fails, of real runs in a real git repository."""

from __future__ import annotations

import json
import subprocess

from tests.support.project import HEAD, environment


def test_the_verb_tells_since_which_commit_a_test_fails(project):
    """Real runs of a real git repository: good, then broken by a commit, then flaky by a retry."""

    def git(*words):
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(
            argv, cwd=project.root, env=environment(), check=True, capture_output=True, text=True
        ).stdout

    code = "import pathlib, sys; sys.exit(pathlib.Path('broken').exists())"
    spec = f"{HEAD}tests:\n  a: {{command: {{argv: [python, -c, {json.dumps(code)}]}}}}\n"
    project.write(spec).compile()
    none = project.run("history")
    assert none.code == 2
    assert "no run has executed the selected tests" in none.err
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "good")
    assert project.run("run").code == 0
    (project.root / "broken").touch()
    git("add", "broken")
    git("commit", "-qm", "break it")
    assert project.run("run").code == 1
    first, second = (git("rev-parse", name).strip()[:12] for name in ("HEAD~1", "HEAD"))
    told = project.run("history", "a")
    assert told.code == 0, told.err
    assert f"commits {first}..{second}" in told.out
    assert project.run("history", "--flaky").out == "no test is flaky\n"
    (project.root / "broken").unlink()
    git("commit", "-qam", "mend it")
    assert project.run("run").code == 0
    assert "fails since" not in project.run("history", "a").out
    lines = [json.loads(line) for line in project.run("history", "--json").out.splitlines()]
    assert [one["executions"]["cli:a"]["verdict"] for one in lines] == ["passed", "failed", "passed"]
    assert [line.split()[3] for line in project.run("history", "--rebuild").out.splitlines()[1:2]] == ["%"]
    assert ".F." in project.run("history").out
    assert project.run("history", "--machine", "moon").code == 2
