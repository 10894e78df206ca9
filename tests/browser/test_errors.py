"""Errors outside assertions, by both browser methods: one run of a page that makes one error of each layer."""

from __future__ import annotations

import json
import re
import shutil
import sys
from xml.etree import ElementTree as ET

import pytest

from orchestra.layers import LAYERS
from tests.support.paths import DATA
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

SITE = DATA / "errors"
METHODS = ("cli", "mcp")
BUTTONS = dict(zip(LAYERS, ("thrown", "said", "missing", "broken", "asked", "logged", "quiet"), strict=True))

HEAD = """\
orchestra: 1
suite: s
health:
  shop:
    service: {run: [python, site.py, "${port}"], port_range: 4300-4399}
    ready: {http: {path: /}}
methods:
  cli: {driver: playwright, workers: 1}
  mcp: {driver: mcp, workers: 1, session: {single: true}}
  http: {driver: http, workers: 1}
defaults: {requires: [shop]}
errors: {log_patterns: {shop: ['^ERROR\\b']}}
gates:
  after:
    quiet: {require: warned == 0, severity: warn, message: "{warned} warned"}
    layers: {require: "findings.http_5xx == 4 && findings.service_logs == 5", message: "{findings.http_5xx} {findings.service_logs}"}
    network:
      require: >-
        network.requests == network.elsewhere + network.shop.requests && network.elsewhere > 0 && network.shop.failed > 0
        && network.bytes >= network.bytes_max && network.slowest_ms >= network.shop.slowest_ms && network.requests_max >= 8
        && method.mcp.calls > 0 && method.mcp.polls >= 0 && method.mcp.call_ms_p50 > 0.0
      message: "{network.requests} {network.elsewhere} {network.shop.requests}"
tests:
"""
STEPS = '[{goto: "${shop.url}/"}, {click: {role: button, name: BUTTON, exact: true}}, {expect: {testid: done, to: {have_text: done}}}]'


def steps(button: str) -> str:
    return STEPS.replace("BUTTON", button)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, chromium) -> SuiteProject:
    folder = tmp_path_factory.mktemp("errors")
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    shutil.copy(SITE / "site.py", folder)
    browsers = "methods: [cli, mcp]"
    tests = [
        f"WARNS: {{{browsers}, steps: {steps('all')}}}",
        f"ALLOWS: {{{browsers}, errors: {{page_errors: fail, allow: [cart, '[a-z]']}}, steps: {steps('all')}}}",
        f"IGNORES: {{{browsers}, errors: {{{', '.join(f'{one}: ignore' for one in LAYERS)}}}, steps: {steps('all')}}}",
        f'LATE: {{{browsers}, errors: {{page_errors: fail}}, steps: [{{goto: "${{shop.url}}/"}}], finally: {steps("thrown")}}}',
        *(f"{one}: {{{browsers}, errors: {{{one}: fail}}, steps: {steps(button)}}}" for one, button in BUTTONS.items()),
        'PLAIN: {methods: [http], errors: {service_logs: fail}, steps: [{http: {GET: "${shop.url}/log"}}]}',
    ]
    project = SuiteProject(folder).write(HEAD + "".join(f"  {test}\n" for test in tests)).compile()
    done = project.run("run")
    assert done.code == 1, done.err
    (folder / "console.txt").write_text(done.err, encoding="utf-8")
    return project


@pytest.mark.parametrize("method", METHODS)
def test_each_page_is_checked_for_accessibility_once_where_it_is_asked_for(ran, method):
    found = [one for one in seen(attempts(ran)[f"{method}:a11y"]) if one[0] == "a11y"]
    html = "html-has-lang (serious): <html> element must have a lang attribute: html"
    assert found == [("a11y", "fail", html, "http://N/", 1)]
    assert not [one for one in seen(attempts(ran)[f"{method}:WARNS"]) if one[0] == "a11y"]


def attempts(project: SuiteProject) -> dict[str, dict]:
    return {event["body"]["task"]: event["body"] for event in project.events("attempt_finished")}


def seen(body: dict) -> list[tuple[str, str, str, str, int]]:
    """The findings of an attempt, ports and lines of the log aside."""
    plain = [
        tuple(
            re.sub(r"127\.0\.0\.1:\d+|(?<=\.log:)\d+", "N", str(one[part]))
            for part in ("layer", "level", "text", "where")
        )
        for one in body.get("findings", [])
    ]
    return [(*one, found["count"]) for one, found in zip(plain, body.get("findings", []), strict=True)]


