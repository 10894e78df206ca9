"""Conditions of gates: what is refused at which column, and what the others are worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.gates import catalogue, expression
from orchestra.gates.catalogue import METRICS, Members
from orchestra.gates.expression import EvaluationError, NotApplicable, Problem, check_expression, evaluate

EXAMPLE = {"int": 3, "double": 0.5, "string": "healthy", "bool": True}


def judge(expression, phase="after"):
    members = Members(("backend",), ("cli", "mcp"), ("good", "slow"), ("basics",), ("B015", "B016"))
    return check_expression(expression, members, phase)


def test_the_page_lists_every_metric():
    for name, metric in METRICS.items():
        assert f"| `{name}` | {metric.type} |" in catalogue.page()


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_example_is_valid_and_has_a_value(metric):
    for phase in metric.phases:
        assert judge(metric.example, phase) == []
    (name,) = expression.names_in(metric.example)
    assert catalogue.metric_of(name) == metric
    assert evaluate(metric.example, {name: EXAMPLE[metric.type]}) in {True, False}
    assert evaluate(metric.example, {}) == NotApplicable((name,))


def test_counts_are_whole_numbers_and_ratios_are_not():
    for metric in METRICS.values():
        assert metric.type == "double" or metric.unit not in {"0 to 1", "percent", "seconds"}
        assert metric.type == "int" or metric.unit not in {"tests", "attempts", "megabytes"}


@pytest.mark.parametrize(
    "expression, offset, message, hint",
    [
        ("cpu_percent < 90", 12, '"<" cannot stand between double and int', "write 90.0"),
        ("90 > cpu_percent", 3, '">" cannot stand between int and double', "write 90.0"),
        ("failed <= 5.0", 7, '"<=" cannot stand between int and double', "write 5"),
        ("failed > 0 && (85 > cpu_percent)", 18, '">" cannot stand between int and double', "write 85.0"),
        ("cpu_percent < 90 || failed > 0", 12, '"<" cannot stand between double and int', "write 90.0"),
        (
            "failed + 1 > cpu_percent",
            11,
            '">" cannot stand between int and double',
            "convert one of them: double(failed)",
        ),
        ("failed > cpu_percent", 7, '">" cannot stand between int and double', "convert one of them: double(failed)"),
        ("health.backend == 3", 15, '"==" cannot stand between string and int', 'compare a text with a text: "3"'),
        ('failed > "x"', 7, '">" cannot stand between int and string', "docs/metrics.md has the types of all metrics"),
        ("!failed", 0, '"!" cannot stand before int', "docs/metrics.md has the types of all metrics"),
        ("size(failed) > 3", 4, '"size" cannot be applied to (int)', "docs/metrics.md has the types of all metrics"),
        ("fail <= 5", 0, 'unknown metric "fail" (did you mean "failed"?)', "docs/metrics.md lists them"),
        ("xyz.w && true", 0, 'unknown metric "xyz.w"', "docs/metrics.md lists them"),
        (
            'failed == 0 && health.backnd == "x"',
            15,
            'unknown metric "health.backnd" (did you mean "health.backend"?); there are "health.backend"',
            "",
        ),
        (
            "group.basic.seconds_p95 < 2.0",
            0,
            (
                'unknown metric "group.basic.seconds_p95" (did you mean "group.basics.seconds_p95"?); there are '
                '"group.basics.seconds_p50", "group.basics.seconds_p95"'
            ),
            "",
        ),
        ("class.quite_other == 0", 0, 'unknown metric "class.quite_other"; there are "class.good", "class.slow"', ""),
        ("failed <=", 9, "the condition cannot be read at its end", expression.CEL_EXAMPLE),
        ("", 0, "the condition cannot be read at its end", expression.CEL_EXAMPLE),
        ("failed <= 5 and true", 12, 'the condition cannot be read near "and true"', expression.CEL_EXAMPLE),
        ("failed", 0, "the condition gives a whole number; wanted is true or false", "compare it: failed <= 5"),
        ("health.backend", 0, "the condition gives a text; wanted is true or false", "compare it: failed <= 5"),
        ("[failed]", 0, "the condition gives something else; wanted is true or false", "compare it: failed <= 5"),
        ("'failed' == 'failed' // failed", 0, "the condition reads no metric, so its result never changes", None),
        ('"äö" != fail', 8, 'unknown metric "fail" (did you mean "failed"?)', "docs/metrics.md lists them"),
    ],
)
def test_a_wrong_condition_is_refused_at_its_column(expression, offset, message, hint):
    (problem,) = judge(expression)
    assert (problem.offset, problem.message) == (offset, message)
    assert hint in {problem.hint, None}


def test_of_many_tests_the_nearest_is_named_alone():
    members = Members(test=tuple(f"B{number:03}" for number in range(100)))
    (problem,) = check_expression("test.B016.seconds_mx < 2.0", members, "after")
    assert problem.message == 'unknown metric "test.B016.seconds_mx" (did you mean "test.B016.seconds_max"?)'
    assert problem.hint == "docs/metrics.md lists them"


@pytest.mark.parametrize(
    "test, is_so", [("B016", True), ("front_page", True), ("B-1", False), ("é", False), ("1", False)]
)
def test_an_id_that_can_be_a_part_of_a_name(test, is_so):
    assert catalogue.nameable(test) is is_so


def test_every_problem_is_shown_with_its_line():
    problems = judge("fail == 0\n  && eror == 0 && cpu_percent > 1")
    assert [problem.offset for problem in problems] == [0, 15, 40]


def test_a_metric_is_refused_where_it_has_no_value():
    assert judge("failed == 0 && cpu_percent < 90.0 && agreement > 0.5", "before") == [
        Problem(0, 'the metric "failed" has no value before the tests', "evaluate it during or after"),
        Problem(37, 'the metric "agreement" has no value before the tests', "evaluate it after"),
    ]


def test_a_missing_metric_matters_only_when_the_rest_does_not_decide():
    condition = "failed == 0 || agreement >= 0.95"
    assert evaluate(condition, {"failed": 0}) is True
    assert evaluate(condition, {"failed": 1}) == NotApplicable(("agreement",))
    assert evaluate(condition, {"failed": 1, "agreement": 0.5}) is False
    assert evaluate("failed == 0 && agreement >= 0.95", {"failed": 1}) is False


def test_a_whole_number_will_do_for_a_ratio():
    assert (
        evaluate("pass_rate >= 1.0 && method.cli.pass_rate >= 1.0", {"pass_rate": 1, "method.cli.pass_rate": 1}) is True
    )


@pytest.mark.parametrize(
    "condition, values",
    [("1 / failed > 0", {"failed": 0}), ("failed + 1 > 0", {"failed": 2**63 - 1}), ("failed > 0", {"failed": "x"})],
)
def test_a_condition_without_a_value_is_an_error(condition, values):
    with pytest.raises(EvaluationError):
        evaluate(condition, values)


@pytest.mark.parametrize(
    "condition, message",
    [
        (f"failed == {'1' * 2000}", "the condition has 2010 letters, at most 2000 are allowed"),
        (
            f"{'(' * 100}failed == 1{')' * 100}",
            "the condition cannot be read: Expression recursion limit exceeded. limit: 32",
        ),
    ],
)
def test_a_condition_has_a_size(condition, message):
    assert judge(condition)[0][:2] == (0, message)


def test_names_are_read_outside_of_texts_and_comments():
    condition = (
        """failed > 0 && health.backend != "total" && r'\\' != 'err\\'or' && '''flaky''' != \"\"\"x\"\"\" // retries"""
    )
    assert expression.names_in(condition) == ("failed", "health.backend")


@given(st.text(alphabet=st.sampled_from("failed<=5&|!()\"' .\n\r0é"), max_size=30))
def test_any_text_is_judged_with_places_inside_of_it(text):
    for problem in judge(text):
        assert 0 <= problem.offset <= len(text)
        assert problem.message
