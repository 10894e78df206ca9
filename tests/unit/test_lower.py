"""What a spec becomes: a golden plan for each feature, and what holds for any spec."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra import names, plan, plan_file
from orchestra.compiler.build import Built, build
from orchestra.compiler.lower.suite import lower
from orchestra.compiler.lower.tests import lower_test
from orchestra.compiler.rules.references import RUN_NAMES
from orchestra.steps.step import Step
from tests.support.golden import check
from tests.support.paths import DATA

SPECS = DATA / "lower"
FEATURES = sorted(path.stem for path in SPECS.glob("*.yaml"))


def shown(one: plan.Plan) -> str:
    """A plan for people: all but its digest, one key a line."""
    data = msgspec.to_builtins(msgspec.structs.replace(one, source_digest=""))
    return json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def built(folder: Path, text: str) -> Built:
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return build(folder, ["s.yaml"])


def plan_of(folder: Path, text: str) -> plan.Plan:
    made = built(folder, text)
    assert not made.diagnostics, "\n".join(problem.text() for problem in made.diagnostics)
    return made.plans[0]


@pytest.mark.parametrize("name", FEATURES)
def test_feature(name):
    made = build(SPECS, [f"{name}.yaml"])
    assert not made.diagnostics, "\n".join(problem.text() for problem in made.diagnostics)
    check(SPECS / f"{name}.json", "".join(map(shown, made.plans)))
    assert all(map(is_as_stored, made.plans))


def is_as_stored(one: plan.Plan) -> bool:
    """Whether a plan, read back from its file, is the same to the byte: what is a default is left out by identity."""
    written = plan.encode(one)
    return plan.encode(msgspec.json.decode(written, type=plan.Plan)) == written


def test_a_quarantine_is_of_the_whole_test_unless_it_names_cases(tmp_path):
    text = """\
orchestra: 1
suite: s
title: S
methods: {cli: {driver: command}}
tests:
  A: {title: a, command: {argv: ["true"]}, quarantine: {owner: ana, until: 2031-01-01, reason: slow}}
  B: {title: b, command: {argv: ["true"]}}
"""
    first, second = plan_of(tmp_path, text).tests
    assert (first.quarantine, second.quarantine) == (plan.Quarantine("ana", "2031-01-01", "slow", ()), None)


def test_what_says_a_default_is_as_if_it_said_nothing(tmp_path):
    """A text of the spec is another object than the default that it equals."""
    text = """\
orchestra: 1
suite: s
methods: {cli: {driver: playwright}, mcp: {driver: mcp, session: {reset: storage}, poll_seconds: 10}}
health:
  web: {url: "https://a.example", ready: {http: {path: /}, within_seconds: 60}}
  job: {job: {run: [x], cwd: ., timeout_seconds: 300}}
  own: {service: {run: [x], cwd: ., host: 127.0.0.1, stop: {signal: TERM, grace_seconds: 5}}}
gates: {after: {g: {require: 'pass_rate >= 1.0', on_fail: block, severity: error}}}
tests:
  T:
    browser: chromium
    evidence: on_failure
    timeout_seconds: 120
    retries: {max: 0}
    steps: [{goto: "https://a.example"}, {click: {text: p, exact: false}}]
  C: {command: {argv: [x], cwd: ., exit_codes: [0]}}
