"""Runs from end to end: each form of the command line, verdicts, exit codes, faults. Commands only, so no browser."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestra.gates.catalogue import METRICS
from orchestra.gates.standard import STANDARD
from orchestra.ledger import reading
from tests.support.project import HEAD, SuiteProject, ended, environment, py
from tests.support.terminal import Terminal

OK = py("pass")
BAD = py("raise SystemExit(3)")

HEALTHY = f"""{HEAD}
groups: {{first: {{}}, second: {{after: [first]}}}}
tests:
  a: {{group: first, tags: [smoke], title: The first, command: {{argv: [python, -c, "print('hello')"]}}}}
  b: {{group: first, needs: [a], command: {{argv: [python, -c, pass]}}}}
  c: {{group: second, command: {{argv: [python, -c, pass]}}}}
"""

ONE_FAILS = HEALTHY.replace("print('hello')", "raise SystemExit(3)")


@pytest.fixture
def healthy(project: SuiteProject) -> SuiteProject:
    return project.write(HEALTHY).compile()


@pytest.fixture
def failing(project: SuiteProject) -> SuiteProject:
    return project.write(ONE_FAILS).compile()


@pytest.mark.parametrize(
    "words, tasks",
    [
        ([], {"cli:a", "cli:b", "cli:c"}),
        (["cli"], {"cli:a", "cli:b", "cli:c"}),
        (["cli:b"], {"cli:a", "cli:b"}),
        (["cli:c"], {"cli:c"}),
        (["-n", "4"], {"cli:a", "cli:b", "cli:c"}),
        (["-n", "2", "-P", "thread", "cli:a"], {"cli:a"}),
    ],
)
def test_doit_runs_what_it_is_asked_for_and_what_that_needs(healthy, words, tasks):
    done = healthy.doit(*words)
    assert (done.code, done.out) == (0, ""), done.err
    assert healthy.verdicts() == dict.fromkeys(tasks, "passed")


def test_doit_runs_one_method_after_the_other(project):
    two = HEALTHY.replace("workers: 2}}", "workers: 2}, again: {driver: command}}")
    project.write(two).compile()
    for words in ([], ["again", "cli"], ["-n", "2", "cli", "again:c", "again"]):
        done = project.doit(*words)
        assert (done.code, done.out) == (0, ""), done.err
        assert "Traceback" not in done.err
        assert project.verdicts() == {f"{method}:{test}": "passed" for method in ("cli", "again") for test in "abc"}


@pytest.mark.parametrize("words", [[], ["cli"], ["cli:b"], ["-n", "4"]])
def test_doit_ends_in_1_when_a_test_fails(failing, words):
    done = failing.doit(*words)
    assert done.code == 1, done.err
    verdicts = failing.verdicts()
    assert (verdicts["cli:a"], verdicts["cli:b"]) == ("failed", "blocked")
    assert "needs cli:a failed" in failing.reasons()["cli:b"]
    assert "Traceback" not in done.err


def test_doit_lists_without_running(healthy):
    done = healthy.doit("list", "--all")
    assert done.code == 0
    assert "cli:a   The first" in done.out
    assert "_run" not in done.out
    assert not (healthy.root / ".orchestra/s/runs").exists()


def test_a_run_is_compared_with_its_forecast(healthy):
    first = healthy.run("plan", "--forecast").out
    assert "rests on  no duration is known on" in first
    assert "nine of ten" not in first
    assert "memory    not known: no earlier run on " in first
    assert healthy.run("run").code == 0
    assert "expected" not in healthy.events("run_started")[0]["body"]
    shown = json.loads(healthy.run("plan", "--forecast", "--json").out)
    assert (shown["known"], shown["tests"], shown["runs"]) == (3, 3, 1)
    assert shown["low"] <= shown["seconds"] <= shown["high"]
    told = healthy.run("run", "--dry-run", "b").err
    assert "in nine of ten runs" in told
    assert "memory: " in told
    assert " available" in told
    assert shown["memory"]["measured"] == 3
    assert shown["memory"]["available_megabytes"] > 0
    again = healthy.run("run", "--force")
    expected = healthy.events("run_started")[0]["body"]["expected"]
    assert (expected["known"], again.err.count("  expected ")) == (3, 2), again.err
    assert again.err.count(" of memory at the peak, ") == (expected["memory_megabytes"] > 0), again.err
    told = healthy.run("plan", "--forecast", "--run", "last").out
    assert "  3 of 3 tests had a known duration before" in told
    assert len(re.findall(r"^ +cli:[abc]  took .*, expected ", told, re.MULTILINE)) == 3
    looked = json.loads(healthy.run("plan", "--forecast", "--run", "last", "--json").out)
    assert (looked["expected_seconds"], looked["known"]) == (round(expected["seconds"], 6), 3)
    assert {test["task"] for test in looked["tests"]} == {"cli:a", "cli:b", "cli:c"}
    mixed = healthy.run("plan", "--forecast", "--run", "last", "b")
    assert (mixed.code, "hint: remove the selection, " in mixed.err) == (2, True)
    assert "  3 of 3 tests have a known duration on " in healthy.run("plan", "--forecast", "--workers", "2").out


@pytest.mark.parametrize(
    "words",
    [["--forecast", "--shards", "2"], ["--workers", "2"], ["--run", "last"], ["--forecast", "--format", "json"], ["b"]],
)
def test_a_forecast_is_no_graph(healthy, words):
    assert healthy.run("plan", *words).code == 2


@pytest.mark.parametrize(
    "words, tasks",
    [
        ([], {"a", "b", "c"}),
        (["b"], {"a", "b"}),
        (["a..b"], {"a", "b"}),
        (["first"], {"a", "b"}),
        (["group:second"], {"c"}),
        (["tag:smoke"], {"a"}),
        (["?"], {"a", "b", "c"}),
        (["cli:c", "a"], {"a", "c"}),
        (["--method", "cli", "c"], {"c"}),
        (["--workers", "1"], {"a", "b", "c"}),
    ],
)
def test_run_selects(healthy, words, tasks):
    done = healthy.run("run", *words)
    assert (done.code, done.out) == (0, ""), done.err
    assert healthy.verdicts() == {f"cli:{name}": "passed" for name in tasks}
    assert "exit        0: all good" in done.err


def test_run_ends_in_1_when_a_test_fails_and_says_where(failing):
    done = failing.run("run")
    assert done.code == 1
    assert "specs/s.yaml:7:" in done.err
    assert "exit code 3" in done.err
    assert failing.events("run_finished")[0]["body"]["exit_code"] == 1


def test_json_is_the_state_at_the_end_and_alone_on_stdout(failing):
    done = failing.run("run", "--json")
    assert (done.code, "1 failed" in done.err) == (1, True), done.err
    state = json.loads(done.out)
    assert (state["phase"], state["exit_code"]) == ("finished", 1)
    assert state["format"] >= 1
    assert done.out == failing.run("status", "--json").out
    for option in ("--detach", "--list", "--all-suites"):
        refused = failing.run("run", "--json", option)
        assert (refused.code, refused.out, "--json" in refused.err) == (2, "", True), refused.err


def test_list_and_dry_run_start_nothing(healthy):
    assert healthy.run("run", "--list", "b").out == "cli:b  b\n"
    assert healthy.run("run", "--dry-run", "b").out == "cli:a  The first  (needed)\ncli:b  b\n"
    assert not (healthy.root / ".orchestra/s/runs").exists()


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["run", "aa"], 2, 'no test, group, tag or glob "aa" in suite "s"'),
        (["run", "tag:smok"], 2, 'did you mean "tag:smoke"?'),
        (["run", "--method", "clo"], 2, 'unknown method "clo" (did you mean "cli"?)'),
        (["run", "--suite", "x"], 2, 'unknown suite "x"'),
        (["run", "--profile", "x"], 2, 'no plan of suite "s" with profile "x"'),
        (["run", "--workers", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_wrong_words_are_told(healthy, words, code, said):
    done = healthy.run(*words)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def at_terminal(project: SuiteProject, *words: str, **env: str) -> tuple[int, str]:
    """Run `orchestra …` with its stderr at a terminal; its exit code, and what the terminal shows."""
    terminal = Terminal()
    done = ended(["orchestra", *words], project.root, environment(TERM="dumb", **env), terminal=terminal.out)
    return done.code, terminal.text()


def test_a_plan_that_is_stale_by_a_comment_runs(healthy):
    healthy.write(HEALTHY + "# a comment\n")
    before = (healthy.root / ".orchestra/outputs.txt").read_bytes()
    assert healthy.run("run", "a").code == 0
    assert healthy.doit("cli:a", CI="true").code == 0
    assert (healthy.root / ".orchestra/outputs.txt").read_bytes() == before
    assert healthy.run("audit").code == 0
    for words in (["show", "a"], ["plan"], ["history"]):
        assert healthy.run(*words).code == 0, words
    assert re.search(r"^ok +plan s +\d+ tests, up to date$", healthy.run("doctor").out, re.MULTILINE)
    assert healthy.run("compile", "--check").code == 1


def test_a_person_at_a_terminal_need_not_compile(healthy):
    healthy.write(HEALTHY.replace("print('hello')", "print('hallo')"))
    for env in ({"CI": "true"}, {"CLAUDECODE": "1"}):
        code, shown = at_terminal(healthy, "run", **env)
        assert (code, "the spec was changed after it was compiled" in shown) == (2, True), shown
    dodo = healthy.root / "dodo.py"
    original = dodo.read_text()
    edited = original + "# mine\n"
    dodo.write_text(edited)
    code, shown = at_terminal(healthy, "run")
    assert (code, "dodo.py: edited by hand" in shown, dodo.read_text()) == (2, True, edited), shown
    dodo.write_text(original)
    code, shown = at_terminal(healthy, "run", "a")
    assert code == 0, shown
    assert "compiled    specs/s.yaml  changed since the last compile: 3 outputs written" in shown
    assert healthy.run("compile", "--check").code == 0
    healthy.write(HEALTHY.replace("title:", "titel:"))
    code, shown = at_terminal(healthy, "run", "a")
    assert (code, "specs/s.yaml:" in shown) == (2, True), shown


def test_a_stale_plan_is_refused_by_both(healthy):
    healthy.write(HEALTHY.replace("print('hello')", "print('hallo')"))
    for done in (healthy.run("run"), healthy.doit()):
        assert done.code == 2
        assert "the spec was changed after it was compiled (specs/s.yaml)" in done.err
        assert "orchestra compile" in done.err


def test_a_damaged_plan_is_refused(healthy):
    plan = healthy.root / ".orchestra/s/plan.json"
    plan.write_bytes(plan.read_bytes().replace(b"hello", b"hallo"))
    done = healthy.doit()
    assert done.code == 2
    assert "changed or damaged after it was compiled" in done.err
    plan.write_bytes(b"nothing of the kind")
    assert "this is not a compiled plan" in healthy.run("run").err


def test_a_dodo_of_another_compilation_is_refused(healthy):
    dodo = healthy.root / "dodo.py"
    dodo.write_text(dodo.read_text().replace("('c', ", "('d', "))
    done = healthy.doit("cli:d")
    assert done.code == 2
    assert "lists tests that its plan does not have" in done.err


def test_one_run_is_of_one_suite(healthy):
    healthy.write(HEALTHY.replace("suite: s", "suite: t"), "specs/t.yaml").compile()
    assert healthy.doit("cli:a").code == 0
    assert healthy.doit("t:cli:a").code == 0
    done = healthy.doit("cli:a", "t:cli:a")
    assert done.code == 2
    assert "one run is of one suite" in done.err


def test_timeout_ends_the_whole_tree(project):
    code = (
        "import subprocess, sys, pathlib, time;"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        "pathlib.Path('pid').write_text(str(c.pid)); time.sleep(600)"
    )
    project.write(f"{HEAD}tests:\n  slow: {py(code)[:-1]}, timeout_seconds: 1.5}}\n").compile()
    done = project.run("run")
    assert done.code == 1
    assert project.verdicts() == {"cli:slow": "timeout"}
    assert project.events("verdict")[0]["body"]["speed_class"] == "timeout"
    assert not psutil.pid_exists(int((project.root / "pid").read_text()))


def test_a_retry_that_passes_is_flaky_and_both_attempts_are_kept(project):
    code = "import pathlib, sys; p = pathlib.Path('once'); seen = p.exists(); p.touch(); sys.exit(0 if seen else 1)"
    spec = f"{HEAD}defaults: {{retries: {{max: 2, on: [failed]}}}}\ntests:\n  x: {py(code)}\n  y: {{needs: [x], command: {{argv: [python, -c, pass]}}}}\n"
    project.write(spec).compile()
    assert project.run("run").code == 0
    assert project.verdicts() == {"cli:x": "flaky", "cli:y": "passed"}
    attempts = [event["body"] for event in project.events("attempt_finished") if event["body"]["test"] == "x"]
    assert [(attempt["attempt"], attempt["outcome"], attempt["retry"]) for attempt in attempts] == [
        (1, "failed", True),
        (2, "passed", False),
    ]


def test_unchanged_needs_a_pass_and_the_same_inputs(project):
    spec = (
        f"{HEAD}tests:\n  x: {{inputs: [src/**], command: {{argv: [python, -c, 'print(open(\"src/a\").read())']}}}}\n"
    )
    project.write(spec).write("1", "src/a").compile()
    for given, wanted in (("1", "passed"), ("1", "unchanged"), ("2", "passed")):
        project.write(given, "src/a")
        assert project.run("run").code == 0
        assert project.verdicts() == {"cli:x": wanted}
    assert project.run("run", "--force").code == 0
    assert project.verdicts() == {"cli:x": "passed"}


def test_skip_with_a_reason_satisfies_needs(project):
    project.write(
        f"{HEAD}tests:\n  x: {OK[:-1]}, skip: the sandbox is down}}\n  y: {OK[:-1]}, needs: [x]}}\n"
    ).compile()
    assert project.run("run").code == 0
    assert project.verdicts() == {"cli:x": "skipped", "cli:y": "passed"}
    assert project.reasons()["cli:x"] == "the sandbox is down"


def test_a_command_that_does_not_exist_is_an_error_of_the_setup(project):
    project.write(f"{HEAD}tests:\n  x: {{command: {{argv: [no-such-program]}}}}\n").compile()
    done = project.run("run")
    assert done.code == 1
    assert project.verdicts() == {"cli:x": "error"}
    assert "'no-such-program' was not found" in done.err


def test_resources_keep_tests_apart(project):
    code = (
        "import os, sys, pathlib, time\n"
        "p = pathlib.Path('held'); p.mkdir()\n"  # fails when another holds it
        "time.sleep(0.05); p.rmdir()"
    )
    tests = "".join(f"  t{i}: {py(code)[:-1]}, resources: {{disk: 1}}}}\n" for i in range(6))
    project.write(HEAD.replace("workers: 2", "workers: 4") + f"resources: {{disk: 1}}\ntests:\n{tests}").compile()
    done = project.run("run")
    assert done.code == 0, done.err


def test_a_secret_is_nowhere_in_the_run_folder(project):
    secret = 's3cr3t/väl ue+&"x'
    spec = (
        f"{HEAD}secrets: [THE_TOKEN]\ntests:\n"
        "  x: {command: {argv: [python, -c, 'import sys; sys.exit(sys.argv[1])', \"${env.THE_TOKEN}\"]}}\n"
    )
    project.write(spec).compile()
    done = project.run("run", THE_TOKEN=secret)
    assert done.code == 1
    for path in project.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert secret not in done.err


def test_an_environment_variable_that_is_not_set_is_told(project):
    project.write(f'{HEAD}tests:\n  x: {{command: {{argv: [python, -c, pass, "${{env.NOT_SET_HERE}}"]}}}}\n').compile()
    done = project.run("run")
    assert project.verdicts() == {"cli:x": "error"}
    assert "the environment variable NOT_SET_HERE is not set" in done.err


GATED = HEAD + "tests:\n  x: " + BAD + "\n  y: " + OK + "\ngates:\n"


@pytest.mark.parametrize(
    "gates, code, results",
    [
        ("  after: {g: {require: 'failed == 0'}}", 1, {"after:g": "failed"}),
        ("  after: {g: {require: 'failed <= 1', severity: warn}}", 1, {"after:g": "passed"}),
        ("  after: {g: {require: 'agreement >= 0.95'}}", 1, {"after:g": "not_applicable"}),
        ("  before: {g: {require: 'total == 99'}}", 1, {"before:g": "failed"}),
    ],
)
def test_gates_are_judged_and_recorded(project, gates, code, results):
    project.write(GATED + gates + "\n").compile()
    assert project.run("run").code == code
    found = project.events("run_finished")[0]["body"]["gates"]
    assert found == {**results, **{f"after:{gate.name}": "passed" for gate in STANDARD}}
    if "before:g" in results:
        assert set(project.verdicts().values()) == {"blocked"}


def test_a_failed_gate_alone_fails_a_green_run(project):
    project.write(f"{HEAD}tests:\n  x: {OK}\ngates: {{after: {{g: {{require: 'executed >= 2'}}}}}}\n").compile()
    assert project.run("run").code == 1


def test_a_stop_gate_ends_what_has_not_started(project):
    # After a slow sample, as on a busy machine, the next one is seconds later: there must be tests left to stop.
    tests = f"  a: {BAD}\n" + "".join(
        f"  t{i}: {py('import time; time.sleep(1.2)')[:-1]}, after: [a]}}\n" for i in range(60)
    )
    gates = "gates: {during: {g: {require: 'failed <= 0', on_fail: stop}}}\n"
    project.write(HEAD.replace("workers: 2", "workers: 1") + "tests:\n" + tests + gates).compile()
    assert project.run("run").code == 1
    verdicts = project.verdicts()
    assert verdicts["cli:a"] == "failed"
    assert "blocked" in verdicts.values()
    assert len(verdicts) == 61


SLEEPERS = (
    HEAD
    + "tests:\n"
    + "".join(
        f"  t{i}: {py('import pathlib, time; pathlib.Path(chr(97)).touch(); time.sleep(600)')}\n" for i in range(4)
    )
)


def wait_for(path: Path, process) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_with_a_verdict_for_every_test(project, number, code):
    project.write(SLEEPERS).compile()
    process = project.start("run")
    wait_for(project.root / "a", process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code, err
    assert set(project.verdicts().values()) == {"interrupted"}
    assert len(project.verdicts()) == 4
    assert project.events()[-1]["type"] == "seal"
    assert "Traceback" not in err
    assert _left(project) == []


def test_a_second_signal_ends_at_once_and_nothing_is_left(project):
    deaf = py(
        "import pathlib, signal, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('a').touch(); time.sleep(600)"
    )
    project.write(f"{HEAD}tests:\n  x: {deaf}\n").compile()
    process = project.start("run")
    wait_for(project.root / "a", process)
    process.send_signal(signal.SIGINT)
    while not any("interrupted" in line for line in (project.folder_now() / "events.jsonl").read_text().splitlines()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    _await_none_left(project)


def test_sigkill_of_the_run_leaves_nothing_and_the_ledger_whole(project):
    project.write(SLEEPERS).compile()
    process = project.start("run")
    wait_for(project.root / "a", process)
    process.kill()
    process.communicate()
    _await_none_left(project)
    events = list(reading.read(project.folder_now() / "events.jsonl"))
    assert events[0].type == "run_started"


def _left(project: SuiteProject) -> list[int]:
    """Processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def _await_none_left(project: SuiteProject) -> None:
    deadline = time.monotonic() + 60
    while left := _left(project):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_two_runs_of_one_suite_the_second_says_who_holds_it(project):
    project.write(SLEEPERS).compile()
    process = project.start("run")
    wait_for(project.root / "a", process)
    done = project.run("run")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert done.code == 3
    assert str(process.pid) in done.err


