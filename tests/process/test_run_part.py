"""The options of `orchestra run` that change what runs and how often: one suite, run with each of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestra.project import find
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.since import reasons, revision
from orchestra.verbs.repeating import repeat
from tests.support import outages
from tests.support.project import SuiteProject, call, environment, py
from tests.support.terminal import Terminal

# `often` fails in its second execution of three, and then passes again.
OFTEN = "import pathlib, sys; seen = pathlib.Path('seen'); n = len(seen.read_text()) if seen.exists() else 0; seen.write_text('x' * (n + 1)); sys.exit(n == 1)"
SPEC = f"""orchestra: 1
suite: s
methods: {{cli: {{driver: command, workers: 1}}}}
tests:
  first: {{title: The basket opens, tags: [slow], inputs: ["data/*.txt"], {py("pass")[1:-1]}}}
  second: {{title: The basket is empty, {py("raise SystemExit(3)")[1:-1]}}}
  third: {{title: The basket holds a book, after: [second], {py("pass")[1:-1]}}}
  fourth: {{title: The page of a book, needs: [third], {py("raise SystemExit(4)")[1:-1]}}}
  often: {{title: The price, after: [fourth], {py(OFTEN)[1:-1]}}}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> SuiteProject:
    """One project for all tests of this file; each looks only at the runs that it starts."""
    root: Path = tmp_path_factory.mktemp("part")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(root).write(SPEC).compile()
    assert project.process("run", "first").code == 0
    return project


def started(project: SuiteProject) -> dict:
    """The fields of the first event of the last run that the command line fills."""
    body = project.events("run_started")[0]["body"]
    fields = ("selected_by", "seed", "max_failures", "retries")
    return {name: body[name] for name in fields if name in body}


def committed(project: SuiteProject) -> str:
    """Make a commit of the project, with its plan, and return its hash."""
    (project.root / "data").mkdir(exist_ok=True)
    (project.root / "data/one.txt").write_text("1")
    (project.root / ".gitignore").write_text(".orchestra/*/runs\n__pycache__\n")
    if not (project.root / ".git").exists():
        project.git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-q", "--allow-empty", "-m", "all")
    return project.git("rev-parse", "HEAD").strip()


def test_a_run_ends_after_so_many_failures_and_its_rest_runs_by_itself(suite):
    ended = suite.process("run", "-x", "!tag:slow", "-k", "basket", "-k", "BOOK")
    assert ended.code == 1
    assert "3 tests to run  !tag:slow, -k basket -k BOOK\n" in ended.err
    reason = "1 test failed, the last was cli:second (--max-failures 1)"
    assert suite.verdicts() == {"cli:second": "failed", "cli:third": "blocked", "cli:fourth": "blocked"}
    assert suite.reasons()["cli:third"] == reason
    assert started(suite) == {
        "max_failures": 1,
        "selected_by": [
            {"by": "!tag:slow", "effect": "removes", "tasks": 1},
            {"by": "-k basket -k BOOK", "effect": "leaves", "tasks": 3},
        ],
    }
    assert suite.run("audit").code == 0
    run = suite.folder.name
    words = ("--last-failed", "!second", "--shuffle", "7", "--max-failures", "2", "--retries", "1")
    assert suite.process("run", *words, "--detach").code == 0
    assert suite.run("wait").code == 1
    assert suite.verdicts() == {"cli:third": "passed", "cli:fourth": "failed"}
    listed = [{"by": "!second", "effect": "removes", "tasks": 1}]
    assert started(suite) == {
        "selected_by": [*listed, {"by": f"--failed-in {run}", "effect": "leaves", "tasks": 2}],
        "seed": 7,
        "max_failures": 2,
        "retries": 1,
    }
    [retry] = [event["body"] for event in suite.events("attempt_finished") if event["body"]["retry"]]
    assert (retry["retry_cause"], retry["retries_left"]) == ("failed", 0)
    listing = suite.process("run", "--failed-in", run, "--list").out
    assert [row.split()[0] for row in listing.splitlines()] == ["cli:second", "cli:third", "cli:fourth"]


