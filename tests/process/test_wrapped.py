"""Suites of other runners, wrapped: whatever they leave, the verdict is right and each case has its own."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
import zlib

from tests.support.project import HEAD

LEFT = {
    "old": ("raise SystemExit(1)", "error", "ended with exit code 1 and wrote no JUnit file"),
    "green": ("", "error", "the file is as it was before this attempt"),
    "same": ("write(old)", "failed", "an old one: failed last week"),
    "none": ("write('<testsuites tests=\"0\"/>')", "error", 'executed no case: the JUnit file "none.xml" has none'),
    "skipped": (
        "write('<testsuite><testcase name=\"t\"><skipped/></testcase></testsuite>')",
        "error",
        'executed no case: all 1 in the JUnit file "skipped.xml" were skipped',
    ),
    "fine": (
        'write(\'<testsuite><testcase name="t"><failure message="boom"/></testcase></testsuite>\')',
        "failed",
        "t: boom",
    ),
    "bom": (
        'write(\'\\ufeff<testsuite><testcase name="t"><failure message="b\u00e4m"/></testcase></testsuite>\'); exit(1)',
        "failed",
        "t: b\u00e4m",
    ),
    "colour": (
        'write(\'<testsuite><testcase name="t"><failure message="\\x1b[31mred"/></testcase></testsuite>\'); exit(1)',
        "failed",
        "t: red",
    ),
    "doctype": ("write('<!DOCTYPE x><testsuite/>'); exit(1)", "error", 'the JUnit file "doctype.xml" has a DOCTYPE'),
    "absent": ("", "error", '"python" wrote no JUnit file "absent.xml"'),
    "code": (
        "write('<testsuite><testcase name=\"t\"/></testsuite>'); exit(3)",
        "failed",
        '"python" ended with exit code 3, though none of its 1 cases failed',
    ),
    "counted": (
        'write(\'<testsuite failures="2"><testcase name="t"/></testsuite>\')',
        "failed",
        "(outside of any case): its suites count 2 failures, and no case has one",
    ),
}
OLD = '<testsuite><testcase name="an old one"><failure message="failed last week"/></testcase></testsuite>'


def test_what_a_runner_leaves_is_believed_only_when_this_attempt_wrote_it(project):
    tests = ""
    for name, (body, _, _) in LEFT.items():
        text = f"""import sys
old = open("old.xml").read()
def write(text): open("{name}.xml", "w", encoding="utf-8").write(text)
{body}
"""
        (project.root / f"{name}.py").write_text(text)
        tests += f"  {name}: {{command: {{argv: [python, {name}.py], junit: {name}.xml}}}}\n"
    for name in ("old", "green", "same"):
        (project.root / f"{name}.xml").write_text(OLD if name != "green" else OLD.replace("failure", "system-out"))
    done = project.write(f"{HEAD}defaults: {{retries: {{max: 0}}}}\ntests:\n{tests}").compile().run("run")
    assert done.code == 1, done.err
    given = {event["body"]["test"]: event["body"] for event in project.events("verdict")}
    assert {name: given[name]["verdict"] for name in LEFT} == {name: verdict for name, (_, verdict, _) in LEFT.items()}
    assert [name for name, (_, _, words) in LEFT.items() if words not in given[name]["reason"]] == []


PYTEST = """
import pytest
def test_adds(): pass
def test_pays(): raise ValueError("the card 4111 was refused")
def test_ships(): assert 1 == 2, "no address"
RUNS = []
def test_again():
    RUNS.append(1)
    assert len(RUNS) > 1, "too early"
@pytest.mark.skip(reason="needs a printer")
def test_prints(): pass
"""
RUNNER = "python, -m, pytest, -q, -p, no:cacheprovider"
SPEC = f"""{HEAD}defaults: {{retries: {{max: 0}}}}
blocks:
  py:
    params: [which, more]
    command:
      argv: [{RUNNER}, --reruns, "${{more}}", -k, "${{which}}", test_shop.py, "--report-log=${{attempt.dir}}/log.jsonl"]
      pytest_reportlog: ${{attempt.dir}}/log.jsonl