"""
    one = plan_of(tmp_path, text)
    assert is_as_stored(one)
    [test] = [test for test in one.tests if test.id == "T"]
    assert set(json.loads(plan.encode(test))) == {"id", "methods", "retries", "steps", "title"}


# ------------------------------------------------------------------------------------------------- what always holds
IDS = st.sampled_from(["A1", "B.2", "c-3", "D_4", "e5", "F6", "0g", "H"])
SCALARS = st.sampled_from(["NVDA", 5, 1.5, True, "two words", "a+b"])


@st.composite
def specs(draw):
    """A spec that schema and rules pass: any graph without a circle, groups, matrices, blocks in blocks, late names."""
    order = draw(st.permutations(draw(st.lists(IDS, min_size=1, max_size=6, unique=True))))
    groups = draw(st.lists(st.sampled_from(["g1", "g2", "g3"]), max_size=3, unique=True))
    rank = {test: draw(st.integers(0, len(groups))) for test in order}
    order = sorted(order, key=lambda test: rank[test])
    written = draw(st.permutations(order))
    tests = {}
    for test in written:
        before = order[: order.index(test)]
        entry = {"title": draw(st.sampled_from(["plain", "${vars.v} $${x}", "é😀 <|>`"]))}
        for key in ("needs", "after"):
            names_ = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
            entry[key] = [name for name in names_ if key == "needs" or name not in entry["needs"]]
        if rank[test]:
            entry["group"] = groups[rank[test] - 1]
        if draw(st.booleans()):
            entry["matrix"] = {"m": draw(st.lists(SCALARS, min_size=1, max_size=3, unique_by=str))}
        value = "${matrix.m}" if "matrix" in entry else "x"
        kind = draw(st.sampled_from(["steps", "command", "use"]))
        if kind == "command":
            entry["command"] = {"argv": ["run", value, "${web.url}", "${env.HOME}"]}
        elif kind == "use":
            entry["use"] = {"program": {"word": draw(st.one_of(st.just(value), SCALARS))}}
        else:
            entry["steps"] = [
                {"goto": "${web.url}/" + value},
                {"use": {"outer": {"text": draw(st.one_of(st.just(value), st.just("${vars.v}"), SCALARS))}}},
                {"http": {"GET": "/", "base": "api", "save": {"kept": "$.a"}}},
                {"fill": {"label": "${saved.kept}", "value": "${test.id} ${method.id} ${attempt.dir}"}},
            ]
        tests[test] = entry
    return {
        "orchestra": 1,
        "suite": "any",
        "vars": {"v": draw(SCALARS)},
        "methods": {"cli": {"driver": "playwright"}},
        "health": {
            "web": {"url": "http://127.0.0.1:1"},
            "api": {"needs": ["web"], "service": {"run": ["x", "${port}", "${web.url}"], "port": 2000}},
        },
        "groups": {name: {"after": groups[:index]} for index, name in enumerate(groups)},
        "blocks": {
            "outer": {
                "params": ["text"],
                "steps": [{"use": {"inner": {"word": "<${text}>"}}}, {"click": {"text": "${text}"}}],
            },
            "inner": {"params": ["word"], "steps": [{"fill": {"label": "a", "value": "${word} ${vars.v}"}}]},
            "program": {"params": ["word"], "command": {"argv": ["run", "${word}"], "cwd": "."}},
        },
        "tests": tests,
    }


LATE = re.compile(r"(?:web|api)\.(?:url|host|port)|port|env\.\w+|saved\.\w+")


def late_names(value):
    if isinstance(value, str):
        yield from (reference.name for reference in names.references(value))
    elif isinstance(value, dict):
        for item in value.values():
            yield from late_names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from late_names(item)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(specs())
def test_any_valid_spec(tmp_path, spec):
    text = json.dumps(spec, ensure_ascii=False)
    one = plan_of(tmp_path, text)

    ids = [test.id for test in one.tests]
    assert len(ids) == len(set(ids))
    assert {test.of or test.id for test in one.tests} == set(spec["tests"])
    seen: set[str] = set()
    group_of = {test.id: test.group for test in one.tests}
    for test in one.tests:
        assert seen >= {*test.needs, *test.after}, "each test comes after what it waits for"
        for group in one.groups:
            if group.id == test.group:
                assert seen >= {other for other in ids if group_of[other] in group.after}
        seen.add(test.id)
    assert seen == set(ids), "no test is lost"

    unknown = {
        name for name in late_names(msgspec.to_builtins(one)) if name not in RUN_NAMES and not LATE.fullmatch(name)
    }
    titles = {reference.name for test in one.tests for reference in names.references(test.title)}
    assert unknown <= titles, "a title is final; everything else holds only names that a run knows"

    stored = plan_file.dump(one, whole=True)
    read = plan_file.load(stored, "plan.json")
    assert read == one
    assert read.digest() == one.digest()
    assert plan_file.dump(read, whole=True) == stored

    again = plan_of(tmp_path, "# a comment\n" + json.dumps(spec, indent=3, ensure_ascii=False) + "\n\n# the end\n")
    assert again.source_digest != one.source_digest
    assert again.digest() == one.digest()


def test_what_is_said_and_what_is_left_out_mean_the_same(tmp_path):
    short = 'orchestra: 1\nsuite: s\ntests: {T: {steps: [{goto: "https://a.example/"}]}}\n'
    long = """
