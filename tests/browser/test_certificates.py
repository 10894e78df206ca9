"""Servers with certificates of their own: browser, probe and step by both methods, with `tls` of the spec and without."""

from __future__ import annotations

import json

import pytest

from tests.support.authority import SERVER, Authority
from tests.support.nights import at_night
from tests.support.pages import data_of
from tests.support.project import SuiteProject

SPEC = """
orchestra: 1
suite: s
methods: {cli: {driver: playwright, workers: 1}, mcp: {driver: mcp, session: {single: true, reset: storage}}}
defaults: {timeout_seconds: 60, retries: {max: 0}}
health:
  own: {service: {run: [python, server.py, "${port}", own.pem], port_range: 18600-18690}}
  site: {needs: [own], url: "https://127.0.0.1:${own.port}", required: false, retries: {max: 0}, ready: {http: {path: /page.html}}}
  wrong: {service: {run: [python, server.py, "${port}", wrong.pem], port_range: 18691-18790}}
tests:
  PROBE: {requires: [site], steps: [{set: {a: b}}]}
  PAGE:
    requires: [own]
    steps: [{goto: "https://127.0.0.1:${own.port}/page.html"}, {expect: {role: heading, to: {have_text: Hi}}}]
  STEP: {requires: [own], steps: [{http: {GET: "https://127.0.0.1:${own.port}/page.html", status: 200}}]}
  WRONG: {requires: [wrong], steps: [{goto: "https://127.0.0.1:${wrong.port}/page.html"}]}
  WRONG_STEP: {requires: [wrong], steps: [{http: {GET: "https://127.0.0.1:${wrong.port}/page.html", status: 200}}]}
profiles:
  trusted: {tls: {ca_file: certs/ca.pem}}
  other: {tls: {ca_file: certs/other.pem}}
  missing: {tls: {ca_file: certs/none.pem}}
  any: {tls: {ignore_https_errors: true}}
"""
TESTS = ("PROBE", "PAGE", "STEP", "WRONG", "WRONG_STEP")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> SuiteProject:
    """A project whose servers have certificates of an authority of the test, one of them for another name."""
    root = tmp_path_factory.mktemp("tls")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    (root / "server.py").write_text(SERVER)
    (root / "page.html").write_text("<!doctype html><title>t</title><h1>Hi</h1>")
    (root / "certs").mkdir()
    authority = Authority("the authority of a test")
    (root / "certs/ca.pem").write_bytes(authority.pem)
    (root / "certs/other.pem").write_bytes(Authority("another authority").pem)
    authority.write(root / "own.pem", "127.0.0.1")
    authority.write(root / "wrong.pem", "other.example")
    return SuiteProject(root).write(SPEC).compile()


@pytest.mark.parametrize(
    "profile, asked, good",
    [
        at_night("", TESTS, set()),  # nothing but the authorities of the machine: by day a wrong name is refused
        ("trusted", TESTS, {"PROBE", "PAGE", "STEP"}),
        at_night("other", TESTS, set()),  # as without a profile
        at_night("missing", TESTS, set()),  # as below, where the file is not to be read
        ("any", ("WRONG", "WRONG_STEP"), {"WRONG", "WRONG_STEP"}),
        at_night("any", TESTS, set(TESTS)),
    ],
)
def test_what_is_trusted_passes_by_both_methods_and_nothing_else(project, profile, asked, good):
    ran = project.run("run", *(["--profile", profile] if profile else []), *asked)
    state = json.loads((project.folder / "state.json").read_text())
    verdicts = {task: done["verdict"] for task, done in state["completed"].items()}
    passed = {task for task, verdict in verdicts.items() if verdict in {"passed", "flaky"}}
    assert passed == {f"{method}:{test}" for method in ("cli", "mcp") for test in good}, ran.err
    shown = "no certificate of a server is checked: ignore_https_errors (specs/s.yaml:" in ran.err
    assert shown == (profile == "any")
    summary = (project.folder / "summary.md").read_text()
    assert ("no certificate of a server was checked" in summary) == (profile == "any")
    page = str(data_of((project.folder / "report.html").read_text()))
    assert ("No certificate of a server was checked" in page) == (profile == "any")
    if profile == "missing":
        assert 'the ca_file "certs/none.pem" cannot be read' in summary


def test_a_file_outside_of_the_project_is_refused_though_a_link_leads_there(project, tmp_path):
    (tmp_path / "ca.pem").write_bytes((project.root / "certs/ca.pem").read_bytes())
    (project.root / "certs/none.pem").symlink_to(tmp_path / "ca.pem")
    ran = project.run("run", "--profile", "missing", "cli:PAGE", "cli:STEP")
    (project.root / "certs/none.pem").unlink()
    assert ran.code == 1
    assert ran.err.count("is outside the project root") >= 2
