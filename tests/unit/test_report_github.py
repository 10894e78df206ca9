"""A run in a job of GitHub Actions: annotations that no text of a product forges, a summary within its limit."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from orchestra.report.console.display import Commands, Feed, Plain
from orchestra.report.console.table import commands
from orchestra.report.evidence_text import line_of
from orchestra.report.formats.ctrf import ctrf
from orchestra.report.github import MOST, MOST_SUMMARY, Github, command, github
from orchestra.report.rows import Report
from tests.support import runs as samples
from tests.support.hostile import NASTY

FOLDER = f".orchestra/market/runs/{samples.RUN}"


@pytest.fixture
def everything(tmp_path) -> Report:
    return samples.reported(samples.PLAN, samples.ledger(tmp_path, samples.everything()), lambda _: "specs/m.yaml:7:9")


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Read a command as the runner of GitHub does: name, properties, text."""

    def plain(text: str) -> str:
        pairs = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
        for escape, char in pairs:
            text = text.replace(escape, char)
        return text

    assert line.startswith("::")
    assert len(line.splitlines()) == 1
    head, _, text = line[2:].partition("::")
    name, _, listed = head.partition(" ")
    return name, {key: plain(value) for key, _, value in (one.partition("=") for one in listed.split(","))}, plain(text)


def test_each_failure_is_an_annotation_on_its_line_of_the_spec(everything):
    made = [read(line) for line in Github("sub").annotations(everything)]
    name, where, text = next(one for one in made if one[1]["title"].startswith("B003"))
    assert name == "error"
    assert where == {
        "file": "sub/specs/market.yaml",
        "line": "41",
        "col": "9",
        "title": "B003 One ticker | two (cli): failed",
    }
    assert text.splitlines()[0] == 'the heading "Market" is not visible'
    assert "expected: visible" in text
    assert text.endswith("repeat: orchestra run --suite market B003")
    gates = [where["title"] for name, where, _ in made if where["title"].startswith("gate")]
    assert gates == ["gate after:pass_rate failed", "gate after:forgotten failed"]
    assert [where["title"] for name, where, _ in made if name == "warning"] == [
        "B002 The page renders in Firefox (mcp): flaky"
    ]


@pytest.mark.parametrize("behind", ["", " (block at parts/a b.yaml:3:5)"])
def test_a_file_whose_name_has_spaces_is_annotated(behind):
    made = [samples.run_started(selection=["cli:B001"])]
    made += [*samples.attempt("cli:B001", 1, "failed", error=samples.failure()), samples.verdict("cli:B001", "failed")]
    report = samples.reported(samples.PLAN, samples.events(made), lambda _: f"my specs/a b: c.yaml:41:9{behind}")
    rows = tuple(replace(row, place=f"my specs/a b: c.yaml:41:9{behind}") for row in report.rows)
    where = read(Github().annotations(replace(report, rows=rows))[0])[1]
    assert (where["file"], where["line"], where["col"]) == ("my specs/a b: c.yaml", "41", "9")
    test = json.loads(ctrf(replace(report, rows=rows), FOLDER))["results"]["tests"][0]
    assert (test["filePath"], test["line"]) == ("my specs/a b: c.yaml", 41)
    assert line_of(rows[0].place) == "my specs/a b: c.yaml:41"


def test_the_command_that_repeats_a_failure_is_that_of_its_run(everything):
    """It names the launcher of the spec and the profile, and its words are quoted for a shell."""
    report = replace(everything, tool=".venv/bin/orchestra", profile="staging")
    texts = [read(line)[2] for line in Github().annotations(report)]
    wanted = ".venv/bin/orchestra run --suite market --profile staging"
    assert any(text.endswith(f"repeat: {wanted} 'B005[NVDA]'") for text in texts), texts
    assert list(commands(report)) == [
        f"{wanted} B003 'B005[NVDA]' --method cli",
        f"{wanted} B004 --method mcp",
    ]


def test_methods_that_fail_alike_share_an_annotation_and_the_rest_beyond_the_limit_is_counted():
    made = [samples.run_started(selection=[f"{method}:B00{n}" for method in samples.BOTH for n in (1, 2)])]
    for method in samples.BOTH:
        made += [*samples.attempt(f"{method}:B001", 1, "failed", error=samples.failure())]
        made += [samples.verdict(f"{method}:B001", "failed")]
    report = samples.reported(samples.PLAN, samples.events(made))
    titles = [read(line)[1]["title"] for line in Github().annotations(report)]
    assert titles[:2] == [
        "B001 The page renders (cli, mcp): failed",
        "B002 The page renders in Firefox (cli, mcp): error",
    ]


def test_more_annotations_than_github_shows_are_counted_in_the_last(everything, monkeypatch):
    monkeypatch.setattr("orchestra.report.github.MOST", 3)
    errors = [read(line) for line in Github().annotations(everything) if line.startswith("::error")]
    assert len(errors) == 3 < MOST
    assert errors[-1][1]["title"] == "and more"
    assert errors[-1][2].endswith("more are in the summary of the job")


@pytest.mark.parametrize("text", NASTY)
def test_no_text_leaves_its_place_in_a_command(text):
    name, where, given = read(command("error", text, file=text, title=text))
    assert name == "error"
    assert set(where) <= {"file", "title"}
    assert where.get("title", "") == given


@pytest.mark.parametrize("root, below", [(".", ""), ("sub/project", "sub/project"), ("..", "")])
def test_places_are_relative_to_the_checkout(tmp_path, root, below):
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    assert github(tmp_path / root, environment) == Github(below, None)
    assert github(tmp_path, {"GITHUB_STEP_SUMMARY": "x"}) is None


def test_the_summary_of_the_job_is_added_and_stays_below_the_limit(everything, tmp_path):
    file = tmp_path / "summary"
    file.write_text("of another step\n")
    assert Github("", file).write_summary(everything, FOLDER) == ""
    text = file.read_text()
    assert text.startswith("of another step\n# Market Parser, browser suite\n")
    assert f"- evidence: `{FOLDER}/attempts/cli/B003/2/shot 1.png`" in text, "a link would lead nowhere"
    file.write_text("x" * (MOST_SUMMARY - 1000))
    assert Github("", file).write_summary(everything, FOLDER) == ""
    assert MOST_SUMMARY - 1000 < len(file.read_bytes()) <= MOST_SUMMARY
    assert file.read_text().endswith("`summary.md` in the folder of the run has all.\n")
    assert "No such file" in Github("", tmp_path / "none" / "x").write_summary(everything, FOLDER)


def test_the_lines_of_the_tests_are_a_group_and_the_end_is_not(tmp_path):
    out = io.StringIO()
    feed = Feed(samples.PLAN, FOLDER, list, lambda: 0.0)
    commands = Commands([command("group", "Tests of market")], ["::endgroup::"], lambda: ["::error title=x::y"])
    made = [*samples.everything()]
    made[6] = made[6][0], {**made[6][1], "reason": "one\n::add-mask::two"}
    samples.show(samples.ledger(tmp_path, made), Plain(feed, out, None, commands))
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("::group::Tests of market", "::error title=x::y")
    end = lines.index("::endgroup::")
    assert any(line.startswith("failed      cli:B003") for line in lines[:end])
    assert any(line.startswith("exit") for line in lines[end:])
    assert [line for line in lines if line.lstrip().startswith("::")] == [lines[0], "::endgroup::", lines[-1]]