def test_a_folder_that_cannot_be_written_is_told(healthy):
    runs = healthy.root / ".orchestra/s/runs"
    runs.write_text("in the way")
    done = healthy.run("run")
    assert done.code == 3
    assert '.orchestra/s/runs": not a directory' in done.err
    assert "Traceback" not in done.err


def test_state_is_the_fold_of_the_ledger(healthy):
    healthy.run("run")
    state = json.loads((healthy.folder / "state.json").read_text())
    assert state["phase"] == "finished"
    assert state["counts"]["passed"] == 3


def test_the_pump_stands_where_doit_looks_for_its_runners():
    import doit.cmd_run

    from orchestra.runtime import dag

    dag.seam()
    assert doit.cmd_run.Runner is doit.cmd_run.MRunner is doit.cmd_run.MThreadRunner is dag.Pump
    assert sys.modules["doit.cmd_run"].Run  # the command that looks the names up


INTERRUPTED_IN_A_CALLBACK = """
import contextlib, signal, sys
from pathlib import Path
from orchestra import project
from orchestra.runtime import dag
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.run.session import Options

def watch(*_):
    with contextlib.suppress(KeyboardInterrupt):  # as Python does with an exception of a callback of its own
        signal.raise_signal(signal.SIGINT)
    return ()

here = project.find(Path.cwd())
sys.exit(dag.run(dag.Launch(here, watch, Options()), "s", load_plan(here, "s", ""), ["cli:x"]))
"""