tests:
  all: {{use: {{py: {{which: "test", more: "0"}}}}}}
  known: {{use: {{py: {{which: "pays or adds", more: "0"}}}}, known_failures: [{{match: "card \\\\d+ was refused"}}]}}
  other: {{use: {{py: {{which: "pays or ships", more: "0"}}}}, known_failures: [{{match: "card \\\\d+ was refused"}}]}}
  held: {{use: {{py: {{which: "ships", more: "0"}}}}, quarantine: {{owner: ana, until: "2999-01-01", cases: ["*::test_ships"]}}}}
  again: {{use: {{py: {{which: "again or adds", more: "1"}}}}}}
  none: {{use: {{py: {{which: "nothing_of_the_kind", more: "0"}}}}}}
  skipped: {{use: {{py: {{which: "prints", more: "0"}}}}}}
"""


def test_cases_of_a_real_pytest_have_verdicts_of_their_own(project):
    (project.root / "test_shop.py").write_text(PYTEST)
    done = project.write(SPEC).compile().run("run")
    assert done.code == 1, done.err
    given = {event["body"]["test"]: event["body"] for event in project.events("verdict")}
    assert {name: (one["verdict"], bool(one.get("excused"))) for name, one in given.items()} == {
        "all": ("failed", False),
        "known": ("failed", True),
        "other": ("failed", False),
        "held": ("failed", True),
        "again": ("flaky", False),
        "none": ("error", False),
        "skipped": ("error", False),
    }
    assert given["all"]["reason"] == (
        "test_shop.py::test_pays: ValueError: the card 4111 was refused; test_shop.py::test_ships: AssertionError: no address;"
        " test_shop.py::test_again: AssertionError: too early"
    )
    assert given["again"]["reason"] == "passed when the runner tried again: test_shop.py::test_again"
    assert given["all"]["cases"] == {"failed": 3, "passed": 1, "skipped": 1}
    assert given["held"]["cases"] == {"excused": 1}
    assert given["skipped"]["reason"] == (
        '"python" executed no case: all 1 in the report log of pytest "log.jsonl" were skipped'
    )


REPORTED = f"""{HEAD}defaults: {{retries: {{max: 0}}}}
gates:
  after:
    cases: {{require: cases == 5 && cases_failed == 2 && cases_skipped == 1}}
    pass_rate: {{require: pass_rate >= 0.0}}
tests:
  shop:
    title: The suite of the shop
    known_failures: [{{match: 'card \\d+ was refused', reason: ticket 7}}]
    command:
      argv: [{RUNNER}, --reruns, "1", test_shop.py, "--report-log=${{attempt.dir}}/log.jsonl"]
      pytest_reportlog: ${{attempt.dir}}/log.jsonl
