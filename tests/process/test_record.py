"""`orchestra record --from`: a spec gets a test more, or stays as it is to the byte."""

from __future__ import annotations

import json

import pytest

from tests.support.paths import DATA
from tests.support.project import HEAD

LOG = json.dumps({"tool": "browser_navigate", "args": {"url": "http://127.0.0.1:9/"}}) + "\n"
PASSWORD = json.dumps({"tool": "browser_type", "args": {"target": "getByLabel('Password')", "text": "hunter2"}}) + "\n"
COMMANDS = HEAD + "tests: {good: {command: {argv: ['true']}}}\n"
PAGES = "orchestra: 1\nsuite: s\nmethods:\n  cli: {driver: playwright}\n  sh: {driver: command}\n"
SHELL = "  sh: {methods: [sh], command: {argv: ['true']}}\n"
SPEC = PAGES + "tests:\n" + SHELL + "  R001: # the first\n    methods: [cli]\n    steps: [reload]\n  # the end\n"
BRACES = PAGES + "tests: {R001: {methods: [cli], steps: [reload]}, sh: {methods: [sh], command: {argv: ['true']}}}\n"


@pytest.fixture
def recorded(project):
    (project.root / "session.jsonl").write_text(LOG)
    return project


@pytest.mark.parametrize(
    "spec, words, shown",
    [
        (None, [], "record takes a URL or --from FILE"),
        (None, ["http://127.0.0.1/", "--from", "session.jsonl"], "record takes a URL or --from FILE"),
        (None, ["127.0.0.1"], '"127.0.0.1" is no address of a page'),
        (None, ["--from", "gone.md"], "does not exist"),
        (None, ["--from", "pyproject.toml"], "has no call of a tool of the Playwright MCP server"),
        (None, ["--from", "looks.jsonl"], "none of the 1 calls"),
        (None, ["--from", "session.jsonl", "--id", "1"], '"1" is no id of a test'),
        (None, ["--from", "session.jsonl", "--into", "specs/s.txt"], "end it with .yaml"),
        (None, ["--from", "session.jsonl", "--into", "../s.yaml"], "outside the project root"),
        (None, ["--from", "session.jsonl", "--into", "link/s.yaml"], "leads out of the project root"),
        (None, ["--from", "session.jsonl", "--base", "web"], "--base takes COMPONENT=URL"),
        ("orchestra: 1\ntests: {", ["--from", "session.jsonl", "--into", "specs/s.yaml"], "specs/s.yaml:2"),
        (COMMANDS, ["--from", "session.jsonl", "--into", "specs/s.yaml"], "drives a browser"),
        (SPEC, ["--from", "session.jsonl", "--into", "specs/s.yaml", "--id", "R001"], "has a test R001 already"),
        (BRACES, ["--from", "session.jsonl", "--into", "specs/s.yaml"], "lines of their own"),
        (SPEC, ["--from", "password.jsonl", "--into", "specs/s.yaml"], "write secrets: [PASSWORD]"),
        (SPEC, ["--from", "other.jsonl", "--into", "specs/s.yaml"], "exists already, with another content"),
    ],
)  # fmt: skip
def test_a_mistake_changes_no_file(recorded, tmp_path_factory, spec, words, shown):
    root, elsewhere = recorded.root, tmp_path_factory.mktemp("elsewhere")
    if spec is not None:
        recorded.write(spec)
    (root / "link").symlink_to(elsewhere)
    (root / "looks.jsonl").write_text(json.dumps({"tool": "browser_snapshot", "args": {}}))
    (root / "password.jsonl").write_text(LOG + PASSWORD)
    (elsewhere / "a.txt").write_text("here")
    (root / "specs/files").mkdir(parents=True)
    (root / "specs/files/a.txt").write_text("another")
    paths = {"paths": [str(elsewhere / "a.txt")], "target": "#f"}
    (root / "other.jsonl").write_text(LOG + json.dumps({"tool": "browser_drop", "args": paths}))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = recorded.run("record", *words)
    assert (done.code, shown in done.err.replace("\n", " ")) == (2, True), done
    assert "hunter2" not in done.out + done.err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_the_steps_are_printed_and_nothing_is_written(recorded):
    session = DATA / "recording" / "session.md"
    done = recorded.run("record", "--from", str(session), "--print", "--base", "web=http://127.0.0.1:3000")
    assert (done.code, done.out.splitlines()[0]) == (0, '- goto: "${web.url}/"')
    assert "browser_evaluate" in done.err
    assert not (recorded.root / "specs").exists()


def test_a_test_that_does_not_pass_is_in_the_spec_and_its_step_is_shown(recorded):
    recorded.write(SPEC)
    words = ("--from", "session.jsonl", "--into", "specs/s.yaml", "--title", "Nothing there")
    done = recorded.process("record", *words)
    assert done.code == 1, done
    entry = '  R002:\n    title: Nothing there\n    methods: [cli]\n    steps:\n      - goto: "http://127.0.0.1:9/"\n'
    assert (recorded.root / "specs/s.yaml").read_text() == SPEC.replace("  # the end\n", entry + "  # the end\n")
    assert "R002 expects nothing of the page" in done.err
    assert "specs/s.yaml:15" in done.err
    assert done.err.rstrip().splitlines()[-1].split() == [
        "recorded",
        "R002",
        "not",
        "by",
        "each",
        "method",
        "cli:R002",
        "error",
    ]
