"""Every rule has a pair of a spec and what is said about it, to the character; specs without a fault pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden import check as check_golden

from orchestra.compiler import include, profile, schema
from orchestra.compiler.rules import RULES, SUITE_RULES, Context, check, check_suites
from orchestra.compiler.rules.graph import cycles
from orchestra.compiler.rules.page import READER_RULES, page
from orchestra.compiler.violation import RULES as SCHEMA_RULES

DATA = Path(__file__).parent / "data"
ERR = DATA / "err" / "rules"
PAGE = Path(__file__).parent.parent / "docs" / "rules.md"
ALL = {**RULES, **SUITE_RULES}


def load(folder, name):
    """A spec that the schema has passed."""
    assembled = include.load(folder, name)
    assert [problem.text() for problem in schema.judge(assembled)] == []
    return assembled


def write(folder, text, name="spec.yaml"):
    (folder / name).write_text(f"orchestra: 1\nsuite: shop\n{text}", encoding="utf-8")
    return load(folder, name)


def specs_of(rule):
    """The specs of a rule: `rule.yaml`, `rule.variant.yaml`."""
    return sorted(path.name for path in [*ERR.glob(f"{rule}.yaml"), *ERR.glob(f"{rule}.*.yaml")])


@pytest.mark.parametrize("rule", sorted(ALL))
def test_a_rule_says_to_the_character_what_is_wrong(rule):
    contexts = [Context(source.data, source) for source in (load(ERR, name) for name in specs_of(rule))]
    if rule in SUITE_RULES:
        problems = check_suites(contexts)
    else:
        problems = [problem for context in contexts for problem in check(context.spec, context.source)]
    check_golden(ERR / f"{rule}.out", "".join(f"{problem.text()}\n" for problem in problems))
    assert problems
    assert {problem.rule for problem in problems} == {rule}, "another rule has something to say about this spec"


def test_every_rule_has_its_pair_and_its_heading():
    assert {path.name.split(".")[0] for path in ERR.glob("*.yaml")} == set(ALL)
    assert {path.stem for path in ERR.glob("*.out")} == set(ALL)
    headings = re.findall(r"^### (.+)$", page(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(headings) == {*ALL, *SCHEMA_RULES, *READER_RULES}


def test_every_id_that_a_stage_uses_has_a_heading():
    used = {
        found
        for out in DATA.glob("err/**/*.out")
        for found in re.findall(r"\[([a-z0-9]+(?:-[a-z0-9]+)+)\]$", out.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert used >= set(ALL)
    assert used <= {*ALL, *SCHEMA_RULES, *READER_RULES}


def test_the_page_is_what_the_docstrings_say():
    check_golden(PAGE, page())


@pytest.mark.parametrize("path", sorted(DATA.glob("ok/*.yaml")), ids=lambda path: path.stem)
def test_a_spec_without_a_fault_passes(path):
    assembled = load(path.parent, path.name)
    versions = [assembled, *(profile.apply(assembled, name) for name in assembled.data.get("profiles", {}))]
    for version in versions:
        assert [problem.text() for problem in schema.judge(version)] == []
        assert [problem.text() for problem in check(version.data, version)] == []
    assert check_suites([Context(assembled.data, assembled)]) == []


def test_no_rule_stumbles_over_what_another_one_refuses():
    source = load(DATA / "err" / "mixed", "lost.yaml")
    problems = check(source.data, source)
    check_golden(DATA / "err" / "mixed" / "lost.out", "".join(f"{problem.text()}\n" for problem in problems))
    assert problems == sorted(set(problems))
