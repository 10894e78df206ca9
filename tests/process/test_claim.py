"""`orchestra claim`: no claim without the sealed record of a run that ended."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime

import pytest

from orchestra.agent import browser
from orchestra.project import Project
from tests.support import pages
from tests.support.project import HEAD, SuiteProject

SPEC = HEAD + "tests: {good: {title: Good, command: {argv: ['true']}}, bad: {command: {argv: ['false']}}}\n"


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    root = tmp_path_factory.mktemp("claimed")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(root).write(SPEC).compile()
    assert project.run("run").code == 1
    return project


@pytest.mark.parametrize(
    "words, code, shown",
    [
        (["2 tests, 1 passed, 1 failed"], 0, "holds"),
        (["2 tests, 2 passed"], 1, "claimed 2 passed  recorded 1 passed"),
        (["2 tests, 1 passed, 1 failed; bad did not fail"], 1, "not checked  bad did not fail"),
        (["1 failed, the rest passed"], 1, "undecided"),
        (["all tests passed"], 1, "claimed all passed  recorded 1 failed"),
        (["--tests", "2", "--passed", "1"], 1, "not mentioned  recorded 1 failed"),
        ([], 2, 'write "16 tests, 16 passed"'),
        (["it works"], 2, "no number that a record can confirm"),
        (["2 passed", "--passed", "2"], 2, "a claim is a sentence or numbers"),
        (["2 passed", "--run", "zz"], 2, 'no run "zz"'),
    ],
)
def test_a_claim_and_its_record(ran, words, code, shown):
    done = ran.run("claim", *words)
    assert (done.code, shown in " ".join((done.out + done.err).split()) or shown in done.out) == (code, True), done


def test_the_tests_as_a_to_do_list(ran):
    done = json.loads(ran.run("status", "--format", "todowrite").out)
    assert done[0] == {"content": "cli:good Good: passed", "status": "completed", "activeForm": "Running cli:good Good"}
    tasks = json.loads(ran.run("status", "--format", "taskcreate").out)
    assert [set(task) for task in tasks] == [{"subject", "description", "activeForm", "metadata"}] * 2
    assert tasks[1]["metadata"] == {
        "task": "cli:bad",
        "run": ran.folder.name,
        "status": "completed",
        "verdict": "failed",
    }
    assert ran.run("status", "--format", "todowrite", "--json").code == 2


def test_a_changed_record_is_no_evidence(ran, tmp_path):
    shutil.copytree(ran.root, tmp_path / "copy", symlinks=True)
    copy = SuiteProject(tmp_path / "copy")
    ledger = copy.folder / "events.jsonl"
    ledger.write_text(
        ledger.read_text().replace('"failed":1', '"failed":0').replace('"verdict":"failed"', '"verdict":"passed"')
    )
    done = copy.run("claim", "2 tests, 2 passed")
    assert (done.code, "without evidence" in done.out) == (1, True), done


def test_a_run_that_goes_on_is_no_evidence(project):
    wait = '{command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}'
    project.write(f"{HEAD}tests: {{good: {wait}}}\n").compile()
    assert project.run("run", "--detach").code == 0
    done = project.run("claim", "1 test, 1 passed")
    (project.root / "go").touch()
    assert (done.code, "the run goes on" in done.out) == (1, True), done
    assert project.run("wait").code == 0
    assert project.run("claim", "1 test, 1 passed").code == 0


def test_a_result_seen_by_hand_is_a_claim_with_evidence(ran, tmp_path):
    shutil.copytree(ran.root, tmp_path / "copy", symlinks=True)
    copy = SuiteProject(tmp_path / "copy")
    (copy.root / "shot.png").write_bytes(b"\x89PNG\xff")
    (copy.root / "empty").touch()
    for words, shown in (
        (["good", "--status", "passed"], "add --evidence FILE"),
        (["goood", "--status", "passed", "--evidence", "shot.png"], 'unknown test "goood" (did you mean "good"?)'),
        (["good", "--status", "passed", "--evidence", "/etc/passwd"], "outside the project root"),
        (["good", "--status", "passed", "--evidence", "empty"], '"empty" has 0 bytes'),
    ):
        done = copy.run("attest", *words)
        assert (done.code, shown in done.err) == (2, True), done
    agrees = copy.run("attest", "good", "--status", "passed", "--evidence", "shot.png", "--note", "green")
    assert (agrees.code, "agrees" in agrees.out) == (0, True), agrees
    differs = copy.run("attest", "bad", "--status", "passed", "--evidence", "shot.png", "--evidence", "pyproject.toml")
    assert (differs.code, "failed      cli:bad  differs" in differs.out) == (1, True), differs
    assert copy.run("audit").code == 0
    assert copy.run("claim", "2 tests, 1 passed, 1 failed").code == 0, "a claim changes no verdict"
    shown = copy.run("show", "last", "good").out
    assert "passed      agent:good  claimed  green" in shown
    assert "attested/1/shot.png" in shown
    summary = (copy.folder / "summary.md").read_text()
    assert summary == copy.run("report", "--format", "md").out
    assert re.search(r"Seen by hand[\s\S]*bad *\| *passed *\| *cli:bad failed \(differs\)", summary.replace("\\", ""))
    assert "[attested](attested/2/pyproject.toml)" in summary
    [table] = [
        one
        for one in pages.data_of((copy.folder / "report.html").read_text())["tables"]
        if one["title"].startswith("Seen by hand")
    ]
    files = "attested/2/shot.png, attested/2/pyproject.toml"
    assert table["rows"][1] == ["bad", "passed", "cli:bad failed (differs)", "", files]
    assert copy.run("audit").code == 0, "the report is bound again"
    (copy.folder / "attested/1/shot.png").write_bytes(b"other")
    assert copy.run("audit").code == 1


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_comparison_has_what_was_seen_by_hand_in_its_runs(ran, tmp_path, form):
    shutil.copytree(ran.root, tmp_path / "copy", symlinks=True)
    copy = SuiteProject(tmp_path / "copy")
    assert copy.run("run").code == 1
    assert "seen by hand" not in copy.run("compare", "--format", form).out.lower()
    shot = browser.folder_of(Project(copy.root), datetime.now(UTC)) / "shot.png"
    shot.parent.mkdir(parents=True)
    shot.write_bytes(b"\x89PNG")
    words = ("--status", "passed", "--evidence", str(shot.relative_to(copy.root)), "--note", "<b>grey</b>")
    assert copy.run("attest", "bad", *words).code == 1
    compared = copy.run("compare", "--format", form)
    assert compared.code == 0, compared
    for text in ("seen by hand", "cli:bad failed (differs)", "attested/1/shot.png"):
        assert text in compared.out.replace("\\", "").lower()
    assert ("<b>grey" in compared.out) == (form == "text")