"""
ODD = [
    ("test_shop.py::test_signs", "failed", ""),
    ("test_shop.py::test_ships", "failed", ""),
    ("test_shop.py::test_pays", "failed", "known failure: ticket 7"),
    ("test_shop.py::test_again", "flaky", ""),
    ("test_shop.py::test_prints", "skipped", ""),
]


def test_cases_are_in_each_report(project):
    text = PYTEST.replace("def test_ships", "def test_signs(): assert 'a' == 'b'\ndef test_ships")
    (project.root / "test_shop.py").write_text(text.replace("def test_adds(): pass\n", ""))
    done = project.write(REPORTED).compile().run("run")
    assert done.code == 1, done.err
    state = json.loads((project.folder / "state.json").read_text())
    assert state["completed"]["cli:shop"]["cases"] == {"excused": 1, "failed": 2, "flaky": 1, "skipped": 1}
    assert [(row["name"], row["verdict"], row.get("excused", "")) for row in state["cases"]["cli:shop"]] == ODD
    assert "    cases       5 cases: 1 excused, 2 failed, 1 flaky, 1 skipped" in done.err
    assert "    failed      test_shop.py::test_ships: AssertionError: no address" in done.err
    assert "(known failure: ticket 7)" in done.err
    assert "after:cases  passed" in done.err
    summary = (project.folder / "summary.md").read_text()
    assert "- cli:shop: 5 cases: 1 excused, 2 failed, 1 flaky, 1 skipped" in summary
    assert summary.count("shop.py::test") >= 4
    tree = ET.parse(project.folder / "junit.xml").getroot()
    assert (tree.get("tests"), tree.get("failures")) == ("6", "3")
    [suite] = [one for one in tree.iter("testsuite") if one.get("name") == "s.cli.shop"]
    assert [(case.get("name").rpartition("_")[2], [child.tag for child in case]) for case in suite] == [
        ("pays", ["skipped", "rerunFailure"]),
        ("signs", ["failure", "rerunFailure"]),
        ("ships", ["failure", "rerunFailure"]),
        ("again", ["flakyFailure"]),
        ("prints", ["skipped"]),
    ]
    tests = json.loads((project.folder / "ctrf.json").read_text())["results"]["tests"]
    assert [(test["rawStatus"], test["status"], test.get("retries", 0)) for test in tests[1:]] == [
        ("failed", "other", 1),
        ("failed", "failed", 1),
        ("failed", "failed", 1),
        ("flaky", "passed", 1),
        ("skipped", "skipped", 0),
    ]
    assert project.run("audit").code == 0


PLAYWRIGHT = """
import { test, expect } from '@playwright/test';
test('adds', async () => {});
test('pays', async ({}, info) => {
  await info.attach('bill', { path: 'bill.txt' });
  expect(1, 'the sum').toBe(2);
});
test('again', async ({}, info) => { expect(info.retry).toBe(1); });
"""
CONFIG = r"""
export default {
  workers: 1, retries: 1, testMatch: /.*\.spec\.mjs/,
  reporter: [['json', { outputFile: process.env.JSON_FILE }], ['junit', { outputFile: process.env.JUNIT_FILE }]],
};
"""
WRAPPED = f"""{HEAD}defaults: {{retries: {{max: 0}}}}
blocks:
  json:
    params: [which]
    command:
      argv: [NODE, node_modules/@playwright/test/cli.js, test, -g, "${{which}}"]
      env: {{JSON_FILE: "${{attempt.dir}}/report.json", JUNIT_FILE: "${{attempt.dir}}/junit.xml"}}
      playwright_json: ${{attempt.dir}}/report.json
  junit:
    params: [which]
    command:
      argv: [NODE, node_modules/@playwright/test/cli.js, test, -g, "${{which}}"]
      env: {{JSON_FILE: "${{attempt.dir}}/report.json", JUNIT_FILE: "${{attempt.dir}}/junit.xml"}}
      junit: ${{attempt.dir}}/junit.xml
resources: {{results: 1}}
tests:
  again: {{resources: {{results: 1}}, use: {{json: {{which: "adds|again"}}}}}}
  pays: {{resources: {{results: 1}}, use: {{json: {{which: "pays"}}}}}}
  junit: {{resources: {{results: 1}}, use: {{junit: {{which: "pays"}}}}}}
  none: {{resources: {{results: 1}}, use: {{json: {{which: "nothing of the kind"}}}}}}
"""


def test_cases_of_a_real_playwright_test_say_why_they_failed(project, node_tools):
    (project.root / "shop.spec.mjs").write_text(PLAYWRIGHT)
    (project.root / "playwright.config.mjs").write_text(CONFIG)
    (project.root / "bill.txt").write_text("12 EUR\n")
    (project.root / "node_modules").symlink_to(node_tools.modules)
    done = project.write(WRAPPED.replace("NODE", str(node_tools.node))).compile().run("run")
    assert done.code == 1, done.err
    given = {event["body"]["test"]: event["body"] for event in project.events("verdict")}
    ended = {event["body"]["test"]: event["body"] for event in project.events("attempt_finished")}
    assert given["again"]["verdict"] == "flaky", given["again"]
    assert given["again"]["reason"] == "passed when the runner tried again: shop.spec.mjs \u203a again"
    for name in ("pays", "junit"):
        assert (given[name]["verdict"], given[name]["reason"]) == (
            "failed",
            "shop.spec.mjs \u203a pays: Error: the sum",
        )
        assert ended[name]["error"]["found"].splitlines()[-2:] == ["Expected: 2", "Received: 1"]
    assert given["none"]["verdict"] == "error"
    assert "executed no case: Error: No tests found" in given["none"]["reason"]
    copies = [one["path"] for one in ended["pays"]["evidence"] if one["kind"] == "attachment"]
    assert copies
    assert all((project.folder / path).is_file() for path in copies)


METHODS = """orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2}, sh: {driver: command}}
defaults: {retries: {max: 0}}
gates: {after: {agree: {require: agreement == 0.5, severity: warn}, pass_rate: {require: pass_rate >= 0.0}}}
tests:
  B004: {methods: [sh], command: {argv: [python, -c, pass]}}
  B005: {methods: [sh], command: {argv: [python, -c, pass]}}
  shop:
    methods: [cli]
    command:
      argv: [python, write.py, "${attempt.dir}/j.xml"]
      junit: ${attempt.dir}/j.xml
      cases: {"cart \u203a adds": {of: B004}, "cart \u203a pay*": {of: B005}}
