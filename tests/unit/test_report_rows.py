"""Rows and figures of a report, from events that went through a ledger."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra import plan as plans
from orchestra.ledger.event import Unknown
from orchestra.ledger.view import view_of
from orchestra.report import attempt_text
from orchestra.report.console.table import (
    MOST_ROWS,
    agreement,
    counted,
    counts,
    duration,
    exit_meaning,
    overhead,
    render_table,
    values_text,
)
from orchestra.report.fold import NEVER_RAN
from orchestra.report.rows import Report, Row, step_of
from tests.support import runs as samples
from tests.support.events import event
from tests.support.runs import events


def report(*made: samples.Made, place_of=lambda _: "") -> Report:
    return samples.reported(samples.PLAN, events(list(made)), place_of)


def row(found: Report, task: str) -> Row:
    return next(one for one in found.rows if one.task == task)


def test_each_selected_task_has_one_row_in_the_order_of_the_selection(tmp_path):
    found = samples.reported(samples.PLAN, samples.ledger(tmp_path, samples.everything()))
    assert [one.task for one in found.rows] == samples.SELECTION
    assert counts(found.rows) == {
        "passed": 3,
        "flaky": 1,
        "unchanged": 1,
        "failed": 1,
        "timeout": 1,
        "error": 1,
        "blocked": 1,
        "skipped": 1,
        "interrupted": 0,
    }


def test_what_the_ledger_lacks_never_ran():
    lacking = row(report(*samples.everything()), "mcp:B004")
    assert (lacking.verdict, lacking.reason, lacking.attempts, lacking.mark) == ("error", NEVER_RAN, 0, "")


def test_an_attempt_without_a_verdict_is_still_never_ran_and_shows_what_was_found():
    found = row(
        report(samples.run_started(), *samples.attempt("cli:B001", outcome="failed", error=samples.failure())),
        "cli:B001",
    )
    assert (found.verdict, found.reason) == ("error", NEVER_RAN)
    assert found.failure is not None
    assert found.message == 'the heading "Market" is not visible'


def test_a_failure_carries_step_place_and_evidence():
    found = row(report(*samples.everything()), "cli:B003")
    assert found.failure is not None
    assert step_of(found.failure) == "step 2 expect"
    assert found.place == "specs/market.yaml:41:9 (block at specs/market.yaml:12:7)"
    assert [one.path for one in found.evidence] == ["attempts/cli/B003/2/shot 1.png"]
    assert [failure.outcome for failure in found.failures] == ["error", "failed"]


@pytest.mark.parametrize(
    "section, name",
    [("before", "step 1 of before goto"), ("steps", "step 1 click"), ("finally", "step 1 of finally http")],
)
def test_a_failed_step_is_named_with_its_section(section, name):
    verbs = {"before": "goto", "steps": "click", "finally": "http"}
    steps = [
        {"index": 0, "section": part, "verb": verb, "seconds": 0.1, "outcome": "failed"} for part, verb in verbs.items()
    ]
    made = samples.attempt("cli:B001", outcome="failed", error=samples.failure(step=0, section=section), steps=steps)
    found = row(report(samples.run_started(), *made), "cli:B001")
    assert found.failure is not None
    assert step_of(found.failure) == name
    life = view_of(events([samples.run_started(), *made])).life("cli:B001")
    assert [
        text.split(",")[0].split("  ")[-1].strip() for text in attempt_text.lines("", life, "") if "step  " in text
    ] == [
        "1 of before goto",
        "1 click",
        "1 of finally http",
    ]


@pytest.mark.parametrize(
    "recorded, told",
    [
        (
            {"retry": True, "retry_cause": "connection", "retries_left": 0},
            ["    retried     because of connection, 0 left"],
        ),
        ({"retry": True, "infra_suspect": True, "incidents": ["i1"]}, ["    repeated    because of i1"]),
        ({"infra_suspect": True, "incidents": ["i1"]}, []),
        ({"retry": True}, []),
    ],
)
def test_the_record_of_a_test_gives_the_cause_of_a_retry(recorded, told):
    made = samples.attempt("cli:B001", outcome="error", error=samples.failure(), **recorded)
    life = view_of(events([samples.run_started(), *made])).life("cli:B001")
    assert [text for text in attempt_text.lines("", life, "") if "because of" in text] == told


def test_a_flaky_test_keeps_its_failures_but_nothing_explains_a_bad_verdict():
    found = row(report(*samples.everything()), "mcp:B002")
    assert (found.verdict, found.failure, len(found.failures), found.mark) == ("flaky", None, 1, "😐")


def test_a_test_whose_requests_were_mocked_is_marked():
    facts = {"mocks": {"GET **/quote": 2, "**/gone": 1, "har data/api.har": 0}}
    made = [samples.run_started(), *samples.attempt("cli:B001", facts=facts), samples.verdict("cli:B001")]
    wanted = ("mocked GET **/quote (2 requests)", "mocked **/gone (1 request)")
    assert row(report(*made), "cli:B001").degraded == wanted


def test_the_place_of_a_test_is_asked_for_only_when_it_is_not_fine():
    asked: list[str] = []
    found = report(*samples.everything(), place_of=lambda pointer: asked.append(pointer) or f"at {pointer}")
    assert asked == ["/tests/B004", "/tests/B004"]
    assert row(found, "cli:B004").place == "at /tests/B004"
    assert row(found, "cli:B001").place == ""


def test_a_test_of_a_matrix_stands_where_its_source_does():
    task = "cli:B005[NVDA]"
    found = report(samples.run_started(selection=[task]), place_of=lambda pointer: pointer)
    assert row(found, task).place == "/tests/B005"


def test_no_place_is_given_in_a_spec_that_has_changed_since():
    found = report(
        samples.run_started(source_digest="sha256:other", plan_digest="sha256:other"), place_of=lambda _: "line"
    )
    assert {one.place for one in found.rows} == {""}
    assert found.plan_changed


def test_a_task_that_the_plan_no_longer_has_keeps_its_row():
    found = report(samples.run_started(selection=["cli:gone", "old:B001"]), *samples.passed("cli:gone"))
    assert [(one.task, one.title, one.verdict) for one in found.rows] == [
        ("cli:gone", "", "passed"),
        ("old:B001", "The page renders", "error"),
    ]
    assert found.methods == ("cli", "old")


def test_a_ledger_without_its_first_event_selects_all_of_the_plan():
    assert [one.task for one in report().rows] == samples.SELECTION
    assert not report().plan_changed


def test_a_mark_is_of_the_speed_class_and_a_timeout_has_its_own():
    found = report(*samples.everything())
    marks = {one.task: one.mark for one in found.rows if one.mark}
    assert marks == {
        "cli:B001": "😊",
        "cli:B003": "😊",
        "cli:B005[NVDA]": "❌",
        "mcp:B001": "😊",
        "mcp:B002": "😐",
        "mcp:B003": "😴",
    }


def test_a_resumed_run_forgets_the_verdicts_of_what_runs_again():
    first = [samples.run_started(), *samples.attempt("cli:B001", outcome="failed", error=samples.failure())]
    first += [
        samples.verdict("cli:B001", "failed"),
        samples.gate("pass_rate", "failed"),
        ("interrupted", {"signal": "SIGINT"}),
    ]
    first += [samples.run_finished(130)]
    again = ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"], "plan_digest": "sha256:new"})
    found = report(*first, again)
    assert row(found, "cli:B001").reason == NEVER_RAN
    assert row(found, "cli:B001").failures == ()
    assert (found.exit_code, found.interrupted, found.resumes, found.plan_digest) == (None, "", 1, "sha256:new")
    assert {gate.message for gate in found.gates} == {"never evaluated"}
    assert row(report(*first, again, *samples.passed("cli:B001")), "cli:B001").verdict == "passed"


def test_a_rollback_restores_and_reopens():
    back = {
        "to_seq": 4,
        "reopened": ["cli:B002"],
        "restored": {"cli:B001": {"verdict": "passed", "speed_class": "good", "seconds": 1.0, "attempts": 1}},
        "baseline": None,
    }
    again = ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"]})
    made = [samples.run_started(), *samples.passed("cli:B001", 1.0), again]
    made += [*samples.attempt("cli:B001", outcome="failed"), samples.verdict("cli:B001", "failed", reason="x")]
    made += samples.passed("cli:B002")
    found = report(*made, ("rolled_back", back))
    assert (row(found, "cli:B001").verdict, row(found, "cli:B001").reason) == ("passed", "")
    assert row(found, "cli:B001").failures == (), "the attempts that led to it stand with it"
    assert row(found, "cli:B002").reason == NEVER_RAN


def test_events_of_a_newer_version_or_an_unknown_type_change_nothing():
    made = events(samples.everything())
    newer = [*made, event(99, Unknown({"task": "cli:B001"}))]
    assert samples.reported(samples.PLAN, newer).rows == samples.reported(samples.PLAN, made).rows


def test_gates_are_those_of_the_plan_and_one_that_was_never_judged_has_failed():
    found = report(*samples.everything())
    assert [(gate.name, gate.result, gate.message) for gate in found.gates][2:] == [
        ("no_regression", "not_applicable", "no value for regressions in this selection"),
        ("forgotten", "failed", "never evaluated"),
    ]
    assert found.gates[1].values == (("pass_rate", 0.25),)


def test_a_gate_that_the_run_settled_without_an_event_has_that_result():
    found = report(samples.run_started(), samples.run_finished(gates={"after:forgotten": "passed"}))
    assert [gate.message for gate in found.gates if gate.name == "forgotten"] == [""]


def test_services_show_their_last_state_and_the_rungs_taken():
    (service,) = report(*samples.everything()).services
    assert (service.state, service.url, service.recovery_steps) == (
        "healthy",
        "http://127.0.0.1:8001",
        ("restart", "failover"),
    )


def test_agreement_counts_outcomes_of_tests_that_ran_by_both():
    told = agreement(report(*samples.everything()))
    assert (told.same, told.compared) == (1, 2)
    assert list(told.lines()) == ["1 of 2 tests agree", "B003 disagrees: cli failed, mcp passed"]


def test_agreement_says_nothing_when_no_test_ran_by_two_methods():
    assert list(agreement(report(samples.run_started(), *samples.passed("cli:B001"))).lines()) == []


def test_overhead_is_the_median_over_tests_that_passed_by_both():
    made = [samples.run_started()]
    for test, first, second in (("B001", 1.0, 2.0), ("B002", 2.0, 3.0), ("B003", 4.0, 4.4)):
        made += [*samples.passed(f"cli:{test}", first), *samples.passed(f"mcp:{test}", second)]
    made += [*samples.passed("cli:B004", 1.0), samples.verdict("mcp:B004", "failed", 500.0)]
    (told,) = overhead(report(*made))
    assert (told.method, told.base, told.tests, told.ratio, told.seconds) == ("mcp", "cli", 3, 1.5, 1.0)
    assert told.text() == "mcp against cli: median 1.50 x, +1.0 s a test (3 tests passed by both)"


def test_overhead_of_a_base_that_took_no_time_has_no_ratio():
    made = [samples.run_started(), *samples.passed("cli:B001", 0.0), *samples.passed("mcp:B001", 0.25)]
    (told,) = overhead(report(*made))
    assert told.text() == "mcp against cli: +250 ms a test (1 test passed by both)"


def test_a_method_that_is_quicker_has_a_negative_overhead():
    made = [samples.run_started(), *samples.passed("cli:B001", 2.0), *samples.passed("mcp:B001", 1.5)]
    assert "-500 ms a test" in overhead(report(*made))[0].text()


def test_overhead_of_nothing_is_nothing():
    assert overhead(report(samples.run_started(selection=[]))) == ()
    assert counted(()) == "none selected"


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.0, "0 ms"),
        (0.0004, "0 ms"),
        (0.412, "412 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "60 min 00 s"),
    ],
)
def test_a_duration_reads_well_at_every_size(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "code, signal, text",
    [
        (0, "", "0: all good"),
        (1, "", "1: tests or gates failed"),
        (3, "", "3: servers, tools, browser or machine not healthy"),
        (70, "", "70: a bug of orchestra"),
        (129, "SIGHUP", "129: interrupted by SIGHUP"),
        (143, "SIGTERM", "143: interrupted by SIGTERM"),
        (5, "", "5: not a code of orchestra"),
        (None, "", "none: the run did not finish; tests without a verdict are listed as never ran"),
    ],
)
def test_an_exit_code_is_explained(code, signal, text):
    assert exit_meaning(Report("s", "t", (), (), exit_code=code, interrupted=signal)) == text


def test_values_of_a_gate_are_shown_as_the_condition_would_have_them():
    values = (("a", 2), ("b", 2.0), ("c", 0.87512), ("d", "healthy"), ("e", True))
    assert values_text(values) == 'a = 2, b = 2.0, c = 0.8751, d = "healthy", e = true'


def test_a_long_table_leaves_out_what_plainly_passed_and_says_so():
    tests = tuple(plans.Test(f"T{number}", "x", ("cli",)) for number in range(MOST_ROWS + 1))
    plan = msgspec.structs.replace(samples.PLAN, tests=tests)
    made = [samples.run_started(plan, [f"cli:{test.id}" for test in tests])]
    for test in tests[1:]:
        made += samples.passed(f"cli:{test.id}")
    found = samples.reported(plan, events(made))
    lines = render_table(found, "terminal").splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["T0", "x", "error"]
    assert lines[2] == f"({MOST_ROWS} tests that passed are not shown here)"
    assert render_table(found, "markdown").count("\n") == MOST_ROWS + 2


@pytest.mark.parametrize("title", ["long " * 40, "広い" * 60, "e\u0301" * 100])
def test_titles_are_cut_to_the_width_of_the_terminal(title):
    plan = msgspec.structs.replace(samples.PLAN, tests=(plans.Test("T", title, ("cli",)),))
    found = samples.reported(plan, events([samples.run_started(plan, ["cli:T"]), *samples.passed("cli:T")]))
    assert max(map(samples.columns, render_table(found, "terminal", 80).splitlines())) <= 80
    assert "…" in render_table(found, "terminal", 80)
    assert "…" not in render_table(found, "terminal")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_part_of_a_ledger_gives_one_row_for_each_selected_task(data):
    made = samples.everything()
    kept = [one for one in made[1:] if data.draw(st.booleans())]
    found = report(made[0], *kept)
    assert [one.task for one in found.rows] == samples.SELECTION
    assert sum(counts(found.rows).values()) == len(samples.SELECTION)
    assert found == report(made[0], *kept)
