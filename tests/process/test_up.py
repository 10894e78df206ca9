"""Servers by hand: health, up and down, and runs that use what is up or say why not."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import psutil
import pytest

from orchestra.ledger.event import Event
from orchestra.ledger.view import view_of
from orchestra.plan import Component, RecoveryStep
from orchestra.report.advice.recovery_steps import Record, collect, suggestion
from orchestra.runtime.servers import up
from tests.support import events as made
from tests.support.outages import asks, backend, breaks, suite
from tests.support.project import SuiteProject
from tests.support.servers import until

FRONT = """  frontend:
    needs: [backend]
    service: {run: [sleep, "600"]}
"""


@pytest.fixture(autouse=True)
def nothing_stays_up(project: SuiteProject) -> Iterator[None]:
    """What a test that failed half way has left up is ended all the same."""
    yield
    if up.read(project.root / ".orchestra/s") is not None:
        project.run("down")


@pytest.fixture
def served(project: SuiteProject) -> Iterator[SuiteProject]:
    """A suite with a backend and what needs it; whatever is up at the end is ended, and nothing may be left."""
    suite(project, backend() + FRONT, f"  a: {{{asks()}\n")
    home = project.root / ".orchestra/s"
    yield project
    kept = up.read(home)
    if kept is not None:
        done = project.run("down")
        assert done.code == 0, done.err
        assert up.read(home) is None
        until(lambda: _over(kept.keeper), "the keeper")
        assert not [name for name, row in kept.rows.items() if row.pid is not None and up.lives(row)]


def _over(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def rows_of(project: SuiteProject) -> dict[str, up.UpRow]:
    kept = up.read(project.root / ".orchestra/s")
    return {} if kept is None else kept.rows


def matrix(project: SuiteProject, *words: str) -> dict[str, dict]:
    return {row["id"]: row for row in json.loads(project.run("health", "--json", *words).out)}


# --------------------------------------------------------------------------------------------------------------- health


def test_health_starts_nothing_and_says_what_is_not_started_and_how_to_mend_it(served):
    done = served.run("health")
    assert done.code == 3
    assert re.search(r"^backend +idle .* is not started$", done.out, re.MULTILINE)
    assert "hint backend: orchestra up backend, or let a run start it" in done.out
    assert not (served.root / "backend").exists()


def test_health_asks_tools_variables_and_files_and_names_the_mend(project):
    health = """  python: {ready: {run: {argv: [python, --version], stdout: Python}}}
  key: {ready: {env: {name: NO_SUCH_KEY}}, required: false}
  file: {ready: {file: {path: no-such-file}}, retries: {max: 0}}