def test_a_test_is_repeated_until_it_fails(suite):
    (suite.root / "seen").unlink(missing_ok=True)
    ended = suite.process("run", "often", "--repeat", "3", "--until-fail")
    assert ended.code == 1
    assert f"repeated    2 runs, 1 not good: {suite.folder.name}\n" in ended.out
    assert "cli:often  1 of 2" in ended.out
    again = suite.process("run", "often", "--repeat", "2")
    assert (again.code, "repeated    2 runs, 0 not good: none\n" in again.out) == (0, True)
    (suite.root / "seen").write_text("x")
    assert suite.process("run", "often", "--retries", "1").code == 0
    assert suite.verdicts() == {"cli:often": "flaky"}


def test_a_run_that_is_interrupted_before_its_record_is_not_counted(tmp_path, capsys):
    assert repeat(tmp_path, lambda: 130, times=2, until_fail=False) == 130
    assert "repeated    0 runs, 0 not good: none\n" in capsys.readouterr().out


ONCE = "import pathlib, sys; seen = pathlib.Path(sys.argv[1]); new = not seen.exists(); seen.touch(); sys.exit(new)"
ISOLATED = f"""orchestra: 1
suite: s
methods: {{cli: {{driver: command, workers: 3}}}}
defaults: {{retries: {{max: 1, on: [failed]}}}}
tests:
  first: {{command: {{argv: [python, -c, "{ONCE}", first]}}}}
  second: {{command: {{argv: [python, -c, "{ONCE}", second]}}}}
  third: {py("pass")}
  fourth: {{needs: [first], {py("pass")[1:-1]}}}
  fifth: {py("pass")}
"""


@pytest.mark.parametrize("by", ["the spec", "an option", "doit"])
def test_isolated_retries_run_at_the_end_and_alone(project, by):
    spec = ISOLATED.replace("max: 1", "max: 1, isolated: true") if by == "the spec" else ISOLATED
    project.write(spec).compile()
    words = ["--isolate-retries"] if by == "an option" else []
    select = {"ORCHESTRA_SELECT": "--isolate-retries"}
    ended = project.doit(**select) if by == "doit" else project.process("run", *words)
    assert ended.code == 0, ended.err
    verdicts = dict.fromkeys(["cli:first", "cli:second"], "flaky") | dict.fromkeys(
        ["cli:third", "cli:fourth", "cli:fifth"], "passed"
    )
    assert project.verdicts() == verdicts
    running, done, alone = set(), set(), 0
    for event in project.events():
        body = event["body"]
        if event["type"] == "attempt_started":
            assert not alone or not running, "nothing starts next to a retry"
            alone = body["attempt"] == 2
            if alone:
                assert not running
                assert done >= {"cli:third", "cli:fifth"}
            running.add(body["task"])
        elif event["type"] == "attempt_finished":
            running.discard(body["task"])
            done.add(body["task"])
    assert project.run("audit").code == 0


def test_an_isolated_retry_that_does_not_come_leaves_the_verdict_of_its_attempt(project):
    failing = f"  third: {{retries: {{max: 0}}, {py('raise SystemExit(1)')[1:-1]}}}\n"
    project.write(ISOLATED.replace(f"  third: {py('pass')}\n", failing)).compile()
    assert project.process("run", "first", "third", "--isolate-retries", "-x", "--workers", "1").code == 1
    assert project.verdicts() == {"cli:first": "failed", "cli:third": "failed"}
    assert "not retried: 1 test failed, the last was cli:third (--max-failures 1)" in project.reasons()["cli:first"]


