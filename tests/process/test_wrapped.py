"""Suites of other runners, wrapped: whatever they leave, the verdict is right and each case has its own."""

from __future__ import annotations

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
    given = {one["body"]["test"]: one["body"] for one in project.events("verdict")}
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
    given = {one["body"]["test"]: one["body"] for one in project.events("verdict")}
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
    assert given["skipped"]["reason"] == (
        '"python" executed no case: all 1 in the report log of pytest "log.jsonl" were skipped'
    )


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
    given = {one["body"]["test"]: one["body"] for one in project.events("verdict")}
    ended = {one["body"]["test"]: one["body"] for one in project.events("attempt_finished")}
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