"""
    suite(project, health, "  a: {requires: [python], command: {argv: [python, -c, pass]}}\n")
    rows = matrix(project)
    assert [rows[name]["status"] for name in ("python", "key", "file")] == ["healthy", "failed", "failed"]
    assert rows["python"]["latency_seconds"] > 0
    assert rows["key"]["hint"] == "export NO_SUCH_KEY=…"
    assert project.run("health", "python", "key").code == 0, "a row that is not required does not fail it"
    assert project.run("health", "file").code == 3
    wrong = project.run("health", "pyton")
    assert (wrong.code, 'no row "pyton" in `health` (did you mean "python"?)' in wrong.err) == (2, True)


def test_health_with_start_brings_all_up_for_the_look_and_ends_it(served):
    done = served.run("health", "--start")
    assert done.code == 0, done.err
    assert "at most" in done.err
    assert re.search(r"^backend +healthy +\d+.* http://127", done.out, re.MULTILINE)
    [pid] = [int(word) for word in (served.root / "backend/starts").read_text().split()]
    assert not psutil.pid_exists(pid)


def test_a_watch_prints_what_changes(served):
    served.run("up", "backend")
    watching = served.start("health", "--watch", "--json", "backend")
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert (first["status"], first["by"]) == ("healthy", "up")
    served.run("down")
    seen = json.loads(watching.stdout.readline())
    while seen["status"] != "idle":
        seen = json.loads(watching.stdout.readline())
    watching.send_signal(signal.SIGINT)
    watching.communicate()
    assert watching.returncode == 130


# ------------------------------------------------------------------------------------------------------------- up, down


def test_what_is_up_stays_up_and_down_ends_it(served):
    done = served.run("up")
    assert done.code == 0, done.err
    rows = rows_of(served)
    assert {name: row.state for name, row in rows.items()} == {"backend": "healthy", "frontend": "healthy"}
    assert all(up.lives(row) for row in rows.values())
    assert rows["backend"].build
    again = served.run("up")
    assert again.code == 0, again.err
    assert {name: row.pid for name, row in rows_of(served).items()} == {name: row.pid for name, row in rows.items()}
    assert matrix(served)["backend"]["by"] == "up"
    done = served.run("down", "--logs")
    assert (done.code, "listening on" in done.out) == (0, True), done.err
    assert rows_of(served) == {}
    assert not [row for row in rows.values() if up.lives(row)]
    assert served.run("down").err == "nothing is up\n"


def test_one_row_goes_down_with_what_needs_it_and_restart_starts_anew(served):
    served.run("up")
    first = rows_of(served)
    done = served.run("down", "frontend")
    assert done.code == 0, done.err
    assert list(rows_of(served)) == ["backend"]
    assert rows_of(served)["backend"].pid == first["backend"].pid
    served.run("up")
    done = served.run("up", "--restart", "backend")
    assert done.code == 0, done.err
    last = rows_of(served)
    assert last["backend"].pid != first["backend"].pid
    assert last["frontend"].state == "healthy"
    done = served.run("down", "--restart")
    assert done.code == 0, done.err
    assert rows_of(served)["backend"].pid != last["backend"].pid


def test_the_keeper_recovers_what_dies_and_its_reaper_ends_all_when_it_is_killed(served):
    served.run("up", "backend")
    kept = up.read(served.root / ".orchestra/s")
    first = kept.rows["backend"]
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: rows_of(served)["backend"].pid not in {None, first.pid}, "the restart")
    until(lambda: rows_of(served)["backend"].state == "healthy", "the recovery")
    second = rows_of(served)["backend"]
    os.kill(kept.keeper, signal.SIGKILL)
    until(lambda: not up.lives(second), "the reaper")
    assert up.read(served.root / ".orchestra/s") is None, "a record without its keeper is not believed"
    assert served.run("up", "backend").code == 0


def test_what_does_not_come_up_is_told_with_exit_3(project):
    suite(
        project,
        backend(recover="[restart]").replace('"${port}", "backend"', '"${port}", "backend", "dies=99"'),
        f"  a: {{{asks()}\n",
    )
    done = project.run("up")
    assert done.code == 3
    assert "no data for start" in done.out
    assert project.run("down").code == 0


def test_another_matrix_is_not_mixed_with_what_is_up(served):
    served.run("up", "backend")
    spec = (served.root / "specs/s.yaml").read_text()
    served.write(spec.replace("grace_seconds: 0.3", "grace_seconds: 0.4")).compile()
    done = served.run("up")
    assert done.code == 2
    assert "`orchestra up --restart` restarts it" in done.err
    assert served.run("up", "--restart").code == 0


# ----------------------------------------------------------------------------------------------------------- runs on it


def starts(project: SuiteProject) -> int:
    return len((project.root / "backend/starts").read_text().split())


def test_a_run_uses_what_is_up_and_leaves_it_up(served):
    served.run("up")
    before = rows_of(served)
    done = served.run("run")
    assert done.code == 0, done.err
    assert starts(served) == 1
    healthy = [event["body"] for event in served.events("service_event") if event["body"]["state"] == "healthy"]
    assert {one["component"]: one["pid"] for one in healthy} == {"backend": before["backend"].pid}
    assert healthy[0]["reason"] == "is up by `orchestra up`"
    assert rows_of(served)["backend"].pid == before["backend"].pid
    assert served.run("health", "backend").code == 0


CHATTY = """  chatty:
    service: {run: [python, chatty.py]}
    ready: {log: {match: 'listening on (?P<port>[0-9]+)'}, within_seconds: 60}
