"""Methods, runs and branches compared by the verb, over real runs."""

from __future__ import annotations

import json
import subprocess

from tests.support.project import HEAD, environment, py


def test_the_verb_compares_methods_runs_and_branches(project):
    spec = HEAD.replace("{cli: {driver: command, workers: 2}}", "{one: {driver: command}, two: {driver: command}}")
    project.write(f"{spec}tests: {{a: {py('pass')}, b: {py('pass')}}}\n").compile()
    nothing = project.run("compare")
    assert nothing.code == 2
    assert 'no run of suite "s" is recorded yet' in nothing.err
    assert project.run("run").code == 0
    told = project.run("compare")
    assert told.code == 0, told.err
    assert "two against one: 2 tests by both" in told.out
    assert "2 of 2 agree" in told.out
    first = project.folder.name
    assert project.run("run", "a").code == 0
    runs = project.run("compare", first, "last")
    assert runs.code == 0, runs.err
    assert f"only {first}: one:b, two:b" in runs.out
    three = project.run("compare", first, "last", "last")
    assert (three.code, "nothing is compared with itself" in three.err) == (2, True)
    assert project.run("compare", "one", "last").code == 2
    assert "two sides or more are compared, not one alone" in project.run("compare", "one").err
    assert 'no finished run on branch "x"' in project.run("compare", "branch:x", "last").err
    assert project.run("compare", "two", "one", "--run", first, "--markdown").out.startswith("- one against two")
    page = project.run("compare", first, "last", "--format", "html")
    assert (page.code, page.out[:15]) == (0, "<!doctype html>")
    assert f"<li>only {first}: one:b, two:b</li>" in page.out
    assert "two forms of output" in project.run("compare", "--markdown", "--format", "html").err


def test_three_methods_and_their_baselines_are_compared_in_verb_and_summary(project):
    methods = "{one: {driver: command}, two: {driver: command}, three: {driver: command}}"
    slow = "import sys, time; time.sleep(0.3 if '/two/' in sys.argv[1] else 0)"
    spec = HEAD.replace("{cli: {driver: command, workers: 2}}", methods)
    rule = "baseline: {min_runs: 2, slower_ratio: 1.01, slower_seconds: 0, confirm: 0, max_load_percent: 100}\n"
    test = f"{{command: {{argv: [python, -c, {json.dumps(slow)}, '${{attempt.dir}}']}}}}"
    project.write(f"{spec}{rule}tests: {{a: {test}, b: {py('pass')}}}\n").compile()
    runs = []
    for _ in range(3):
        done = project.run("run")
        assert done.code == 0, done.err
        runs.append(project.folder.name)
    told = project.run("compare", "last")
    assert told.code == 0, told.err
    rows = [line.split() for line in told.out.splitlines()]
    assert ["agree", "one", "two", "three"] in rows
    assert ["two", "2", "of", "2", "2", "of", "2"] in rows
    assert "two against one: 2 tests by both" in told.out
    assert "three against one: 2 tests by both" in told.out
    assert "usual (baseline)" in told.out
    summary = (project.folder / "summary.md").read_text(encoding="utf-8")
    assert "| agree | one | two | three |" in summary
    assert "usual (baseline)" in summary
    parts = project.run("compare", *(run.partition("-")[2] for run in runs))
    assert parts.code == 0, parts.err
    assert project.run("compare", runs[0].partition("-")[2]).out == project.run("compare", "--run", runs[0]).out
    many = project.run("compare", "20", "last")
    assert (many.code, '"20" is part of 3 runs' in many.err) == (2, True)
    every = project.run("compare", *runs)
    assert every.code == 0, every.err
    assert ["agree", *runs] in [line.split() for line in every.out.splitlines()]
    assert "6 of 6" in every.out
    assert "usual (baseline)" not in every.out, "two runs have one baseline"


def test_branches_are_compared_by_their_last_runs(project):
    def git(*words: str) -> None:
        own = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        subprocess.run(["git", *words], cwd=project.root, env=environment(**own), check=True, capture_output=True)

    project.write(
        f"{HEAD}tests: {{a: {py('import pathlib; raise SystemExit(pathlib.Path(chr(98)).exists())')}, c: {py('pass')}}}\n"
    ).compile()
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    assert project.run("run").code == 0
    git("checkout", "-q", "-b", "broken")
    (project.root / "b").touch()
    git("add", "b")
    git("commit", "-q", "-m", "break it")
    assert project.run("run").code == 1
    told = project.run("compare", "branch:main", "branch:broken")
    assert told.code == 0, told.err
    assert "branch:broken against branch:main: 2 tests by both" in told.out
    assert "1 of 2 agree" in told.out
    assert "only branch:broken fails cli:a: look at these first" in told.out