@pytest.mark.parametrize(
    "change, why",
    [
        ("", ""),
        ("echo 2 > data/one.txt", "data/one.txt changed"),
        ("echo 2 > data/one.txt; git add -A", "data/one.txt changed"),
        ("echo 2 > data/two.txt", "data/two.txt is not in {rev}"),
        ("rm data/one.txt", "data/one.txt changed"),
        ("git mv data/one.txt one.txt", "data/one.txt changed"),
        ("git update-index --skip-worktree data/one.txt", "git is asked not to look for changes of data/one.txt"),
        ("echo 2 > other.txt", ""),
        ("touch data/one.txt", ""),
    ],
)
def test_git_is_asked_what_changed(suite, change, why):
    commit = committed(suite)
    subprocess.run(["sh", "-c", change], cwd=suite.root, check=True)
    since = revision(suite.root, "HEAD", ".orchestra/s/plan.json")
    plan = load_plan(find(suite.root), "s")
    assert (since.commit, since.plan is not None) == (commit, True)
    found = reasons(suite.root, plan, since)
    assert found.get("cli:first", "") == why.format(rev="HEAD")
    assert found["cli:second"] == "it runs a program and declares no inputs"
    suite.git("update-index", "--no-skip-worktree", *suite.git("ls-files", "data").split())
    suite.git("reset", "-q", "--hard", "HEAD")
    suite.git("clean", "-fdq")


def test_a_run_since_a_revision_records_why(suite):
    commit = committed(suite)
    none = suite.process("run", "first", "--since", "HEAD")
    assert (none.code, "nothing that the selected tests rest on has changed since HEAD" in none.err) == (0, True)
    shown = suite.run("show", "first", "--why").out
    assert shown == f"left out    cli:first  the same as in HEAD ({commit[:12]}): its part of the spec, 1 input\n"
    comment = suite.root / "specs/s.yaml"
    comment.write_text(comment.read_text().replace("tests:", "# a comment\ntests:"))
    suite.compile()
    assert suite.process("run", "first", "--since", "HEAD").code == 0
    assert suite.process("run", "first", "--since", "HEAD").err == none.err
    (suite.root / "data/one.txt").write_text("2")
    assert suite.run("show", "first", "--why", commit).out == "runs        cli:first  data/one.txt changed\n"
    assert suite.process("run", "first", "--since", "HEAD").code == 0
    by = [{"by": "first", "effect": "adds", "tasks": 1}]
    why = {"cli:first": "data/one.txt changed"}
    by.append({"by": f"--since HEAD ({commit[:12]})", "effect": "leaves", "tasks": 1, "why": why})
    assert started(suite)["selected_by"] == by
    unknown = suite.process("run", "--since", "no-branch")
    assert (unknown.code, '--since: git knows no commit "no-branch"' in unknown.err) == (2, True)
    option = suite.process("run", "--since=--all")
    assert (option.code, 'git knows no commit "--all"' in option.err) == (2, True)


