"""Every rule has a pair of a spec and what is said about it, to the character; specs without a fault pass."""

from __future__ import annotations

import copy
import json
import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from orchestra.compiler import include, profile
from orchestra.compiler.lower.suite import lower
from orchestra.compiler.rules import RULES, SUITE_RULES, Context, check, check_suites
from orchestra.compiler.rules.graph import cycles
from orchestra.compiler.rules.page import (
    COLLECT_RULES,
    ONE_EDIT,
    PLUGIN_RULES,
    READER_RULES,
    SEVERAL_EDITS,
    SIZE_RULES,
    page,
)
from orchestra.compiler.schema import validate
from orchestra.compiler.schema.violation import RULES as SCHEMA_RULES
from orchestra.diagnostic import Place
from orchestra.verbs.specs import edits_of
from tests.support.golden import check as check_golden
from tests.support.paths import DATA

ERR = DATA / "err" / "rules"
ALL = {**RULES, **SUITE_RULES}


def load(folder, name):
    """A spec that the schema has passed."""
    assembled = include.load(folder, name)
    assert [problem.text() for problem in validate.violations(assembled)] == []
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


def problems_of(root, name):
    """The problems of a spec, and of the suites that stand next to it in this folder under the name of its rule."""
    source = include.load(root, name)
    return check(source.data, source)


def applied(root, name, edit):
    """The spec with one edit."""
    file = root / edit.get("file", name)
    lines = file.read_text(encoding="utf-8").split("\n")
    line, start, end = lines[edit["line"] - 1], edit["column"] - 1, edit["end_column"] - 1
    assert line[start:end] == edit["old"]
    lines[edit["line"] - 1] = line[:start] + edit["new"] + line[end:]
    file.write_text("\n".join(lines), encoding="utf-8")


def like(problem, root):
    """The number of problems with this message on this line of the spec in a folder."""
    here = problems_of(root, problem.place.file)
    return sum((one.place.line, one.message) == (problem.place.line, problem.message) for one in here)


def test_each_edit_alone_fixes_its_problem(tmp_path):
    """The page names the rules that have one, or several."""
    seen: dict[str, set[str]] = {"edit": set(), "edits": set()}
    for rule in sorted(RULES):
        for name in specs_of(rule):
            text = (ERR / name).read_bytes()
            for problem in problems_of(ERR, name):
                found = edits_of(ERR, problem)
                for edit in [*([found["edit"]] if "edit" in found else ()), *found.get("edits", ())]:
                    (tmp_path / name).write_bytes(text)
                    applied(tmp_path, name, edit)
                    assert like(problem, tmp_path) == like(problem, ERR) - 1, (problem, edit)
                for key in found:
                    seen[key].add(rule)
    assert seen["edit"] == set(ONE_EDIT) - set(SCHEMA_RULES)
    assert seen["edits"] == set(SEVERAL_EDITS)