orchestra: 1
suite: s
title: s
methods: {cli: {title: cli, driver: playwright, workers: auto, parallel: false, command: test_cli_full}}
speed: {good: {below_seconds: 30, mark: "😊"}, ok: {below_seconds: 60.0, mark: "😐"}, slow: {mark: "😴"}}
baseline: {window: 20, min_runs: 5, slower_ratio: 1.25, slower_seconds: 0.5, confirm: 3}
tests: {T: {title: T, timeout_seconds: 120, browser: chromium, evidence: on_failure, steps: [{goto: {url: "https://a.example/"}}]}}
"""
    assert plan_of(tmp_path, short).digest() == plan_of(tmp_path, long).digest()


def test_crlf_is_the_same_source(tmp_path):
    text = 'orchestra: 1\nsuite: s\ntests: {T: {command: {argv: ["true"]}}}\n'
    one = plan_of(tmp_path, text)
    (tmp_path / "s.yaml").write_bytes(text.replace("\n", "\r\n").encode())
    assert build(tmp_path, ["s.yaml"]).plans[0].source_digest == one.source_digest


def test_a_change_of_meaning_changes_the_plan_digest(tmp_path):
    text = 'orchestra: 1\nsuite: s\ntests: {T: {command: {argv: ["true"]}}}\n'
    one = plan_of(tmp_path, text)
    assert plan_of(tmp_path, text.replace("true", "false")).digest() != one.digest()


def test_moved_outputs_are_the_same_plan(tmp_path):
    text = 'orchestra: 1\nsuite: s\ntests: {T: {command: {argv: ["true"]}}}\n'
    one = plan_of(tmp_path, text)
    assert plan_of(tmp_path, text + "compile: {docs: other.md}\n").digest() == one.digest()


def test_a_test_can_be_lowered_alone():
    spec = {"orchestra": 1, "suite": "s", "tests": {"T": {"command": {"argv": ["a"]}}}}
    [test] = lower_test(spec, "T", {"T": ("T",)}, {})
    assert test == lower(spec).tests[0]
    assert test.methods == ("cli",)


def test_a_late_name_out_of_a_variable_is_shown_in_a_title(tmp_path):
    one = plan_of(
        tmp_path,
        'orchestra: 1\nsuite: s\nvars: {home: "${web.url}/"}\nhealth: {web: {url: "http://127.0.0.1:1"}}\n'
        'tests: {T: {title: "on ${vars.home}", steps: [{goto: "${vars.home}"}]}}\n',
    )
    assert one.tests[0].title == "on ${web.url}/"
    assert one.tests[0].requires == ("web",)


def test_a_number_that_a_name_stands_for_is_judged_where_it_is_used(tmp_path):
    text = """
orchestra: 1
suite: s
vars: {soon: soon, none: 0, five: 5}
blocks:
  hold:
    params: [seconds, nth]
    steps:
      - wait: {css: p, nth: "${nth}", within_seconds: "${seconds}", unless: {css: e, nth: "${nth}", within: {css: m}}}
  look: {params: [many], steps: [{expect: {css: p, to: {have_count: "${many}", not: {have_count: 3}}}}, {use: {hold: {seconds: "${many}", nth: "${many}"}}}]}