def test_what_is_new_or_changed_is_burned_in(project):
    """A test fails in its third execution: a retry would hide it."""
    third = f"import pathlib, sys; n = len(list(pathlib.Path().glob('seen*'))); pathlib.Path(f'seen{{n}}').touch(); sys.exit({2} == n)"
    rows = f"""
  same: {{inputs: ["data/*.txt"], {py("pass")[1:-1]}}}
  other: {{inputs: ["data/*.txt"], title: TITLE, {py("pass")[1:-1]}}}
"""
    head = (
        "orchestra: 1\nsuite: s\nmethods: {cli: {driver: command, workers: 1}}\ndefaults: {retries: {max: 2}}\n"
        "gates: {after: {fit: {require: burned_in == 1.0}}}\ntests:"
    )
    project.write(head + rows.replace("TITLE", "one")).compile()
    committed(project)
    nothing = project.process("run", "--burn-in", "HEAD")
    assert (nothing.code, "nothing to burn in" in nothing.err) == (0, True), nothing.err
    project.write(head + rows.replace("TITLE", "two") + f"  new: {{{py(third)[1:-1]}}}\n").compile()
    ended = project.process("run", "--burn-in", "HEAD")
    assert ended.code == 1
    assert "repeated    10 runs, 8 not good: " in ended.out, "the gate fails, too, from the third on"
    assert "burned in   1 of 2 tests  not: cli:new 9 of 10\n" in ended.out, ended.out
    assert re.search(r"^cli:other +5 of 5$", ended.out, re.MULTILINE), ended.out
    assert "cli:same" not in ended.out
    assert started(project)["selected_by"] == [{"by": "--burn-in HEAD", "effect": "leaves", "tasks": 1}]
    counts = {"cli:other": {"wanted": 5, "executed": 5, "good": 5}, "cli:new": {"wanted": 10, "executed": 9, "good": 8}}
    assert project.events("run_started")[0]["body"]["burn_in"] == counts
    [fit] = [gate for gate in project.gates() if gate["name"] == "fit"]
    assert (fit["result"], fit["values"]) == ("failed", {"burned_in": 0.5}), (
        "the last run passed, an earlier one did not"
    )
    assert project.run("audit").code == 0
    by_doit = project.doit("cli:other", ORCHESTRA_SELECT="--burn-in HEAD")
    assert (by_doit.code, "burned in   1 of 1 tests\n" in by_doit.out) == (0, True), by_doit.err
    unknown = project.process("run", "--burn-in", "no-branch")
    assert (unknown.code, 'git knows no commit "no-branch"' in unknown.err) == (2, True)


def test_doit_takes_the_selection_of_a_variable(suite):
    (suite.root / "seen").unlink(missing_ok=True)
    words = "'!tag:slow' -k price -k empty --max-failures 1 --shuffle 3"
    assert suite.doit(ORCHESTRA_SELECT=words).code == 1
    assert suite.verdicts().keys() == {"cli:second", "cli:often"}
    assert (started(suite)["max_failures"], started(suite)["seed"]) == (1, 3)
    assert suite.doit("cli:often", ORCHESTRA_SELECT="--retries 2").code == 0
    (suite.root / "seen").unlink(missing_ok=True)
    again = suite.doit(ORCHESTRA_SELECT="often --repeat 3 --until-fail")
    assert (again.code, "repeated    2 runs, 1 not good: " in again.out) == (1, True), again.err
    assert "cli:often  1 of 2" in again.out
    named = suite.doit("cli:often", ORCHESTRA_SELECT="--repeat 2")
    assert (named.code, "cli:often  2 of 2" in named.out) == (0, True), named.err
    refused = {
        "--repeat 2 --burn-in main": "--burn-in runs what has changed several times; --repeat does not fit",
        "--watch": "ORCHESTRA_SELECT: --watch does not fit a run by doit",
        "--resume": "ORCHESTRA_SELECT: --resume does not fit a run by doit",
        "'a": "is not words of a command line: No closing quotation",
        "--fast": 'ORCHESTRA_SELECT: unknown option "--fast"',
        "nothing": 'no test, group, tag or glob "nothing"',
    }
    run = suite.folder.name
    for value, message in refused.items():
        ended = suite.doit(ORCHESTRA_SELECT=value)
        assert (ended.code, "Traceback" in ended.err) == (2, False), ended.err
        assert message in ended.err
    two = suite.doit("cli:often", ORCHESTRA_SELECT="often second")
    assert (two.code, "are two selections: cli:often" in two.err) == (2, True)
    assert suite.folder.name == run