def test_an_interrupt_that_python_loses_before_the_run_is_open_ends_it(project):
    project.write(f"{HEAD}tests:\n  x: {py('pass')}\n").compile()
    words = [sys.executable, "-c", INTERRUPTED_IN_A_CALLBACK]
    done = subprocess.run(words, cwd=project.root, env=environment(), check=False)
    assert done.returncode == 130
    assert project.verdicts() == {"cli:x": "interrupted"}


def test_a_verdict_names_the_backup_that_a_component_it_requires_stands_on(project):
    """The test requires `top` alone; what `top` needs is on its backup, and that is what the verdict rests on."""
    first = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"
    backup = "import pathlib, time\npathlib.Path('backup').touch()\ntime.sleep(600)"
    push = (
        "import pathlib, time\npathlib.Path('go').touch()\nwhile not pathlib.Path('backup').exists(): time.sleep(0.01)"
    )
    spec = f"""{HEAD}
health:
  back:
    service: {{run: [python, -c, {json.dumps(first)}]}}
    recover: [failover]
    failover: {{run: [python, -c, {json.dumps(backup)}]}}
  top: {{needs: [back], service: {{run: [sleep, "600"]}}}}
defaults: {{requires: [top]}}
tests:
  push: {py(push)}
  then: {{after: [push], {py("pass")[1:]}
"""
    done = project.write(spec).compile().run("run")
    assert done.code == 0, done.err
    degraded = {event["body"]["task"]: event["body"]["degraded"] for event in project.events("verdict")}
    assert degraded["cli:then"] == ["back on failover"]


