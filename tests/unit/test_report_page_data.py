"""The data of report.html: the verdict in words, what is new since earlier runs, what to do next, addresses of files."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from orchestra import draw
from orchestra import plan as plans
from orchestra.ledger.event import Expected
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.ledger.use import Use
from orchestra.report.evidence_text import MOST_BYTES, contents, line_of
from orchestra.report.page import encoded, page
from orchestra.report.page_data import Progress
from orchestra.report.page_tests import address, picture_address
from orchestra.yamltext.digest import digest_files
from tests.support import runs as samples

FOLDER = "runs/r"


def record(name: str, **verdicts: tuple[str, float]) -> RunRecord:
    executions = {
        f"cli:{test}": Execution(verdict, attempts=(Attempt("passed" if verdict == "passed" else "failed", seconds),))
        for test, (verdict, seconds) in verdicts.items()
    }
    return RunRecord(run=name, executions=executions)


def reported(*made: samples.Made, selection=("cli:B001",), code=0):
    events = [samples.run_started(selection=selection), *made, samples.run_finished(code, gates={})]
    plan = msgspec.structs.replace(samples.PLAN, gates=())
    return replace(samples.reported(plan, samples.events(events)), gates=())


FAILED = (*samples.attempt("cli:B001", 1, "failed", error=samples.failure()), samples.verdict("cli:B001", "failed"))


FAILED_EXCUSED = (*FAILED[:-1], samples.verdict("cli:B001", "failed", excused="known"))


@pytest.mark.parametrize(
    "report, headline, state",
    [
        (reported(*samples.passed("cli:B001")), "Passed: 1 of 1 test", "passed"),
        (reported(samples.verdict("cli:B001", "skipped", attempts=0)), "Passed: 0 of 1 test, 1 skipped", "passed"),
        (reported(*FAILED_EXCUSED), "Passed: 0 of 1 test, 1 excused", "passed"),
        (reported(*FAILED, code=1), "Failed: 1 of 1 test", "failed"),
        (reported(selection=()), "No test selected", "passed"),
        (replace(reported(*samples.passed("cli:B001")), exit_code=None), "Not finished", "unfinished"),
        (replace(reported(*FAILED, code=130), interrupted="SIGINT"), "Interrupted by SIGINT", "interrupted"),
        (reported(*samples.passed("cli:B001"), code=3), "Failed: exit 3: servers, tools, browser or machine", "failed"),
    ],
)
def test_the_verdict_is_in_words(report, headline, state):
    made = page(report, FOLDER)
    assert (made.headline.startswith(headline), made.state) == (True, state), made.headline


@pytest.mark.parametrize(
    "now, before, change",
    [
        (FAILED, record("1", B001=("passed", 1.0)), "new failure"),
        (FAILED, record("1", B001=("failed", 1.0)), ""),
        (samples.passed("cli:B001"), record("1", B001=("failed", 1.0)), "fixed"),
        (samples.passed("cli:B001"), record("1", B002=("passed", 1.0)), "new"),
        ((samples.verdict("cli:B001", "blocked", attempts=0),), record("1", B001=("passed", 1.0)), ""),
    ],
)
def test_what_is_new_is_against_the_latest_run_that_executed_the_test(now, before, change):
    later = record("2", B009=("passed", 1.0))
    made = page(replace(reported(*now), earlier=(before, later)), FOLDER)
    assert made.tasks[0].change == change
    assert made.news == ({change: ("cli:B001",)} if change else {})


def test_a_history_has_its_slope_and_the_run_at_which_its_level_changed():
    earlier = tuple(record(f"r{n:02}", B001=("passed", 1.0 if n < 12 else 3.0 + n / 1000)) for n in range(24))
    [task] = page(replace(reported(*samples.passed("cli:B001", 3.0)), earlier=earlier), FOLDER).tasks
    assert [point.run for point in task.past] == [one.run for one in earlier]
    assert task.trend.startswith("+94 ms a run; changed at r12: 1.0 s to 3.0 s")
    few = page(replace(reported(*samples.passed("cli:B001")), earlier=earlier[:4]), FOLDER).tasks[0]
    assert few.trend == ""


@pytest.mark.parametrize("step, words", [(0, "0 ms a run"), (0.05, "+50 ms a run"), (-0.05, "-50 ms a run")])
def test_a_slope_has_a_sign_unless_it_is_none(step, words):
    earlier = tuple(record(f"r{n:02}", B001=("passed", 3.0 + step * n)) for n in range(12))
    [task] = page(replace(reported(*samples.passed("cli:B001", 3.0 + step * 12)), earlier=earlier), FOLDER).tasks
    assert task.trend.partition(";")[0] == words


def test_the_page_has_the_forecast_and_then_the_time_that_the_run_took():
    expected = Expected(seconds=2.0, low=1.5, high=3.0, rest=0.5, known=1)
    report = replace(reported(*samples.passed("cli:B001")), expected=expected, seconds=2.5)
    [told] = [table for table in page(report, FOLDER).tables if table.title == "Forecast"]
    assert told.rows == (("time", "expected 2.0 s (1.5 s to 3.0 s), took 2.5 s"),)
    measured = msgspec.structs.replace(expected, memory_megabytes=412.4, available_megabytes=20_440.0)
    [told] = [
        table
        for table in page(replace(report, expected=measured, seconds=None), FOLDER).tables
        if table.title == "Forecast"
    ]
    assert told.rows == (
        ("time", "expected 2.0 s (1.5 s to 3.0 s)"),
        ("memory", "412 MB of memory at the peak, 20.4 GB available"),
    )


def test_the_run_has_tables_of_its_time_and_of_what_it_used():
    use = Use()
    use.cpu_percent_peak = 90.0
    report = replace(
        reported(*samples.passed("cli:B001")), use=use, spent={"tests": 3.0, "closing": 1.0, "around": 0.001}
    )
    tables = {table.title: table for table in page(report, FOLDER).tables}
    assert [row[:3] for row in tables["Time"].rows] == [
        ("tests", "3.00 s", "75 %"),
        ("closing", "1.00 s", "25 %"),
        ("all", "4.00 s", ""),
    ]
    assert tables["Machine"].rows[0][0].startswith("processors: 0 % in the mean, 90 % at most")
    assert (
        "Workers" in tables,
        "Machine" in {one.title for one in page(replace(report, use=None), FOLDER).tables},
    ) == (
        False,
        False,
    )


def test_a_step_has_its_number_in_its_section():
    steps = [
        {"index": 0, "verb": "goto", "seconds": 0.5, "outcome": "passed", "section": "before"},
        {"index": 0, "verb": "expect", "seconds": 0.5, "outcome": "failed"},
    ]
    made = samples.attempt("cli:B001", 1, "failed", error=samples.failure(step=0), steps=steps)
    [task] = page(reported(*made, samples.verdict("cli:B001", "failed")), FOLDER).tasks
    [attempt] = task.tries
    assert [(step[0], step[4]) for step in attempt.steps] == [("goto", "1 of before"), ("expect", "1")]
    assert attempt.error.where == "step 1 expect"


def test_a_command_names_what_failed_as_words_of_a_shell():
    made = page(samples.reported(samples.PLAN, samples.events(samples.everything())), FOLDER)
    assert made.commands == (
        "orchestra run --suite market B003 'B005[NVDA]' --method cli",
        "orchestra run --suite market B004 --method mcp",
    )


def test_a_run_under_way_says_what_is_executed_and_what_waits():
    report = reported(*samples.passed("cli:B001"), selection=("cli:B001", "cli:B002", "cli:B003"))
    made = page(report, FOLDER, progress=Progress({"cli:B002"}, {"cli:B003"}, {"cli:B002": "n1"}), served=True)
    assert [task.node for task in made.tasks] == ["", "n1", ""]
    assert [task.verdict for task in made.tasks] == ["passed", "running", "waiting"]
    assert (made.headline, made.state) == ("Running: 1 of 3 tests done", "running")
    assert made.counts == {"passed": 1, "running": 1, "waiting": 1}
    assert (made.commands, made.exit) == ((), "")


@pytest.mark.parametrize("path", ["javascript:alert(1)", "//host/x", "a?b#c", "a b\u202e", "\ud800"])
def test_an_address_of_a_file_is_relative_whatever_its_name(path):
    found = address(path)
    assert found.startswith("./")
    assert not set(found[2:]) & set(":?# \u202e")


@pytest.mark.parametrize(
    "hidden", ["\x00", "\b", "\f", "\x1b", "\x7f", "\u202e", "\u2028", "\ud800", "\\b", "\\u0041", "\t", "é"]
)
def test_each_text_of_the_data_is_visible(hidden):
    report = reported(samples.verdict("cli:B001", "skipped", attempts=0, reason=f"a{hidden}b"))
    data = json.loads(encoded(page(report, FOLDER)))
    assert data["tasks"][0]["reason"] == draw.visible(f"a{hidden}b")


def test_the_kind_of_a_picture_is_read_from_it():
    assert picture_address(b"\x89PNG").startswith("data:image/png;base64,")
    assert picture_address(b"\xff\xd8\xff").startswith("data:image/jpeg;base64,")
    assert picture_address(b"RIFF0000WEBP").startswith("data:image/webp;base64,")


def test_a_long_log_is_shown_by_its_end_and_a_page_by_its_start(tmp_path):
    kinds = {"log": "output.log", "page": "page.yaml"}
    lines = "".join(f"line {number:06}\n" for number in range(2 * MOST_BYTES // 12))
    for name in kinds.values():
        (tmp_path / name).write_text(lines)
    files = [samples.evidence(name, kind) for kind, name in kinds.items()]
    report = reported(*samples.attempt("cli:B001", 1, "failed", error=samples.failure(), evidence=files))
    texts = contents(tmp_path, tmp_path, samples.PLAN, report).texts
    assert texts["output.log"].startswith("… ")
    assert texts["output.log"].endswith(lines[-12:])
    assert texts["page.yaml"].startswith("line 000000\n")
    assert "bytes are left out" in texts["page.yaml"].splitlines()[-1]
    assert contents(tmp_path / "elsewhere", tmp_path / "elsewhere", samples.PLAN, report).texts == {}


def test_lines_of_the_spec_are_shown_while_it_is_the_one_that_ran(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/market.yaml").write_text("".join(f"line {number}\n" for number in range(1, 60)))
    digest = digest_files(tmp_path, samples.PLAN.sources)
    plan = msgspec.structs.replace(samples.PLAN, source_digest=digest)
    events = samples.events([samples.run_started(plan, ["cli:B001"]), *FAILED])
    spec = contents(tmp_path, tmp_path, plan, samples.reported(plan, events)).spec
    assert spec["specs/market.yaml:41"].splitlines()[2] == ">   41  line 41"
    (tmp_path / "specs/market.yaml").write_text("another\n")
    assert contents(tmp_path, tmp_path, plan, samples.reported(plan, events)).spec == {}


def test_a_place_gives_its_line():
    assert line_of("specs/a.yaml:41:9 (block at specs/b.yaml:1:1)") == "specs/a.yaml:41"
    assert (line_of("specs/a.yaml"), line_of("")) == ("", "")


def test_tests_keep_their_needs():
    tests = (
        plans.Test("A", "a", ("cli",)),
        plans.Test("B", "b", ("cli",), needs=("A",), unmet={"A": "run"}, after=("A",)),
    )
    plan = msgspec.structs.replace(samples.PLAN, tests=tests, gates=())
    events = samples.events([samples.run_started(plan, ["cli:A", "cli:B"])])
    rows = page(samples.reported(plan, events), FOLDER).tests
    assert [(row.id, row.needs, row.unmet, row.after) for row in rows] == [
        ("A", (), {}, ()),
        ("B", ("A",), {"A": "run"}, ("A",)),
    ]