@pytest.mark.parametrize(
    "words, message",
    [
        ("-x --max-failures 3", "-x is --max-failures 1; --max-failures does not fit"),
        ("--last-failed --failed-in last", "--last-failed is --failed-in last; --failed-in does not fit"),
        ("--resume --repeat 2", "a resumed run is one run; --repeat does not fit"),
        ("--resume -k a", "a resumed run has its own selection; -k does not fit"),
        ("--all-suites --until-fail", "waits for them; --until-fail does not fit"),
        ("--detach --repeat 2", "--detach starts one run; --repeat does not fit"),
        ("--burn-in main --watch", "--burn-in runs what has changed several times; --watch does not fit"),
        ("--open --until-fail", "--open serves the page of one run; --until-fail does not fit"),
        ("--max-failures 0", "invalid value for '--max-failures'"),
        ("--shuffle first", '--shuffle takes a number below 1000000000 as its seed, not "first"'),
        ("-k nothing", 'no title holds "nothing"; there are first "The basket opens", second'),
        ("first !first", "nothing to run: first !first by cli selects no test"),
        ("!frst", 'no test, group, tag or glob "!frst"'),
        ("--failed-in 1999", 'no run "1999" of suite "s"'),
        ("--trust", "--trust needs --resume"),
        ("--watch", "--watch needs a terminal: it is ended by a key"),
        ("--pause-on-fail", "--pause-on-fail needs a terminal: a person decides what follows"),
        ("--until 2 --detach", "a run that pauses asks a person at the terminal; --detach does not fit"),
        ("--step --workers 2", "a run that pauses asks a person at the terminal; --workers does not fit"),
        ("--until 0", "invalid value for '--until'"),
        ("--watch --detach", "--watch runs tests after each change; --detach does not fit"),
    ],
)
def test_bad_values_are_refused_with_a_letter(suite, words, message):
    ended = call(["run", *words.split()], suite.root, environment())
    assert (ended.code, message in ended.err) == (2, True), ended.err
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize("option", ["--failed-in", "--resume"])
def test_a_run_that_was_pruned_is_refused(suite, option):
    assert suite.process("run", "second").code == 1
    pruned = suite.folder
    assert suite.process("run", "first", "--force").code == 0
    shutil.rmtree(pruned)
    ended = suite.process("run", option, pruned.name)
    assert (ended.code, f'no run "{pruned.name}" of suite "s"' in ended.err) == (2, True), ended.err


WATCHED = f"""orchestra: 1
suite: s
methods: {{cli: {{driver: command, workers: 1}}}}
tests:
  one: {{inputs: [one.txt], {py("import sys; sys.exit('bad' in open('one.txt').read())")[1:-1]}}}
  two: {{inputs: [two.txt], {py("pass")[1:-1]}}}
"""


def save(project, path: str, text: str) -> None:
    """Write a file in one step: one that is read while it is written is a change more."""
    new = project.root.parent / "new"
    new.write_text(text)
    new.replace(project.root / path)


def test_a_run_watches_its_files(project):
    for name in ("one", "two"):
        (project.root / f"{name}.txt").write_text("good")
    project.write(WATCHED).compile()
    terminal = Terminal()
    argv = [sys.executable, "-m", "orchestra", "run", "--watch"]
    whole = environment(TERM="dumb")
    process = subprocess.Popen(argv, cwd=project.root, env=whole, stdin=terminal.out, stderr=terminal.out)
    try:
        terminal.wait_for("watching    ")
        assert project.verdicts() == {"cli:one": "passed", "cli:two": "passed"}
        save(project, "one.txt", "a bad one")
        terminal.wait_for("watching    ", 2)
        assert project.verdicts() == {"cli:one": "failed"}
        assert project.events("run_started")[0]["body"]["selected_by"][-1]["by"] == "--watch"
        save(project, "two.txt", "better")
        terminal.wait_for("watching    ", 3)
        assert project.verdicts() == {"cli:one": "failed", "cli:two": "passed"}
        save(project, "specs/s.yaml", WATCHED.replace("inputs: [two", "input: [two"))
        terminal.wait_for("specs/s.yaml:6:")
        terminal.wait_for("watching    ", 4)
        save(project, "one.txt", "good again")  # the last plan knows its files
        terminal.wait_for("watching    ", 5)
        save(project, "specs/s.yaml", WATCHED + "# right\n")
        terminal.wait_for("watching    ", 6)
        assert project.verdicts() == {"cli:one": "passed"}
        terminal.press("f")
        terminal.wait_for("no test failed")
        terminal.wait_for("watching    a all", 7)
        terminal.press("a")
        terminal.wait_for("watching    a all", 8)
        assert project.verdicts() == {"cli:one": "passed", "cli:two": "passed"}
        terminal.press("q")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    terminal.text()