tests:
  T1:
    steps:
      - use: {hold: {seconds: 5, nth: 1}}
      - use: {hold: {seconds: true, nth: 1.5}}
      - use: {look: {many: two}}
      - use: {look: {many: "${vars.five}"}}
      - click: {css: a, within: {css: b, nth: "${vars.soon}"}}
      - expect: {look: a, max_diff_ratio: "${vars.five}", threshold: "${vars.none}", mask: [{css: a}, {css: b, nth: "${vars.soon}"}]}
      - evaluate: {script: "() => 1", save: k}
      - viewport: {width: "${vars.none}", height: "${saved.k}"}
methods: {cli: {driver: playwright, mock: [{url: "**", status: 200}, {url: "**", delay_ms: "${vars.soon}"}]}}
"""
    made = built(tmp_path, text)
    assert made.plans == ()
    check(
        SPECS.parent / "err" / "cli" / "number-value.out",
        "".join(problem.text() + "\n" for problem in made.diagnostics),
    )


def test_expected_pictures_are_an_input_of_a_test_that_has_inputs(tmp_path):
    text = """
orchestra: 1
suite: s
tests:
  T1: {inputs: [a/*.py], steps: [{expect: {look: a}}]}
  T2: {inputs: [a/*.py], steps: [{reload: {}}]}
  T3: {steps: [{expect: {look: a}}]}
  T4: {inputs: [a/*.py, a.har], steps: [{har: a.har}, {mock: {url: "**", file: b.json}}, {upload: {css: a, files: [c, "${env.D}"]}}]}
  T5: {inputs: [a], steps: [{mock: {url: "**", body: b}}, {http: {POST: "https://a", multipart: {a: b, c: {file: e}}}}]}
"""
    inputs = {test.id: test.inputs for test in plan_of(tmp_path, text).tests}
    assert inputs == {
        "T1": ("a/*.py", "specs/looks/s/T1/**"),
        "T2": ("a/*.py",),
        "T3": (),
        "T4": ("a/*.py", "a.har", "b.json", "c"),
        "T5": ("a", "e"),
    }


def test_the_har_of_a_method_is_for_its_tests_with_a_page(tmp_path):
    text = """
orchestra: 1
suite: s
vars: {name: api}
health: {shop: {url: "http://127.0.0.1:8000"}, other: {url: "http://127.0.0.1:8001"}}
methods:
  cli: {driver: playwright, har: "${vars.name}.har", mock: [{url: "**/a", abort: failed}, {url: "**/${vars.name}", status: 201}]}
  mcp: {driver: mcp, har: {file: "${test.id}.har", url: "${shop.url}/**", update: true}}
  live: {driver: playwright}
tests:
  T1: {inputs: [a/*.py], steps: [reload]}
  T2: {methods: [cli, live], steps: [reload]}
  T3: {steps: [{http: {GET: "https://a"}}]}
"""
    plan = plan_of(tmp_path, text)
    tests = {test.id: test for test in plan.tests}
    asked = {"url": "**", "not_found": "abort", "update": False}
    replayed = Step("har", ("/methods/cli/har",), None, {**asked, "file": "api.har"})
    recorded = {"file": "${test.id}.har", "url": "${shop.url}/**", "not_found": "abort", "update": True}
    mcp = Step("har", ("/methods/mcp/har",), None, recorded)
    usual = {"headers": {}, "delay_ms": 0}
    mocks = (
        Step("mock", ("/methods/cli/mock/0",), None, {"status": 200, **usual, "url": "**/a", "abort": "failed"}),
        Step("mock", ("/methods/cli/mock/1",), None, {"status": 201, **usual, "url": "**/api"}),
    )
    assert {test: one.substitutes_by for test, one in tests.items()} == {
        "T1": {"cli": (replayed, *mocks), "mcp": (mcp,)},
        "T2": {"cli": (replayed, *mocks)},
        "T3": {},
    }
    assert (tests["T1"].requires, tests["T2"].requires) == (("shop",), ())
    assert tests["T1"].inputs == ("a/*.py", "api.har")
    assert plan.digest() != plan_of(tmp_path, text.replace("api}", "app}")).digest()


def test_expectations_that_turn_out_to_be_empty(tmp_path: Path):
    text = """
orchestra: 1
suite: shop
vars: {nothing: "", word: NVDA}
blocks:
  says: {params: [text], steps: [{expect: {testid: reply, to: {contain: "${text}"}}}]}
tests:
  B001:
    steps:
      - expect: {testid: reply, to: {contain: ""}}
      - expect: {testid: reply, to: {have_text: "", match: "", have_class: " ", not: {contain: " "}}}
      - expect: {page: {url: {contain: ""}, title: {not: {match: "a*"}}}}
      - expect: {testid: reply, to: {contain: "${vars.nothing}"}}
      - download: {testid: export, as: a.txt, expect: {text: {contain: "", match: "(?:x|)"}}}
      - use: {says: {text: ""}}
      - use: {says: {text: "${vars.word}"}}
      - dialog: {accept: true, message: {contain: "", match: ".*"}, default_value: {match: "^"}}
      - dialog: {accept: true, message: ""}
  B002:
    steps:
      - expect: {testid: reply, to: {match: "^$"}}
      - expect: {testid: reply, to: {match: "^(?!error)"}}
      - set: {word: ""}
      - expect: {testid: reply, to: {contain: "${saved.word}"}}
      - download: {testid: export, as: a.txt, expect: {text: {contain: " "}}}
"""
    made = built(tmp_path, text)
    assert made.plans == ()
    check(
        SPECS.parent / "err" / "cli" / "always-true.out",
        "".join(problem.text() + "\n" for problem in made.diagnostics),
    )


def test_a_har_file_that_several_tests_record(tmp_path: Path):
    text = """
orchestra: 1
suite: shop
methods:
  cli: {driver: playwright, har: {file: "m/${test.id}.har", update: true}}
  mcp: {driver: mcp, har: {file: m/all.har, update: true}}
  bidi: {driver: playwright, har: {file: m/./all.har, update: true}}
  own: {driver: mcp, har: {file: "m/${method.id}.har", update: true}}
blocks:
  record: {steps: [{har: {file: data/api.har, update: true}}]}
tests:
  B001: {methods: [cli], steps: [{use: record}, {har: {file: a.har, update: true}}, {har: {file: ./a.har, update: true}}]}
  B002: {methods: [cli], matrix: {size: [1, 2]}, steps: [{use: record}, {har: a.har}, {har: {file: "b-${matrix.size}.har", update: true}}]}
  B003: {steps: [{har: {file: "${env.FILE}", update: true}}, reload]}
  B004: {steps: [{har: {file: "${env.FILE}", update: true}}, {har: {file: data/../a.har, update: true}}]}
"""
    made = built(tmp_path, text)
    assert made.plans == ()
    check(
        SPECS.parent / "err" / "cli" / "shared-har.out",
        "".join(problem.text() + "\n" for problem in made.diagnostics),
    )


def test_expectations_whose_result_is_known_before_the_page(tmp_path: Path):
    text = """
orchestra: 1
suite: shop
vars: {zero: 0, high: 10, low: 5}
blocks:
  counts: {params: [least], steps: [{expect: {testid: row, to: {have_count: {at_least: "${least}"}}}}]}
tests:
  B001:
    steps:
      - expect: {testid: row, to: {have_count: {at_least: 0}}}
      - expect: {testid: row, to: {have_count: {at_least: 3, at_most: 1}}}
      - expect: {testid: row, to: {not: {have_count: {between: [3, 2]}}}}
      - expect: {testid: sum, to: {have_number: {between: ["${vars.high}", "${vars.low}"]}}}
      - expect: {testid: sum, to: {not: {have_number: {between: [10, 5]}}}}
      - expect: {testid: sum, all: {have_number: {above: 10, below: 5}}}
      - expect: {testid: sum, any: {have_number: {above: 5, between: [1, 5]}}}
      - expect: {testid: row, nth: 0, to: {have_text: [a, b]}}
      - expect: {testid: row, nth: 0, to: {not: {have_class: [a, b]}}}
      - expect: {testid: row, nth: -1, to: {have_count: 2}}
      - use: {counts: {least: "${vars.zero}"}}
  B002:
    steps:
      - expect: {testid: row, to: {have_count: {at_least: 0, at_most: 2}}}
      - expect: {testid: row, nth: 0, to: {have_text: [a], have_values: [a, b], have_count: 1}}
      - expect: {testid: row, to: {have_text: [a, b], have_count: 2, not: {have_count: 0}}}
      - expect: {testid: sum, to: {have_number: {between: [5, 5], above: 4}, not: {have_number: {above: 5}}}}
"""
    made = built(tmp_path, text)
    assert made.plans == ()
    check(
        SPECS.parent / "err" / "cli" / "never-true.out",
        "".join(problem.text() + "\n" for problem in made.diagnostics),
    )


EXPANSIONS = {
    "steps": "blocks:\n"
    + "".join(f"  b{n}: {{steps: [{{use: b{n + 1}}}, {{use: b{n + 1}}}]}}\n" for n in range(20))
    + '  b20: {steps: [{goto: "https://a.example/"}]}\n'
    + "tests:\n  T: {steps: [{use: b0}]}\n  U: {steps: [{use: b20}]}\n",
    "depth": "blocks:\n"
    + "".join(f"  b{n}: {{steps: [{{use: b{n + 1}}}]}}\n" for n in range(2000))
    + '  b2000: {steps: [{goto: "https://a.example/"}]}\n'
    + "tests:\n  T: {steps: [{use: b0}]}\n",
    "matrix": "tests:\n  T:\n    matrix: {"
    + ", ".join(f"m{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9]" for n in range(30))
    + '}\n    command: {argv: ["true"]}\n',
    "suite": "tests:\n"
    + "".join(f"  T{n}: {{matrix: {{a: {list(range(1000))}}}, command: {{argv: [x]}}}}\n" for n in range(101)),
    "all-steps": f"blocks:\n  b: {{steps: {[{'reload': {}}] * 250}}}\n"
    f"tests:\n  T: {{matrix: {{a: {list(range(1000))}}}, steps: [reload, {{use: b}}]}}\n",
}


@pytest.mark.parametrize("name", EXPANSIONS)
def test_a_spec_cannot_grow_without_end(tmp_path, name):
    made = built(tmp_path, "orchestra: 1\nsuite: s\n" + EXPANSIONS[name])
    check(
        SPECS.parent / "err" / "cli" / f"expansion-{name}.out",
        "".join(diagnostic.text() + "\n" for diagnostic in made.diagnostics),
    )


def test_a_circle_of_blocks_is_left_to_its_rule(tmp_path):
    made = built(
        tmp_path,
        "orchestra: 1\nsuite: s\nblocks: {a: {steps: [{use: c}]}, c: {steps: [{use: a}]}}\ntests: {T: {steps: [{use: a}]}}\n",
    )
    assert {problem.rule for problem in made.diagnostics} == {"block-cycle"}


def test_blocks_that_all_use_each_other_are_judged_at_once(tmp_path):
    uses = {f"b{n}": {"steps": [{"use": f"b{m}"} for m in range(30) if m != n]} for n in range(30)}
    steps = [{"set": {"x": 1}}, {"use": "b0"}, {"fill": {"label": "${saved.x}", "value": "a"}}]
    made = built(tmp_path, json.dumps({"orchestra": 1, "suite": "s", "blocks": uses, "tests": {"T": {"steps": steps}}}))
    assert {problem.rule for problem in made.diagnostics} == {"block-cycle"}
