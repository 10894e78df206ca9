"""A step that a person types while a test is paused: read as in the spec, and compiled as the last step of its test."""

from __future__ import annotations

import pytest

from orchestra.compiler.build import build
from orchestra.errors import OrchestraError, SpecError, UsageError
from orchestra.verbs.trying import compiled_step, reasons, step_line, typed_step

SPEC = """orchestra: 1
suite: s
methods: {cli: {driver: playwright}}
vars: {word: Save}
blocks: {saved: {params: [name], steps: [click: {role: button, name: "${name}"}, expect: {text: Saved, to: {be: visible}}]}}
tests:
  A:
    matrix: {size: [1, 2]}
    steps: [goto: "http://127.0.0.1/${matrix.size}"]

profiles: {other: {vars: {word: Store}}}
"""


@pytest.fixture
def paused(tmp_path):
    """A project, its plans by profile, and a test of each."""
    (tmp_path / "s.yaml").write_text(SPEC)
    built = build(tmp_path, ["s.yaml"])
    assert not built.diagnostics
    return tmp_path, {plan.profile: plan for plan in built.plans}


@pytest.mark.parametrize(
    "line, written",
    [
        ("click: {text: Save}", "- click: {text: Save}"),
        ("- reload", "- reload"),
        ("reload", "- reload"),
        ("{role: button, name: Save}", "- expect: {role: button, name: Save, to: {be: visible}}"),
        ("- press: Enter # a comment", "- press: Enter"),
    ],
)
def test_a_line_is_a_step_or_a_target(line, written):
    assert step_line(typed_step(line)) == written


@pytest.mark.parametrize(
    "line", ["{", "3", "click: {text: a}, fill: b", "[reload, back]", "{role: button, colour: red}"]
)
def test_another_line_is_refused_with_an_example(line):
    with pytest.raises(UsageError) as refused:
        typed_step(line)
    assert "{text: Saved}" in refused.value.hint


def test_a_step_is_compiled_with_the_names_of_its_test(paused):
    root, plans = paused
    plan = plans[""]
    first, second = plan.tests
    [step] = compiled_step(root, plan, second, {"fill": {"label": "${vars.word}", "value": "${matrix.size}"}})
    assert (step.target.value, step.args["value"]) == ("Save", "2")
    [step] = compiled_step(root, plans["other"], plans["other"].tests[0], {"click": {"text": "${vars.word}"}})
    assert step.target.value == "Store"
    click, expect = compiled_step(root, plan, first, {"use": {"saved": {"name": "Save"}}})
    assert (click.verb, expect.verb, expect.args["within_seconds"]) == ("click", "expect", 5.0)
    [wait] = compiled_step(root, plan, first, {"wait": {"text": "a"}})
    [patient] = compiled_step(root, plan, first, {"wait": {"text": "a", "within_seconds": 30}})
    assert (wait.args["within_seconds"], patient.args["within_seconds"]) == (5.0, 30.0)


def test_a_step_that_does_not_compile_is_refused_with_its_reason(paused):
    root, plans = paused
    plan = plans[""]
    with pytest.raises(SpecError) as refused:
        compiled_step(root, plan, plan.tests[0], {"click": {"text": "${vars.wrd}"}})
    assert "vars.wrd" in reasons(refused.value.diagnostics)[0]
    (root / "s.yaml").write_text(SPEC.replace("  A:", "  C:"))
    with pytest.raises(OrchestraError, match="no test A any more"):
        compiled_step(root, plan, plan.tests[0], "reload")


def test_a_step_reads_the_values_that_tried_steps_have_saved(paused):
    root, plans = paused
    plan = plans[""]
    reads = {"fill": {"label": "a", "value": "${saved.q}"}}
    with pytest.raises(SpecError):
        compiled_step(root, plan, plan.tests[0], reads)
    [step] = compiled_step(root, plan, plan.tests[0], reads, [{"set": {"q": "1"}}])
    assert step.args["value"] == "${saved.q}"


def test_a_word_that_is_no_step_is_reported_without_its_place_in_the_test(paused):
    root, plans = paused
    with pytest.raises(SpecError) as refused:
        compiled_step(root, plans[""], plans[""].tests[0], "garbage")
    assert reasons(refused.value.diagnostics)[0].startswith('"step" is "garbage"; allowed are ')