@pytest.mark.parametrize("files", [100, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_services_stay_up_while_a_suite_is_watched(project, tmp_path_factory, files):
    """Thousands of changes at once are one run; only a change of a service starts it again."""
    programs = tmp_path_factory.mktemp("programs")
    for name in ("open", "xdg-open"):
        (programs / name).write_text('#!/bin/sh\necho "opened $1" >&2\n')
        (programs / name).chmod(0o755)
    outages.suite(project, outages.backend(), f'  a: {{inputs: [ask.py, "data/**"], {outages.asks()}\n')
    terminal = Terminal()
    argv = [sys.executable, "-m", "orchestra", "run", "--watch"]
    whole = environment(TERM="dumb", PATH=f"{programs}:{os.environ['PATH']}")
    process = subprocess.Popen(argv, cwd=project.root, env=whole, stdin=terminal.out, stderr=terminal.out)

    def starts() -> list[int]:
        return [int(pid) for pid in (project.root / "backend/starts").read_text().split()]

    def runs() -> int:
        return len(list((project.root / ".orchestra/s/runs").glob("*Z-*")))

    try:
        terminal.wait_for("watching    a all")
        assert len(starts()) == 1
        (programs / "data").mkdir()
        for number in range(files):
            (programs / f"data/{number}").touch()
        (programs / "data").rename(project.root / "data")
        terminal.wait_for("watching    a all", 2)
        assert (len(starts()), runs(), project.verdicts()) == (1, 2, {"cli:a": "passed"})
        with (project.root / "serve.py").open("a") as file:
            file.write("# another build\n")
        terminal.wait_for("restart     backend  its files have changed")
        terminal.wait_for("watching    a all", 3)
        assert (len(starts()), runs(), project.verdicts()) == (2, 3, {"cli:a": "passed"})
        terminal.press("o")
        terminal.wait_for(f"opened {project.root}/.orchestra/s/runs/last/report.html")
        terminal.wait_for("watching    a all", 4)
        terminal.press("q")
        assert process.wait(timeout=60) == 0
        assert not [pid for pid in starts() if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    finally:
        process.kill()
        process.wait()
    terminal.text()


def test_a_paused_run_whose_terminal_is_closed_leaves_nothing_running(project):
    """A test without a page pauses, too. First its worker dies under it: the prompt goes on to the next test."""
    project.write("""orchestra: 1
suite: s
methods: {cli: {driver: playwright}}
tests:
  one: {steps: [set: {a: 1}]}
  two: {steps: [set: {b: "${test.id}"}, set: {c: 2}]}
""").compile()
    terminal = Terminal()
    argv = [sys.executable, "-m", "orchestra", "run", "--until", "1"]
    out = terminal.out
    process = psutil.Popen(argv, cwd=project.root, env=environment(TERM="dumb"), stdin=out, stdout=out, stderr=out)
    try:
        terminal.wait_for("paused      cli:one  step 1 of 1")
        terminal.wait_for("\r\n> ")
        [worker] = [one for one in process.children(recursive=True) if "orchestra.runtime.worker" in one.cmdline()]
        worker.kill()
        terminal.wait_for("paused      cli:one  has ended")
        terminal.wait_for("paused      cli:two  step 1 of 2")
        terminal.wait_for("\r\n> ", 2)
        started = process.children(recursive=True)
        terminal.close()
        assert process.wait(timeout=60) in {129, 130}
        assert not psutil.wait_procs(started, timeout=60)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert project.verdicts() == {"cli:one": "error", "cli:two": "interrupted"}
