"""What is wrong is told clearly, with the right exit code, and nothing is left running: by real processes, every time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import psutil
import pytest

from orchestra import plan_file
from orchestra.ledger import reading
from orchestra.ledger.view import look
from orchestra.report import watch
from tests.support.ledgers import verify
from tests.support.limits import bound_by_modes, limited
from tests.support.project import HEAD, Ended, SuiteProject, environment, py

OK = py("pass")
SLEEP = py("import pathlib, time; pathlib.Path('a').touch(); time.sleep(600)")
BROWSER = "orchestra: 1\nsuite: s\nmethods: {cli: {driver: playwright, workers: 1}}\ndefaults: {retries: {max: 0}}\n"
PAGE = "data:text/html,<h1>Market</h1><button>Send</button>"


def left(project: SuiteProject) -> list[str]:
    """Processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(project.root)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def bounded(project: SuiteProject, *words: str, program=("-m", "orchestra"), **limits) -> Ended:
    """`orchestra …`, or another Python program, under a limit of the system."""
    done = subprocess.run(
        [sys.executable, *program, *words],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        **limits,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def both(project: SuiteProject, **env: str):
    """The same by `orchestra run` and by `doit`."""
    yield project.run("run", **env)
    yield project.doit(**env)


def told(done: Ended, code: int, *parts: str) -> None:
    assert done.code == code, done.err
    for part in parts:
        assert part in done.err
    assert "Traceback" not in done.err
    assert "bug of orchestra" not in done.err


@contextmanager
def listener():
    """A foreign server on two neighbouring ports, in a process of its own: its pid, and the first port."""
    code = (
        "import socket, sys, time\n"
        "while True:\n"
        "    a, b = socket.socket(), socket.socket()\n"
        "    a.bind(('127.0.0.1', 0)); port = a.getsockname()[1]\n"
        "    try: b.bind(('127.0.0.1', port + 1)); break\n"
        "    except OSError: continue\n"
        "a.listen(); b.listen(); print(port, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


# ------------------------------------------------------------------------------------------------------------- machine


def test_no_browser_is_told_with_the_fixes_before_anything_starts(project):
    rows = f"  x: {{steps: [{{goto: '{PAGE}'}}]}}\n  w: {{browser: webkit, steps: [reload]}}\n"
    project.write(f"{BROWSER}tests:\n{rows}").compile()
    for done in both(project, ORCHESTRA_BROWSER="/no/such", ORCHESTRA_WEBKIT="/no/such"):
        told(done, 3, 'ORCHESTRA_BROWSER names "/no/such"', "any of these fixes it:", "playwright install")
        assert "  - ORCHESTRA_BROWSER=/path/to/a/browser, or leave ORCHESTRA_BROWSER unset" in done.err
    assert not (project.root / ".orchestra/s/runs").exists()
    assert left(project) == []


def test_tests_that_need_no_browser_run_without_one(project):
    project.write(f"{BROWSER}tests:\n  x: {{steps: [{{goto: '{PAGE}'}}]}}\n  y: {OK}\n").compile()
    told(project.run("run", "y", ORCHESTRA_BROWSER="/no/such"), 0)
    done = project.run("run", ORCHESTRA_BROWSER="/no/such")
    told(done, 3, "`orchestra doctor` has a hint")
    assert project.verdicts() == {"cli:x": "blocked", "cli:y": "passed"}
    assert 'ORCHESTRA_BROWSER names "/no/such"' in project.reasons()["cli:x"]


def test_another_engine_that_is_missing_skips_its_tests_with_the_reason(project):
    project.write(f"{BROWSER}tests:\n  x: {{browser: webkit, steps: [reload]}}\n  y: {OK}\n").compile()
    done = project.run("run", ORCHESTRA_WEBKIT="/no/such")
    told(done, 0)
    assert project.verdicts() == {"cli:x": "skipped", "cli:y": "passed"}
    assert 'ORCHESTRA_WEBKIT names "/no/such"' in project.reasons()["cli:x"]


def health(row: str, tests: str = f"  x: {OK}\n") -> str:
    return f"{HEAD}health:\n  web:\n{row}defaults: {{requires: [web]}}\ntests:\n{tests}"


def test_ports_that_are_all_taken_name_who_holds_them_and_leave_him_alone(project):
    with listener() as (foreign, port):
        service = f"    service: {{run: [python, -m, http.server, '${{port}}'], port_range: {port}-{port + 1}}}\n"
        project.write(health(service)).compile()
        for done in both(project):
            told(done, 3, f"found no free port in {port}-{port + 1}", f"port {port} is held by process {foreign.pid}")
            assert project.verdicts() == {"cli:x": "blocked"}
        assert foreign.poll() is None
    assert left(project) == []


def test_a_service_that_dies_at_its_start_is_told_with_its_last_words(project):
    service = (
        "    service: {run: [python, -c, \"print('no database'); raise SystemExit(4)\"]}\n"
        "    ready: {file: {path: never}}\n"  # without a condition, one that is slow to die would count as up
        "    retries: {max: 1, initial_seconds: 0.01}\n"
    )
    project.write(health(service)).compile()
    for done in both(project):
        told(done, 3, "ended with exit code 4 at each of 2 starts", "no database")
        assert project.verdicts() == {"cli:x": "blocked"}
    assert left(project) == []


def test_a_service_that_never_gets_ready_is_given_up_in_time(project):
    service = "    service: {run: [sleep, '600']}\n    ready: {file: {path: never}, within_seconds: 0.5}\n"
    project.write(health(service)).compile()
    for done in both(project):
        told(done, 3, "did not get ready within 0.5 s: ", "never")
        assert project.verdicts() == {"cli:x": "blocked"}
    assert left(project) == []


def test_what_is_not_required_costs_its_tests_and_not_the_run(project):
    service = "    ready: {env: {name: NOT_SET_HERE}}\n    required: false\n    retries: {max: 0}\n"
    project.write(health(service)).compile()
    told(project.run("run"), 0, "skipped")
    assert "NOT_SET_HERE" in project.reasons()["cli:x"]


# --------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.browser
def test_an_element_that_never_appears_names_step_line_expected_and_found(project, chromium):
    spec = (
        f"{BROWSER}tests:\n  x:\n    steps:\n      - goto: '{PAGE}'\n"
        "      - expect: {role: heading, to: {have_text: Prices}, within_seconds: 0.3}\n"
        "  y:\n    steps:\n      - goto: '" + PAGE + "'\n"
        "      - click: {role: button, name: Sned}\n    timeout_seconds: 1.5\n"
    )
    line = spec.splitlines().index("      - expect: {role: heading, to: {have_text: Prices}, within_seconds: 0.3}") + 1
    project.write(spec).compile()
    done = project.run("run")
    told(done, 1, f"specs/s.yaml:{line}:", "step 2 expect", "step 2 click", '"Prices"', "Market", '"Sned"')
    assert project.verdicts() == {"cli:x": "failed", "cli:y": "timeout"}
    errors = {event["body"]["test"]: event["body"]["error"] for event in project.events("attempt_finished")}
    assert errors["x"]["expected"] == 'to have the text "Prices"'
    assert errors["x"]["found"] == '"Market"'
    assert left(project) == []


def test_a_program_that_does_not_exist_does_not_hide_the_others(project):
    project.write(f"{HEAD}tests:\n  x: {{command: {{argv: [no-such-program]}}}}\n  y: {OK}\n").compile()
    for done in both(project):
        told(done, 1, "'no-such-program' was not found", "specs/s.yaml:5:")
        assert project.verdicts() == {"cli:x": "error", "cli:y": "passed"}


def test_a_folder_that_does_not_exist_is_told(project):
    project.write(f"{HEAD}tests:\n  x: {{command: {{argv: [python, -V], cwd: no/such}}}}\n").compile()
    told(project.run("run"), 1, "no/such")
    assert project.verdicts() == {"cli:x": "error"}


def test_a_disk_that_takes_no_log_is_said_on_the_attempt(project):
    """A command whose output is larger than a file may be: the test has its verdict, and says what is missing."""
    project.write(f"{HEAD}tests:\n  x: {py('print(chr(120) * 200000)')}\n").compile()
    done = bounded(project, "run", **limited(100_000))
    told(done, 0)
    [attempt] = project.events("attempt_finished")
    assert attempt["body"]["facts"]["log_error"] == "the log could not be written: File too large"


# ----------------------------------------------------------------------------------------------------------- selection


@pytest.mark.parametrize(
    "words, said",
    [
        (["B04"], 'no test, group, tag or glob "B04" in suite "s" (did you mean "B004"?)'),
        (["B9*"], 'no test, group, tag or glob "B9*"'),
        (["B008..B009"], 'no test, group, tag or glob "B008..B009"'),
        (["tag:none"], 'no test, group, tag or glob "tag:none"'),
        (["cli:B005"], "selects no test"),
        (["$ARGUMENTS"], 'no test, group, tag or glob "$ARGUMENTS"'),
        ([""], 'no test, group, tag or glob ""'),
        (["B004", "cli:"], 'no test, group, tag or glob "cli:"'),
        (["--method", "other", "B004"], "nothing to run: B004 by other selects no test"),
    ],
)
def test_a_selection_of_nothing_is_no_green_run(project, words, said):
    methods = "methods: {cli: {driver: command}, other: {driver: command}}\n"
    spec = f"orchestra: 1\nsuite: s\n{methods}tests:\n  B004: {OK[:-1]}, methods: [cli]}}\n  B005: {OK[:-1]}, methods: [other]}}\n"
    project.write(spec).compile()
    told(project.run("run", *words), 2, said, "see `orchestra run --list`")
    assert not (project.root / ".orchestra/s/runs").exists()


def test_an_unknown_task_is_doits_own_answer(project):
    project.write(f"{HEAD}tests:\n  B004: {OK}\n").compile()
    done = project.doit("cli:B04")
    assert (done.code, "Traceback" in done.err) == (3, False)
    assert "cli:B04" in done.err
    assert not (project.root / ".orchestra/s/runs").exists()


# ---------------------------------------------------------------------------------------------------------------- plan


def broken(how: str, data: bytes) -> bytes:
    if how == "cut":
        return data[: len(data) // 2]
    if how == "empty":
        return b""
    if how == "list":
        return b"[]\n"
    return data.replace(b'"title":"', b'"title":"x', 1)


@pytest.mark.parametrize("how", ["cut", "empty", "list", "edited"])
def test_a_plan_that_is_damaged_is_refused(project, how):
    project.write(f"{HEAD}title: t\ntests:\n  x: {OK}\n").compile()
    plan = project.root / ".orchestra/s/plan.json"
    changed = broken(how, plan.read_bytes())
    assert changed != plan.read_bytes()
    plan.write_bytes(changed)
    for done in both(project):
        told(done, 2, ".orchestra/s/plan.json", "orchestra compile")
    assert not (project.root / ".orchestra/s/runs").exists()


def test_a_plan_that_is_not_there_is_told(project):
    project.write(f"{HEAD}tests:\n  x: {OK}\n").compile()
    (project.root / ".orchestra/s/plan.json").unlink()
    told(project.doit(), 2, ".orchestra/s/plan.json: No such file or directory", "run `orchestra compile`")


# ---------------------------------------------------------------------------------------------------------------- disk


@pytest.mark.parametrize("folder", [".orchestra/s", ".orchestra/s/runs"])
def test_a_folder_that_may_not_be_written(project, folder):
    project.write(f"{HEAD}tests:\n  x: {OK}\n").compile()
    locked = project.root / folder
    locked.mkdir(exist_ok=True)
    locked.chmod(0o555)
    try:
        done = bounded(project, "run", **bound_by_modes())
    finally:
        locked.chmod(0o755)
    told(done, 3, str(locked), "permission denied", "hint: ")
    assert left(project) == []


@pytest.fixture
def small_disk(project):
    """The project's runs on a file system of 400 KB, where the machine lets us mount one."""
    folder = project.root / ".orchestra"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=755", "none", str(folder)]
    if (
        os.geteuid() != 0
        or shutil.which("mount") is None
        or subprocess.run(argv, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small file system is not allowed here; the limit of file sizes stands in for it")
    yield project
    subprocess.run(["umount", str(folder)], check=True)


FILL = (
    "import os, pathlib, time\n"
    "with open('.orchestra/filler', 'wb', buffering=0) as file:\n"
    "    try:\n"
    "        while file.write(b'x' * 4096): pass\n"
    "    except OSError: pass\n"
)


def test_a_disk_without_room_for_one_more_file(project):
    """What is full is the table of files, not the disk: the ledger can still be written, and says what happened."""
    folder = project.root / ".orchestra/s/runs"
    project.write(f"{HEAD}tests:\n  x: {OK}\n").compile()
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=6,mode=755", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        done = project.run("run")
        [run] = runs(project)
        assert (run / "events.jsonl").read_bytes().endswith(b"\n")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    told(done, 3, "no space left on device")
    assert left(project) == []


def runs(project: SuiteProject):
    return [path for path in (project.root / ".orchestra/s/runs").iterdir() if not path.is_symlink()]


def test_a_disk_that_fills_up_in_the_middle_ends_the_run(small_disk):
    tests = f"  a: {OK}\n  b: {py(FILL)[:-1]}, needs: [a]}}\n  c: {OK[:-1]}, needs: [b]}}\n  d: {SLEEP[:-1]}, needs: [a]}}\n"
    small_disk.write(f"{HEAD}tests:\n{tests}").compile()
    done = small_disk.run("run")
    told(done, 3, "no space left on device", "free some space")
    assert left(small_disk) == []
    [folder] = runs(small_disk)
    data = (folder / "events.jsonl").read_bytes()
    assert data.endswith(b"\n")
    assert look(folder).verdicts["cli:a"].verdict == "passed"
    (small_disk.root / ".orchestra/filler").unlink()
    assert small_disk.run("run", "a").code == 0, "the next run finds nothing in its way"


@pytest.mark.parametrize(
    "size",
    [
        2500,
        7000,
        *(pytest.param(size, marks=pytest.mark.nightly) for size in range(3000, 7000, 500)),
    ],
)
def test_a_ledger_that_may_not_grow_ends_the_run(project, size):
    """A limit on file sizes is met by the ledger, at a line that depends on the limit."""
    tests = "".join(f"  t{number}: {OK}\n" for number in range(12))
    project.write(f"{HEAD}tests:\n{tests}").compile()
    done = bounded(project, "run", **limited(size))
    told(done, 3, "file too large", "events.jsonl")
    assert left(project) == []
    [folder] = runs(project)
    assert (folder / "events.jsonl").read_bytes().endswith(b"\n")
    assert next(reading.read(folder / "events.jsonl")).type == "run_started"
    told(project.run("run"), 0)


def test_room_for_nothing_at_all(small_disk):
    small_disk.write(f"{HEAD}tests:\n  x: {OK}\n").compile()
    subprocess.run([sys.executable, "-c", FILL], cwd=small_disk.root, check=True)
    told(small_disk.run("run"), 3, "no space left on device")
    assert left(small_disk) == []


# ------------------------------------------------------------------------------------------------------------- two runs


def test_of_two_runs_one_goes_on_and_the_other_names_it(project):
    project.write(f"{HEAD}tests:\n  x: {SLEEP}\n  y: {OK}\n").compile()
    first = project.start("run", "x")
    while not (project.root / "a").exists():
        assert first.poll() is None, first.communicate()
    [folder] = runs(project)
    for done in (project.run("run", "y"), project.doit("cli:y")):
        told(done, 3, f"run {folder.name} (process {first.pid}, since ", "`orchestra wait` waits for its end")
    assert runs(project) == [folder]
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert first.returncode == 143
    told(project.run("run", "y"), 0)
    assert left(project) == []


def test_runs_of_two_suites_do_not_meet(project):
    project.write(f"{HEAD}tests:\n  x: {SLEEP}\n").write(
        f"{HEAD.replace('suite: s', 'suite: t')}tests:\n  y: {OK}\n", "specs/t.yaml"
    ).compile()
    first = project.start("run", "--suite", "s")
    while not (project.root / "a").exists():
        assert first.poll() is None, first.communicate()
    told(project.run("run", "--suite", "t"), 0)
    first.send_signal(signal.SIGINT)
    first.communicate()
    assert first.returncode == 130


# ------------------------------------------------------------------------------------------------------ our own mistakes


def patched(project: SuiteProject, patch: str, *words: str) -> Ended:
    """`orchestra …` with a mistake of ours built in."""
    code = f"import sys\n{patch}\nfrom orchestra.cli import main\nsys.argv = ['orchestra', *sys.argv[1:]]\nmain()\n"
    return bounded(project, *words, program=["-c", code])


LOSES = """
from orchestra.runtime.engine.queue import Queue
take = Queue.take
def lose(self, *words):
    name = take(self, *words)
    return take(self, *words) if name == "cli:b" else name
Queue.take = lose
"""

FAILS = """
from orchestra.runtime.run import conclude
finished = conclude.attempt_finished
def fail(test, *rest, **more):
    return {}["a mistake of ours"] if test.id == "b" else finished(test, *rest, **more)
conclude.attempt_finished = fail
"""

CANNOT = """
from orchestra.runtime.engine.local import Local
def refuse(self, request, lease):
    raise OSError(24, "Too many open files")
Local.start = refuse
"""

THREE = f"{HEAD}tests:\n  a: {OK}\n  b: {OK[:-1]}, needs: [a]}}\n  c: {OK[:-1]}, needs: [b]}}\n"


def test_a_test_that_got_lost_is_an_error_and_never_green(project):
    project.write(THREE).compile()
    done = patched(project, LOSES, "run")
    told(done, 1)
    assert project.verdicts() == {"cli:a": "passed", "cli:b": "error", "cli:c": "blocked"}
    assert 'classname="s.cli"' in (project.folder / "junit.xml").read_text()


def test_a_mistake_of_ours_ends_the_run_with_a_file_to_send(project):
    project.write(THREE).compile()
    done = patched(project, FAILS, "run")
    assert done.code == 70, done.err
    assert "error: this is a bug of orchestra: KeyError: 'a mistake of ours'" in done.err
    assert f"please report it and attach {project.folder / 'bug.txt'}" in done.err
    assert "Traceback" not in done.err
    assert "KeyError" in (project.folder / "bug.txt").read_text()
    verdicts = project.verdicts()
    assert (verdicts["cli:a"], verdicts["cli:b"], verdicts["cli:c"]) == ("passed", "error", "error")
    assert project.reasons()["cli:c"].startswith("never ran: this is a bug of orchestra")
    assert verify(project.folder / "events.jsonl") is None
    assert left(project) == []


def test_a_system_that_refuses_ends_the_run(project):
    project.write(THREE).compile()
    told(patched(project, CANNOT, "run"), 3, "the system refuses: [Errno 24] Too many open files")
    assert project.events()[-1]["type"] == "seal"
    assert left(project) == []


def test_a_verdict_that_the_ledger_lacks_is_told_as_never_ran(project):
    """The record of a run that was killed, read later: what has no verdict is an error, not a gap."""
    project.write(f"{HEAD}tests:\n  x: {SLEEP}\n  y: {OK[:-1]}, after: [x]}}\n").compile()
    run = project.start("run")
    while not (project.root / "a").exists():
        assert run.poll() is None, run.communicate()
    run.kill()
    run.communicate()
    folder = project.folder_now()
    plan = plan_file.load((project.root / ".orchestra/s/plan.json").read_bytes(), "plan.json")
    watch.write(project.root, plan, folder)
    cases = {case.get("name"): case for case in ET.parse(folder / "junit.xml").iter("testcase")}
    assert {name: case.find("error").get("message") for name, case in cases.items()} == {
        "x x": "never ran",
        "y y": "never ran",
    }
    assert "- reason: never ran" in (folder / "summary.md").read_text()


# --------------------------------------------------------------------------------------------------------------- doctor


def test_the_doctor_names_what_is_missing_and_a_fix(project):
    project.write(f"{BROWSER}tests:\n  x: {{steps: [{{goto: '{PAGE}'}}]}}\n").compile()
    done = project.run("doctor", ORCHESTRA_BROWSER="/no/such")
    assert done.code == 3, done.err
    [row] = re.findall(r"^broken .*\n.*$", done.out, re.MULTILINE)
    assert 'names "/no/such"' in row
    assert "hint: ORCHESTRA_BROWSER=" in row


def test_the_doctor_says_that_a_plan_is_stale(project):
    spec = f"{HEAD}tests:\n  x: {OK}\n"
    project.write(spec).compile().write(spec + "# a comment makes nothing stale\n")
    assert project.run("doctor").code == 0
    project.write(spec.replace("  x:", "  y:"))
    done = project.run("doctor")
    assert done.code == 3
    assert "the spec was changed after it was compiled" in done.out
    assert "run `orchestra compile`" in done.out