"""


def chatty(project: SuiteProject) -> None:
    """A suite with a server that takes a port of its own and says so; whoever starts it leaves a line in `chatty.starts`."""
    (project.root / "chatty.py").write_text(
        "import os, sys\nopen('chatty.starts', 'a').write('x')\n"
        "sys.argv = ['server.py', '0', '.', 'port0']\nexec(open('server.py').read())\n"
    )
    suite(project, CHATTY, f"  a: {{{asks('chatty')}\n")


def test_one_that_is_ready_by_its_log_is_used_although_its_log_is_its_keepers(project):
    chatty(project)
    assert project.run("up").code == 0
    here = rows_of(project)["chatty"]
    row = matrix(project)["chatty"]
    assert (row["status"], row["by"], row["url"]) == ("healthy", "up", here.url)
    done = project.run("run")
    assert done.code == 0, done.err
    assert "is not used" not in done.err
    assert (project.root / "chatty.starts").read_text() == "x"


def test_health_starts_no_second_one_of_what_is_up_and_does_not_answer(project):
    suite(project, backend(), f"  a: {{{asks()}\n")
    spec = project.root / "specs/s.yaml"  # asked only once, and the keeper does not hear of it for an hour
    spec.write_text(spec.read_text().replace("max: 2", "max: 0").replace("every_seconds: 5", "every_seconds: 3600"))
    project.compile()
    assert project.run("up").code == 0
    (project.root / "backend/mode").write_text("500")
    row = matrix(project)["backend"]
    assert (row["status"], row["by"]) == ("failed", "up")
    assert "answered 500" in row["reason"]
    assert starts(project) == 1


@pytest.mark.parametrize("change", ["files", "argv"])
def test_a_run_does_not_use_what_was_made_of_something_else_and_says_why(project, change):
    health = backend().replace("stop: {grace", "inputs: [serve.py], stop: {grace")
    suite(project, health, f"  a: {{{asks()}\n")
    assert project.run("up").code == 0
    if change == "files":
        file = project.root / "serve.py"
        file.write_text(file.read_text() + "\n# another build\n")
    else:
        spec = (project.root / "specs/s.yaml").read_text()
        project.write(spec.replace('"${port}", "backend"]', '"${port}", "backend", "more"]')).compile()
    done = project.run("run")
    assert done.code == 0, done.err
    assert starts(project) == 2
    [note] = [event["body"]["message"] for event in project.events("note")]
    assert note.startswith(
        '"backend" is up by `orchestra up`, and is not used: its command, environment or input files'
    )
    assert project.run("down").code == 0


@pytest.mark.parametrize(
    "file", ["lib.py", "seed.py", pytest.param("serve.py", marks=pytest.mark.nightly)]
)  # as lib.py
def test_a_run_does_not_use_what_was_made_of_files_that_changed_although_no_inputs_are_declared(project, file):
    (project.root / "lib.py").write_text("")
    (project.root / "seed.py").write_text("")
    health = "  seed: {job: {run: [python, seed.py]}}\n" + backend(more="needs: [seed]")
    suite(project, health, f"  a: {{{asks()}\n")
    edit(project, "serve.py", "import lib")
    assert project.run("up").code == 0
    assert (project.run("run").code, starts(project), project.events("note")) == (0, 1, [])
    edit(project, file, "# another build")
    assert (project.run("run").code, starts(project)) == (0, 2)
    notes = [event["body"]["message"] for event in project.events("note")]
    assert any("its command, environment or input files have changed since it was started" in note for note in notes)
    again = project.run("up")
    assert "hint " + ("seed" if file == "seed.py" else "backend") + ": orchestra up --restart" in again.out


def edit(project: SuiteProject, file: str, line: str) -> None:
    path = project.root / file
    path.write_text(f"{path.read_text()}\n{line}\n")


@pytest.mark.parametrize("known", ["by git", pytest.param("without git", marks=pytest.mark.nightly)])  # by times alone
def test_a_run_that_cannot_know_whether_what_is_up_is_old_code_notes_it(project, known):
    if known == "by git":
        project.git("init", "-q")
        (project.root / ".gitignore").write_text("ignored.js\n")
    (project.root / "node_modules").mkdir()
    suite(
        project,
        backend().replace('"serve.py"', '"-c", "import runpy; runpy.run_path(\'serve.py\')"'),
        f"  a: {{{asks()}\n",
    )
    assert project.run("up").code == 0
    assert (project.run("run").code, starts(project)) == (0, 1)
    [note] = [event["body"] for event in project.events("note")]
    assert note["kind"] == "up_unsure"
    assert "its `run` names no file of this project, and it declares no `inputs`" in note["message"]
    for name in ("node_modules/x.js", "lib.js", "data.db", *(["ignored.js"] if known == "by git" else [])):
        (project.root / name).write_text("")
    done = project.run("run")
    [note] = [event["body"] for event in project.events("note")]
    assert re.search(
        '"backend" .* may be old code: lib.js changed after it was started at [0-9:]{8}, and', note["message"]
    )
    assert "`orchestra up --restart backend`" in done.err
    assert "may be old code: lib.js changed" in matrix(project)["backend"]["reason"]
    project.write(
        (project.root / "specs/s.yaml").read_text().replace("stop: {grace", "inputs: [serve.py], stop: {grace")
    )
    assert project.compile().run("up", "--restart").code == 0
    (project.root / "lib.js").touch()
    assert (project.run("run").code, project.events("note")) == (0, [])


def test_what_rests_on_code_that_no_digest_covers_is_not_unchanged(project):
    health = "  known: {service: {run: [python, known.py]}}\n  unknown: {service: {run: [sleep, '600']}}\n"
    (project.root / "known.py").write_text("import time; time.sleep(600)")
    tests = "".join(
        f"  {name}: {{requires: [{row}], inputs: [data], command: {{argv: [python, -c, pass]}}}}\n"
        for name, row in (("a", "known"), ("b", "unknown"))
    )
    suite(project, health, tests)
    assert project.run("run").code == 0
    assert project.run("run").code == 0
    assert project.verdicts() == {"cli:a": "unchanged", "cli:b": "passed"}
    [note] = [event["body"] for event in project.events("note")]
    assert (note["kind"], '"unknown"' in note["message"], "`inputs`" in note["message"]) == (
        "unchanged_unsure",
        True,
        True,
    )
    edit(project, "known.py", "")
    assert project.run("run", "a").code == 0
    assert project.verdicts() == {"cli:a": "passed"}


def test_a_run_does_not_use_what_was_started_with_another_environment(project):
    suite(project, backend().replace("port_range", 'env: {MODE: "${env.SPECIAL}"}, port_range'), f"  a: {{{asks()}\n")
    assert project.run("up", SPECIAL="first-value").code == 0
    assert project.run("run", SPECIAL="second-value").code == 0
    assert "SPECIAL had another value" in project.events("note")[0]["body"]["message"]
    assert "first-value" not in (project.root / ".orchestra/s/up.json").read_text()
    assert project.run("run", SPECIAL="first-value").code == 0
    assert project.events("note") == []
    assert project.run("down").code == 0


def test_a_run_whose_borrowed_server_dies_starts_its_own_and_holds_the_failure(project):
    suite(project, backend(), f"  a: {{{breaks('kill', seconds=2.0)}\n")
    assert project.run("up").code == 0
    done = project.run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == {"cli:a": "passed"}
    [_, closed] = [event["body"] for event in project.events("incident")]
    assert (closed["outcome"], closed["recovery_steps"]) == ("recovered", ["restart"])
    assert project.run("down").code == 0


def test_down_waits_for_no_run_and_says_so(served):
    served.write(
        (served.root / "specs/s.yaml").read_text() + "  z: {requires: [backend], command: {argv: [sleep, '600']}}\n"
    ).compile()
    served.run("up", "backend")
    run = served.start("run", "z")
    runs = served.root / ".orchestra/s/runs"
    until(lambda: any('"attempt_started"' in file.read_text() for file in runs.glob("2*/events.jsonl")), "the run")
    done = served.run("down")
    assert done.code == 3
    assert "is in progress and may use them" in done.err
    until(lambda: matrix(served)["backend"]["by"].startswith("run "), "the state of the run, written after its events")
    run.send_signal(signal.SIGINT)
    run.communicate()


# -------------------------------------------------------------------------------------------------------------- history


def test_the_rungs_of_earlier_runs_are_counted(project):
    suite(project, backend(), f"  a: {{{breaks('kill', seconds=2.0)}\n")
    assert "no recovery step was taken in the last 0 runs" in project.run("health", "--history").out
    project.run("run")
    out = project.run("health", "--history").out
    assert re.search(r"^backend +restart +1 +100 %", out, re.MULTILINE)
    told = json.loads(project.run("health", "--history", "--json").out)
    assert (told["runs"], told["steps"][0]["worked"], told["suggested"]) == (1, 1, {})


def test_the_order_that_history_suggests_takes_the_least_expected_time():
    def record(step, seconds, worked, tries):
        return Record("b", step, [seconds] * tries, worked)

    policy = tuple(RecoveryStep(kind) for kind in ("retry", "restart", "failover"))
    component = Component("b", "b", recover=policy)
    known = {("b", "retry"): record("retry", 5.0, 1, 10), ("b", "restart"): record("restart", 2.0, 9, 10)}
    assert suggestion(component, known) == ("restart", "retry", "failover")
    known["b", "retry"] = record("retry", 0.1, 5, 10)
    assert suggestion(component, known) == (), "it is the declared one"
    assert suggestion(component, {("b", "retry"): record("retry", 1.0, 1, 2)}) == (), "too little is known"


def test_a_try_lasts_from_the_event_before_it():
    def event(second: int, state: str, action: str = "") -> Event:
        change = {"component": "b", "state": state, "incident": "b-1", "action": action or None, "seconds": 0.0}
        body = made.body("service_event", {**change, "pid": None, "port": None, "attempt": 1, "reason": ""})
        return made.event(1, body, f"2026-01-01T00:00:{second:02d}.000000Z")

    story = view_of(
        [
            event(0, "unhealthy"),
            event(3, "unhealthy", "retry"),
            event(4, "starting"),
            event(8, "healthy", "restart"),
        ]
    )
    records = collect([story, story])
    assert {key: (one.seconds, one.worked) for key, one in records.items()} == {
        ("b", "retry"): ([3.0, 3.0], 0),
        ("b", "restart"): ([5.0, 5.0], 2),
    }