@pytest.mark.parametrize("method", METHODS)
def test_each_layer_has_its_finding_and_a_warning_leaves_the_verdict(ran, method):
    assert ran.verdicts()[f"{method}:WARNS"] == "passed"
    assert seen(attempts(ran)[f"{method}:WARNS"]) == [
        ("page_errors", "warn", "Error: the cart is gone", "http://N/app.js:2:49", 1),
        ("console_errors", "warn", "no price 7", "http://N/app.js:3", 1),
        ("failed_requests", "warn", "GET http://N/nothing: 404", "http://N/", 1),
        ("failed_requests", "warn", "GET http://N/refused: net::ERR_EMPTY_RESPONSE", "http://N/", 1),
        ("failed_requests", "warn", "GET http://N/five: 503", "http://N/", 1),  # of a host that is not the app
        ("http_5xx", "warn", "GET http://N/five: 503", "http://N/", 1),
        ("open_dialogs", "warn", "confirm: leave?", "", 1),
        ("service_logs", "warn", "shop: ERROR stock: 3 rows lost", "services/shop.log:N", 1),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_fails_makes_the_verdict_and_names_itself(ran, method, layer):
    task = f"{method}:{layer}"
    assert ran.verdicts()[task] == "failed"
    assert ran.reasons()[task].startswith(f"{layer}: ")
    body = attempts(ran)[task]
    assert {one["layer"] for one in body["findings"] if one["level"] == "fail"} == {layer}
    assert body["error"]["at"].startswith("specs/s.yaml:")
    kinds = {one["kind"] for one in body["evidence"]}
    # What a log says is read when the page is gone: what the service wrote is the evidence.
    assert ("service" if layer == "service_logs" else "screenshot") in kinds


@pytest.mark.parametrize("method", METHODS)
def test_what_is_allowed_or_ignored_is_no_finding(ran, method):
    for name in ("ALLOWS", "IGNORES"):
        assert ran.verdicts()[f"{method}:{name}"] == "passed"
        assert seen(attempts(ran)[f"{method}:{name}"]) == []


@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_finally_fails_too_and_keeps_evidence(ran, method):
    body = attempts(ran)[f"{method}:LATE"]
    assert (body["outcome"], body["error"]["message"][:12]) == ("failed", "page_errors:")
    assert "screenshot" in {one["kind"] for one in body["evidence"]}


def test_a_test_without_a_page_fails_by_the_log_of_its_service(ran):
    body = attempts(ran)["http:PLAIN"]
    assert ran.reasons()["http:PLAIN"].startswith("service_logs: shop: ERROR stock: 3 rows lost (services/shop.log:")
    assert "network" not in body
    where = body["findings"][0]["where"]
    log, _, line = where.rpartition(":")
    assert "ERROR stock" in (ran.folder / log).read_text(encoding="utf-8").splitlines()[int(line) - 1]


@pytest.mark.parametrize("method", METHODS)
def test_the_network_of_a_test_is_counted_by_host(ran, method):
    network = attempts(ran)[f"{method}:WARNS"]["network"]
    own = [one for one in network["hosts"].values() if one.get("component") == "shop"]
    elsewhere = [one for one in network["hosts"].values() if "component" not in one]
    sizes = [(SITE / "site.py").stat().st_size, network["bytes"]]
    assert sizes[1] < sizes[0], "page and script are a part of the file"
    assert [(one["requests"], one["failed"]) for one in own] == [(6, 2)]
    assert [(one["requests"], one["failed"], one["bytes"]) for one in elsewhere] == [(2, 2, 2)]
    assert (network["requests"], network["failed"]) == (8, 4)
    assert network["bytes"] == own[0]["bytes"] + 2  # the answer without a length was asked for
    assert network["slowest_ms"] == max(own[0]["slowest_ms"], elsewhere[0]["slowest_ms"])
    assert attempts(ran)[f"{method}:WARNS"]["network"]["bytes"] == attempts(ran)["cli:WARNS"]["network"]["bytes"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is read from /proc")
@pytest.mark.parametrize("method", METHODS)
def test_what_a_worker_and_its_browser_used_is_recorded(ran, method):
    for task, body in attempts(ran).items():
        if task.startswith(f"{method}:"):
            assert body["resources"]["cpu_seconds"] > 0, task
            assert body["resources"]["peak_rss_megabytes"] > 50, "no browser is smaller"


def test_gates_read_findings_and_network(ran):
    assert {body["name"]: (body["result"], body["message"]) for body in ran.gates()} == {
        "quiet": ("warned", "2 warned"),
        "layers": ("passed", ""),
        "network": ("passed", ""),
    }


def test_people_are_told(ran):
    console = (ran.root / "console.txt").read_text(encoding="utf-8")
    assert "    warning     page_errors: Error: the cart is gone (http://" in console
    assert "and 2 failed_requests, 1 http_5xx, 1 open_dialogs, 1 service_logs" in console
    assert re.search(r"^warnings +\d+ tests  \d+ ", console, re.MULTILINE)
    shown = ran.run("show", "WARNS", "--run", "last", "--method", "mcp").out
    assert shown.count("    warning     ") == 8
    assert "    requests    8 requests, 4 failed, " in shown
    assert " (shop): 6 requests, 2 failed, " in shown
    summary = (ran.folder / "summary.md").read_text(encoding="utf-8")
    assert "| cli:WARNS | open_dialogs | warn | 1 | confirm: leave? |  |" in summary
    assert re.search(r"^\| mcp \| \S+ \| shop \| \d+ \| \d+ \| .* \|$", summary, re.MULTILINE)
    cases = ET.parse(ran.folder / "junit.xml").getroot().iter("testcase")
    said = {f"{case.get('classname')} {case.get('name')}": case for case in cases}
    err = said["s.mcp WARNS WARNS"].findtext("system-err")
    assert "warn http_5xx: GET http://127.0.0.1:" in err
    failed = said["s.cli page_errors page_errors"].find("failure")
    assert failed.get("message").startswith("page_errors: Error: the cart is gone (http://")
    found = json.loads((ran.folder / "ctrf.json").read_text(encoding="utf-8"))["results"]["tests"]
    assert any("warn console_errors: no price 7" in " ".join(one.get("extra", {}).get("findings", [])) for one in found)


def test_the_numbers_of_the_gates_can_be_had_from_the_ledger_again(ran):
    done = ran.run("audit", "--gates", "last")
    assert done.code == 0, done.out + done.err
    assert "network.requests_max" in done.out
    assert "measured" not in "".join(
        line for line in done.out.splitlines() if "network." in line or "findings." in line
    )