def test_every_metric_that_gates_may_read_has_a_value_at_the_end_of_a_run(project):
    plain = [metric for metric in METRICS.values() if "<" not in metric.name]
    gates = "".join(
        f"    {metric.name.replace('.', '_')}: {{require: {json.dumps(metric.example)}, severity: warn}}\n"
        for metric in plain
    )
    project.write(f"{HEAD}tests: {{a: {OK}}}\ngates:\n  after:\n{gates}").compile().run("run")
    judged = {event["body"]["name"]: event["body"] for event in project.events("gate")}
    without = {name for name, body in judged.items() if body["result"] == "not_applicable"}
    # One method ran, and no burn-in; durations are compared with nothing; no page was opened, of which tests/browser/test_errors.py has the values.
    pages = {name for name in judged if name == "warned" or name.startswith("network_")}
    assert without == {"agreement", "burned_in", "regressions", *pages}
    assert judged["workers"]["values"] == {"workers": 2}
    assert judged.keys() == {metric.name.replace(".", "_") for metric in plain} | {gate.name for gate in STANDARD}


def test_a_matrix_with_spaces_runs(project):
    spec = f"{HEAD}tests: {{M: {{matrix: {{x: [a b, a_b, a+b]}}, command: {{argv: [python, -c, pass]}}}}}}\n"
    assert project.write(spec).compile().run("run").code == 0
    assert project.verdicts() == dict.fromkeys(["cli:M[a b]", "cli:M[a_b]", "cli:M[a+b]"], "passed")
    assert {event["body"]["dir"] for event in project.events("attempt_started")} == {
        f"attempts/cli/M[{x}]/1" for x in ("a b", "a_b", "a+b")
    }