"""
WRITE = """import sys
failed = '<failure message="card refused"/>' if FAILS else ''
open(sys.argv[1], 'w').write('<testsuite><testcase classname="cart" name="adds"/>'
    '<testcase classname="cart" name="pays">' + failed + '</testcase></testsuite>')
"""


def test_a_case_is_compared_with_the_test_that_it_is_of(project):
    (project.root / "write.py").write_text(WRITE.replace("FAILS", "True"))
    done = project.write(METHODS).compile().run("run")
    assert done.code == 1, done.err
    assert "1 of 2 tests agree" in done.err
    assert "B005 disagrees: cli failed, sh passed" in done.err
    [agree] = [gate for gate in project.gates() if gate["name"] == "agree"]
    assert (agree["result"], agree["values"]) == ("passed", {"agreement": 0.5})
    told = project.run("compare")
    assert "sh against cli: 2 tests by both" in told.out
    assert "only cli: shop" in told.out
    assert "B005 disagrees" in told.out
    first = project.folder.name
    (project.root / "write.py").write_text(WRITE.replace("FAILS", "False"))
    assert project.run("run").code == 0
    told = project.run("compare", first, "last")
    assert "3 tests and 2 cases by both" in told.out
    assert "cli:shop::cart \u203a pays disagrees" in told.out


FLAKY = """import os, sys
runs = len(os.listdir('.orchestra/s/runs')) - os.path.islink('.orchestra/s/runs/last')
failed = '<failure message="card refused"/>' if runs == 1 else ''
again = '<flakyFailure message="too early"/>'
open(sys.argv[1], 'w').write('<testsuite><testcase classname="cart" name="adds"/><testcase classname="cart" name="signs">'
    + again + '</testcase><testcase classname="cart" name="pays">' + failed + '</testcase></testsuite>')
"""
SAME = (
    HEAD
    + """defaults: {retries: {max: 0}}
tests:
  shop:
    inputs: [write.py]
    command: {argv: [python, write.py, "${attempt.dir}/j.xml"], junit: "${attempt.dir}/j.xml"}
"""
)


def test_cases_have_a_history_and_a_rate_of_their_own(project):
    (project.root / "write.py").write_text(FLAKY)
    project.write(SAME).compile()
    assert project.run("run").code == 1
    assert project.run("run").code == 0
    rows = project.run("history", "--flaky").out.splitlines()
    rates = {line.split("  ")[0]: line.split("  ")[1].strip() for line in rows if "::" in line}
    assert rates["cli:shop::cart \u203a signs"] == "50.0 %"
    assert rates["cli:shop::cart \u203a pays"] == "50.0 %"
    assert "cli:shop::cart \u203a adds" not in rates
    story = project.run("history", "shop").out
    assert "  case         ff  cart \u203a signs" in story
    assert "  case         F.  cart \u203a pays" in story
    [first, _] = [json.loads(line) for line in project.run("history", "--json").out.splitlines()]
    assert first["executions"]["cli:shop"]["cases"]["cart \u203a pays"][0]["verdict"] == "failed"
    [packed] = re.findall(r'<script[^>]*id="data"[^>]*>([^<]*)<', (project.folder / "report.html").read_text())
    page = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert page["tasks"][0]["tries"][0]["cases"][0][:4] == ["cart \u203a signs", "flaky", 0.0, ["too early"]]
