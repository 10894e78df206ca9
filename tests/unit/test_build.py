"""All stages together: every problem of every file at once, sorted, with the profile that it is of."""

from __future__ import annotations

import pytest

from orchestra.compiler.build import build
from orchestra.errors import UsageError
from tests.support.golden import check
from tests.support.paths import DATA

ERR = DATA / "err" / "cli"
GOOD = 'orchestra: 1\nsuite: {}\ntests: {{T: {{command: {{argv: ["true"]}}}}}}\nmethods: {{cli: {{driver: command, command: test_{}}}}}\n'


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def said(built):
    return "".join(problem.text() + "\n" for problem in built.diagnostics)


def test_plans_of_several_specs(write):
    root = write(a=GOOD.format("a", "a"), b=GOOD.format("b", "b") + "profiles: {p: {vars: {x: 1}}}\n")
    built = build(root, ["b.yaml", "a.yaml"])
    assert [(plan.suite, plan.profile) for plan in built.plans] == [("b", ""), ("b", "p"), ("a", "")]
    assert built.diagnostics == ()
    assert [spec.paths for spec in built.specs] == [("b.yaml",), ("a.yaml",)]


def test_every_problem_of_every_file_at_once(write):
    root = write(
        good=GOOD.format("good", "good"),
        schema='orchestra: 1\nsuite: Wrong\ntests: {T: {comand: {argv: ["true"]}}}\n',
        rules='orchestra: 1\nsuite: rules\ntests: {T: {needs: [X], command: {argv: ["true"]}}, U: {group: g, command: {argv: ["true"]}}}\n',
        yaml="orchestra: 1\nsuite: [\n",
        number='orchestra: 1\nsuite: number\nvars: {w: soon}\ntests: {T: {steps: [{goto: "https://a.example/"}, {wait: {css: p, within_seconds: "${vars.w}"}}]}}\n',
        part="orchestra: 1\nsuite: part\ninclude: [gone.yaml]\ntests: {}\n",
    )
    built = build(root, ["yaml.yaml", "schema.yaml", "rules.yaml", "part.yaml", "number.yaml", "good.yaml"])
    assert built.plans == ()
    assert list(built.diagnostics) == sorted(built.diagnostics)
    assert [spec.paths for spec in built.specs] == [("good.yaml",)]
    check(ERR / "many-files.out", said(built))


def test_a_problem_of_a_profile_says_so_and_stands_where_the_profile_is(write):
    root = write(
        s="""\
orchestra: 1
suite: s
profiles:
  wrong: {tests: {T: {needs: [gone]}}}
  worse: {tests: {T: {timeout_seconds: soon}}}
  slow: {vars: {w: late}}
  fine: {vars: {w: 2}}
vars: {w: 1}
tests:
  T: {steps: [{goto: "https://a.example/"}, {wait: {css: p, within_seconds: "${vars.w}"}}]}
""",
    )
    built = build(root, ["s.yaml"])
    assert built.plans == ()
    check(ERR / "profiles.out", said(built))


def test_an_included_file_is_named(write):
    root = write(
        s="orchestra: 1\nsuite: s\ninclude: [part.yaml]\ntests: {T: {needs: [P], command: {argv: [x]}}}\n",
        part="tests: {P: {group: gone, command: {argv: [x]}}}\n",
    )
    built = build(root, ["s.yaml"])
    assert [str(problem.place) for problem in built.diagnostics] == ["part.yaml:1:20"]
    (root / "part.yaml").write_text("tests: {P: {command: {argv: [x]}}}\n")
    [plan] = build(root, ["s.yaml"]).plans
    assert plan.sources == ("s.yaml", "part.yaml")
    assert [test.id for test in plan.tests] == ["P", "T"]


def test_two_specs_of_one_suite(write):
    root = write(a=GOOD.format("same", "a"), b=GOOD.format("same", "b"))
    assert [problem.rule for problem in build(root, ["a.yaml", "b.yaml"]).diagnostics] == ["suite-id"]


def test_a_missing_file_is_a_mistake_of_the_command_line(write):
    with pytest.raises(UsageError, match=r'the spec "gone\.yaml"'):
        build(write(), ["gone.yaml"])
