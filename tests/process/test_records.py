"""The verbs about the record of a run: status, events, report, audit, rollback."""

from __future__ import annotations

import json
import os
import shutil
import time

import msgspec
import pytest

from orchestra.ledger.event import CATALOGUE, Unknown
from orchestra.ledger.reading import read
from orchestra.report.console.timeline import timeline
from orchestra.report.forms import FORMS
from tests.support.project import HEAD, SuiteProject

SPEC = f"""{HEAD}
groups: {{first: {{}}, second: {{after: [first]}}}}
tests:
  a: {{group: first, command: {{argv: [sh, -c, "exit 0"]}}}}
  b: {{group: second, command: {{argv: [sh, -c, "exit 3"]}}}}
  c: {{group: second, needs: [b], command: {{argv: [sh, -c, "exit 0"]}}}}
"""
WAITS = 'tests: {a: {command: {argv: [sh, -c, "touch here; while ! test -e go; do sleep 0.1; done"]}}, b: {skip: why, command: {argv: ["true"]}}}'


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SuiteProject:
    """A run that ended with one failed and one blocked test; nobody changes it."""
    root = tmp_path_factory.mktemp("done")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(root).write(SPEC).compile()
    assert project.run("run").code == 1
    return project


@pytest.fixture
def copy(done: SuiteProject, tmp_path) -> SuiteProject:
    """A copy of that project, to be changed."""
    return SuiteProject(shutil.copytree(done.root, tmp_path / "copy", symlinks=True))


def test_status_says_how_a_run_ended(done):
    told = done.run("status")
    assert told.code == 0
    assert "finished with exit code 1" in told.out
    assert "1 passed, 1 failed, 1 blocked; 3 in all" in told.out
    assert "error       cli:b  attempt 1  specs/s.yaml:8:" in told.out
    assert "go on       orchestra run --resume" in told.out
    assert json.loads(done.run("status", "--json").out)["completed"]["cli:a"]["verdict"] == "passed"


def test_status_knows_a_run_by_a_part_of_its_id(done):
    assert done.folder.name in done.run("status", done.folder.name[-4:]).out
    refused = done.run("status", "zzzz")
    assert (refused.code, 'no run "zzzz"' in refused.err) == (2, True)
    assert done.folder.name in refused.err


def test_without_a_run_there_is_nothing_to_say(project):
    project.write(SPEC).compile()
    for verb in ("status", "events", "report", "audit", "rollback"):
        told = project.run(verb)
        assert (told.code, "no run of suite" in told.err) == (2, True), verb


def test_status_and_events_follow_a_run_to_its_end(project):
    project.write(f"{HEAD}{WAITS}\n").compile()
    process = project.start("run")
    while not (project.root / "here").exists():
        assert process.poll() is None, process.communicate()
    while "now         cli:a  attempt 1" not in (now := project.run("status")).out:
        assert "2 waiting" in now.out  # until the file has caught up with the ledger, a tenth of a second later
    assert "so far whole" in project.run("audit").out
    assert "is in progress" in project.run("report").err
    assert "is in progress" not in project.run("report", "--format", "md").err
    followers = [
        project.start(*words) for words in (["status", "--watch"], ["events", project.folder_now().name, "--follow"])
    ]
    (project.root / "go").touch()
    process.communicate()
    status, events = (follower.communicate()[0] for follower in followers)
    assert "finished with exit code 0" in status
    assert events.splitlines()[-1].split()[2] == "seal"
    assert [follower.returncode for follower in followers] == [0, 0]


def test_the_id_that_a_run_prints_first_is_followed_and_not_the_run_before(project):
    project.write(f"{HEAD}{WAITS}\n").compile()
    (project.root / "go").touch()
    assert project.run("run").code == 0
    (project.root / "go").unlink()
    process = project.start("run")
    word, run, *_ = next(line for line in process.stderr if line.startswith("run ")).split()
    follower = project.start("events", run, "--follow", "--type", "verdict", "--type", "run_started")
    first = follower.stdout.readline()
    (project.root / "go").touch()
    process.communicate()
    rest, _ = follower.communicate()
    assert (word, run in first) == ("run", True)
    assert "cli:a" in rest
    assert (process.returncode, follower.returncode) == (0, 0)


def test_status_after_a_kill_is_the_fold_of_the_ledger(project):
    project.write(f"{HEAD}{WAITS}\n").compile()
    process = project.start("run")
    while not (project.root / "here").exists():
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    (project.folder_now() / "state.json").unlink()
    told = project.run("status")
    assert "not running; it stopped at" in told.out
    assert "1 skipped, 1 cut off" in told.out
    assert "\ncut off     cli:" in told.out
    (project.root / "go").touch()
    assert project.run("run", "--resume").code == 0


def test_every_event_has_a_line_and_its_json_is_the_ledgers_own(done):
    ledger = (done.folder / "events.jsonl").read_text()
    assert done.run("events", "--json").out == ledger
    lines = done.run("events").out.splitlines()
    assert len(lines) == ledger.count("\n")
    assert lines[-1].split()[2] == "seal"
    verdicts = done.run("events", "--type", "verdict").out.splitlines()
    assert [line.split()[2] for line in verdicts] == ["passed", "failed", "blocked"]
    assert done.run("events", "--type", "nonsense").code == 2