def test_every_rule_has_its_pair_and_its_heading():
    assert {path.name.split(".")[0] for path in ERR.glob("*.yaml")} == set(ALL)
    assert {path.stem for path in ERR.glob("*.out")} == set(ALL)
    headings = re.findall(r"^### (.+)$", page(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(headings) == {*ALL, *SCHEMA_RULES, *READER_RULES, *SIZE_RULES, *COLLECT_RULES, *PLUGIN_RULES}


def test_every_id_that_a_stage_uses_has_a_heading():
    used = {
        found
        for out in DATA.glob("err/**/*.out")
        for found in re.findall(r"\[([a-z0-9]+(?:-[a-z0-9]+)+)\]$", out.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert used >= set(ALL)
    assert used <= {*ALL, *SCHEMA_RULES, *READER_RULES, *SIZE_RULES, *COLLECT_RULES, *PLUGIN_RULES}


@pytest.mark.parametrize("path", sorted(DATA.glob("ok/*.yaml")), ids=lambda path: path.stem)
def test_a_spec_without_a_fault_passes(path):
    assembled = load(path.parent, path.name)
    versions = [assembled, *(profile.apply(assembled, name) for name in assembled.data.get("profiles", {}))]
    for version in versions:
        assert [problem.text() for problem in validate.violations(version)] == []
        assert [problem.text() for problem in check(version.data, version)] == []
    assert check_suites([Context(assembled.data, assembled)]) == []


def test_no_rule_stumbles_over_what_another_one_refuses():
    source = load(DATA / "err" / "mixed", "lost.yaml")
    problems = check(source.data, source)
    check_golden(DATA / "err" / "mixed" / "lost.out", "".join(f"{problem.text()}\n" for problem in problems))
    assert problems == sorted(set(problems))


NODES = st.sampled_from("abcdefgh")


@given(st.dictionaries(NODES, st.lists(NODES, max_size=4), max_size=8))
@example({"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["e"], "e": ["d"]})
def test_cycles_are_found_where_they_are_and_nowhere_else(edges):
    found = list(cycles(edges, str))
    for cycle in found:
        assert len(cycle) == len(set(cycle)) > 1
        assert cycle[0] == min(cycle)
        for node, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert target in edges[node]
    assert bool(found) == any(
        reaches(edges, target, node) for node in edges for target in edges[node] if target != node
    )


def test_a_node_between_two_cycles_is_in_none():
    edges = {"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["e"], "e": ["d"]}
    assert list(cycles(edges, str)) == [["a", "b"], ["d", "e"]]


def test_a_cycle_may_lead_through_a_group_that_waits():
    tests = {"a": {"group": "g"}, "b": {"group": "h", "needs": ["a"]}}
    spec = {"orchestra": 1, "suite": "s", "groups": {"g": {"after": ["h"]}, "h": {}}, "tests": tests}
    (problem,) = RULES["dependency-cycle"](Context(spec, Nowhere()))
    assert problem.message == 'cycle in "needs" and "after": "a" -> group "g" -> "b" -> "a"'


def reaches(edges, start, goal):
    seen, stack = set(), [start]
    while stack:
        node = stack.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            stack += edges.get(node, [])
    return False


@given(st.lists(st.tuples(NODES, NODES), max_size=12), st.permutations("abcdefgh"))
def test_the_order_of_the_tests_does_not_decide_whether_there_is_a_cycle(pairs, order):
    """The short way for specs in order agrees with the graph."""
    tests = {name: {"needs": [need for other, need in pairs if other == name and need != name]} for name in order}
    groups = {"g": {"after": ["h"]}, "h": {}}
    for name in "ab":
        tests[name]["group"] = "g"
    for name in "gh":
        tests[name]["group"] = "h"
    edges = {name: [*test["needs"], *("gh" if name in "ab" else "")] for name, test in tests.items()}
    spec = {"orchestra": 1, "suite": "s", "groups": groups, "tests": tests}
    context = Context(spec, Nowhere())
    assert bool(list(RULES["dependency-cycle"](context))) == bool(list(cycles(edges, str)))


class Nowhere:
    """A source for specs that were never written: the path is the place."""

    def place(self, path, *, key=False):
        return Place(".".join(map(str, path)), 1, 1)


def test_every_file_of_a_spec_is_looked_at_and_named(tmp_path):
    (tmp_path / "part.yaml").write_text(
        "# zero\u200bwidth\ntests:\n  B002: {needs: [B004], steps: [reload]}\n", encoding="utf-8"
    )
    source = write(tmp_path, "include: [part.yaml]\ntests:\n  B001: {needs: [B003], steps: [reload]}\n")
    assert [problem.text().splitlines()[0] for problem in check(source.data, source)] == [
        "part.yaml:1:7: found the invisible character U+200B (zero width space) [invisible-character]",
        'part.yaml:3:18: unknown test "B004" (did you mean "B002"?) [unknown-test]',
        'spec.yaml:5:18: unknown test "B003" (did you mean "B002"?) [unknown-test]',
    ]


def test_a_profile_is_judged_where_it_says_something(tmp_path):
    text = "health: {shop: {url: 'https://a.example', recover: [retry]}}\ntests: {B001: {steps: [reload]}}\n"
    source = write(tmp_path, f"{text}profiles:\n  none: {{health: {{shop: {{recover: [failover]}}}}}}\n")
    applied = profile.apply(source, "none")
    assert check(source.data, source) == []
    assert {(problem.place.line, problem.rule) for problem in check(applied.data, applied)} == {
        (6, "missing-failover"),
        (6, "idle-step"),
    }


def test_a_hundred_mistakes_are_shown_at_once(tmp_path):
    tests = "".join(
        f"  T{number}: {{needs: [U{number}], steps: [{{press: '${{lost{number}}}'}}]}}\n" for number in range(100)
    )
    source = write(tmp_path, f"tests:\n{tests}")
    problems = check(source.data, source)
    assert len(problems) == 200
    assert problems == sorted(problems)


def test_the_rules_pass_over_a_very_long_spec_without_a_word():
    """Ten thousand tests in a chain, against the spec's order, so that the whole graph is walked."""
    names = [f"T{number:05}" for number in range(10_000)]
    tests = {name: {"needs": [need], "steps": ["reload"]} for name, need in pairwise(names)}
    tests[names[-1]] = {"steps": ["reload"]}
    spec = {"orchestra": 1, "suite": "s", "tests": tests}
    assert list(RULES["dependency-cycle"](Context(spec, Nowhere()))) == []
    tests[names[-1]]["needs"] = [names[0]]
    (problem,) = RULES["dependency-cycle"](Context(spec, Nowhere()))
    assert problem.message.count("->") == 10_000


PASSED_OVER = {
    "a component of two ways and one unknown": (
        (
            "health:\n  base: {service: {run: [base]}, shared: true}\n  left: {needs: [base], service: {run: [left]}, shared: true}\n"
            "  right: {needs: [base, left, lost], service: {run: [right]}, shared: true}\ntests: {B001: {steps: [reload]}}\n"
        ),
        ["unknown-component"],
    ),
    "a renewal between the methods of a suite with one": (
        "health: {seed: {job: {run: [seed]}, between_methods: [restart]}}\ntests: {B001: {steps: [reload]}}\n",
        ["idle-renewal"],
    ),
    "a block that uses itself, after a page": (
        "blocks: {open: {steps: [{page: {as: t}}, {use: open}]}}\ntests: {B001: {steps: [{use: open}, close_page]}}\n",
        ["block-cycle"],
    ),
    "a browser that there is not": (
        "tests: {B001: {matrix: {browser: [opera]}, emulate: {device: Pixel 7}, steps: [reload]}}\n",
        ["matrix-value"],
    ),
}


@pytest.mark.parametrize("case", PASSED_OVER)
def test_a_rule_passes_over_what_another_reports(case, tmp_path):
    text, rules = PASSED_OVER[case]
    source = write(tmp_path, text)
    assert [problem.rule for problem in check(source.data, source)] == rules


WHOLE = include.load(DATA / "ok", "steps.yaml").data


def test_a_name_that_a_component_does_not_have_is_no_matter_of_order():
    rows = {"worker": {"service": {"run": ["work"]}}, "reader": {"service": {"run": ["read", "${worker.pid}"]}}}
    spec = {"orchestra": 1, "suite": "s", "health": rows, "tests": {}}
    assert list(RULES["unordered-address"](Context(spec, Nowhere()))) == []


def parts(value, path=()):
    """The paths of everything below a value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from parts(item, (*path, key))


def holder(spec, path):
    for key in path[:-1]:
        spec = spec[key]
    return spec


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(
    choices=st.lists(st.tuples(st.booleans(), st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=4)
)
def test_no_spec_is_too_strange_for_the_rules_and_what_they_pass_can_be_lowered(tmp_path, choices):
    """Parts of a whole spec are taken out, or put in the place of others; what the schema still passes is judged."""
    spec = copy.deepcopy(WHOLE)
    for remove, one, other in choices:
        paths = list(parts(spec))
        to = paths[one % len(paths)]
        if remove:
            del holder(spec, to)[to[-1]]
        else:
            alike = [path for path in paths if path[-1] == to[-1] or path[-2:-1] == to[-2:-1]]
            source = alike[other % len(alike)]
            holder(spec, to)[to[-1]] = copy.deepcopy(holder(spec, source)[source[-1]])
    assume(validate._validator().is_valid(spec))
    (tmp_path / "strange.yaml").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    assembled = include.load(tmp_path, "strange.yaml")
    if not check(assembled.data, assembled):
        lower(assembled.data)