def test_a_newer_event_has_its_type_for_a_line(done):
    first = next(read(done.folder / "events.jsonl"))
    later = msgspec.structs.replace(first, type="later", v=9, body=Unknown({"more": 1}))
    assert "later       of a newer version (9)" in timeline(later)
    assert set(CATALOGUE) >= {event.type for event in read(done.folder / "events.jsonl")}


def test_the_report_is_made_again_from_the_ledger_alone(copy):
    names = [form.file for form in FORMS.values()]
    old = {name: (copy.folder / name).read_bytes() for name in names}
    for name in names:
        (copy.folder / name).unlink()
    told = copy.run("report")
    assert (told.code, len(told.out.splitlines())) == (0, len(names))
    assert {name: (copy.folder / name).read_bytes() for name in names} == old
    assert copy.run("report", "--format", "junit").out.encode() == old["junit.xml"]


def test_a_report_of_an_older_spec_names_no_line_of_the_new_one(copy):
    copy.write(SPEC.replace("\ntests:", "\n\n\ntests:").replace("exit 3", "exit 4")).compile()
    told = copy.run("report", "--format", "md")
    assert told.code == 0
    assert "specs/s.yaml:8:" in told.out
    assert "specs/s.yaml:9:" not in told.out
    assert "ended with exit code 3" in told.out


def test_an_audit_is_quiet_about_a_good_run_and_names_the_line_of_a_bad_one(copy):
    assert f"whole: {len(copy.events())} events, 5 files of evidence, 3 verdicts" in copy.run("audit").out
    ledger = copy.folder / "events.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole.replace(b'"verdict":"failed"', b'"verdict":"passed"', 1))
    told = copy.run("audit")
    line = next(number for number, text in enumerate(whole.splitlines(), 1) if b'"verdict":"failed"' in text)
    assert (told.code, f"events.jsonl:{line}: its content has the hash" in told.out) == (1, True)
    ledger.write_bytes(whole)
    [log] = copy.folder.glob("attempts/cli/b/1/output.log")
    log.write_text("nothing happened")
    told = copy.run("audit")
    assert (told.code, 'the evidence "attempts/cli/b/1/output.log" was changed' in told.out) == (1, True)


def test_a_rollback_appends_and_the_run_goes_on_from_there(copy):
    before = (copy.folder / "events.jsonl").read_bytes()
    listed = copy.run("rollback").out.splitlines()
    assert [line.split()[-1] for line in listed] == ["cli:first", "cli:second"]
    told = copy.run("rollback", "first", "--reason", "the server was old")
    assert (told.code, "back at cli:first" in told.out, "2 wait" in told.out) == (0, True, True)
    after = (copy.folder / "events.jsonl").read_bytes()
    assert after.startswith(before)
    state = json.loads((copy.folder / "state.json").read_text())
    assert (list(state["completed"]), state["pending"]) == (["cli:a"], ["cli:b", "cli:c"])
    assert [point["group"] for point in state["checkpoints"]] == ["first"]
    assert "b has no verdict (2 in all)" in copy.run("audit").out
    assert copy.run("run", "--resume").code == 1
    assert copy.run("audit").code == 0
    assert copy.verdicts() == {"cli:a": "passed", "cli:b": "failed", "cli:c": "blocked"}


def test_a_pass_that_was_taken_back_is_not_rested_on(project):
    spec = SPEC.replace("b: {group: second,", "b: {group: second, inputs: [specs/s.yaml],").replace("exit 3", "exit 0")
    project.write(spec).compile()
    assert project.run("run").code == 0
    history = project.root / ".orchestra/s/history.json"
    assert json.loads(history.read_text())["tasks"]["cli:b"]["run"] == project.folder.name
    assert project.run("rollback", "cli:first").code == 0
    past = json.loads(history.read_text())["tasks"]
    assert ("run" in past["cli:b"], "seconds" in past["cli:b"]) == (False, True)
    assert past["cli:a"]["run"] == project.folder.name
    project.run("run")
    assert project.verdicts()["cli:b"] == "passed"


@pytest.mark.parametrize(
    "word, said",
    [("frist", 'no checkpoint "frist" (did you mean'), ("99999", "the checkpoints are cli:first (event")],
)
def test_a_checkpoint_that_is_none_is_told(copy, word, said):
    told = copy.run("rollback", word)
    assert (told.code, said in told.err) == (2, True), told.err


def test_what_a_run_kept_of_a_test_is_shown(done):
    told = done.run("show", "b", "--run", "last")
    assert told.code == 0
    assert told.out.startswith("failed      cli:b")
    assert f".orchestra/s/runs/{done.folder.name}/attempts/cli/b/1/output.log (0 bytes)" in told.out
    assert "attempt     1  failed" in told.out
    assert "expected    exit code 0" in told.out
    assert "blocked     cli:c" in done.run("show", "c", "--run", "last").out


def test_what_was_kept_is_opened_by_the_systems_own_program(done, tmp_path):
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert done.process("show", "b", "--run", "last", "--open", PATH=path).code == 0
    told = done.run("show", "b", "--run", "last", "--open", "trace")
    assert (told.code, 'there is no file of the kind "trace"; there is log' in told.err) == (2, True)
    assert "--open needs a run" in done.run("show", "b", "--open").err
    while not (tmp_path / "opened").exists():  # it is not waited for
        time.sleep(0.01)
    assert (tmp_path / "opened").read_text().strip().endswith("attempts/cli/b/1/output.log")
