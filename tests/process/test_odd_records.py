"""A file below `.orchestra` that holds anything is an error of the user, or is left out: no verb ends as a bug."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable

import pytest

from orchestra.ledger import baseline
from tests.support.project import HEAD, SuiteProject, py

SPEC = f"""{HEAD.replace("}}", "}, two: {driver: command}}")}tests:
  T1: {{inputs: [specs/s.yaml], command: {{argv: ["true"]}}}}
  T2: {py("raise SystemExit(1)")}
"""
DEEP = "[" * 50_000 + "]" * 50_000
VERBS = {
    "plan.json": ("run --list", "plan", "show T1", "history", "doctor", "run"),
    "baseline.json": ("baseline", "report", "compare", "run"),
    "executions.jsonl": ("history", "history T1", "history --flaky", "history --failures", "baseline accept", "report"),
    "history.json": ("run", "history"),
    "state.json": ("status", "status --json", "rollback --list"),
    ".commit.json": ("run", "history --prune"),
    "events.jsonl": ("status", "events", "report", "audit", "history --rebuild", "show T1 --run last", "run --resume"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    project = SuiteProject(tmp_path_factory.mktemp("ran"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project.write(SPEC).compile()
    for _ in range(2):
        assert project.run("run").code == 1
    entries = baseline.plain({f"{method}:T1 - shape": (0.1, 0.2) for method in ("cli", "two")})
    (project.root / ".orchestra/s/baseline.json").write_bytes(baseline.encode(entries))
    return project


@pytest.fixture
def project(ran, tmp_path) -> SuiteProject:
    return SuiteProject(shutil.copytree(ran.root, tmp_path / "project", symlinks=True))


def path_of(project: SuiteProject, name: str):
    return (project.folder if name in {"state.json", "events.jsonl"} else project.root / ".orchestra/s") / name


def ends_well(project: SuiteProject, name: str) -> None:
    for verb in VERBS[name]:
        ended = project.run(*verb.split())
        assert ended.code in {0, 1, 2, 3}, (verb, ended)
        assert "bug of orchestra" not in ended.err, (verb, ended.err)


def deep_event(line: str) -> str:
    """A line of a ledger with more in its body, and the hash of what it holds."""
    plain = re.sub(r',"hash":"\w+"(,"mac":"\w+")?', "", line).replace('{"body":{', f'{{"body":{{"a":{DEEP},', 1)
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return plain.replace(',"prev":', f',"hash":"{digest}","prev":', 1)


@pytest.mark.parametrize("name", VERBS)
def test_json_that_is_nested_without_end_is_no_bug(project, name):
    file = path_of(project, name)
    if name == "events.jsonl":
        first, _, rest = file.read_text().partition("\n")
        file.write_text(deep_event(first) + "\n" + rest)
    elif name in {".commit.json", "history.json"}:
        file.write_text(DEEP)
    elif name == "executions.jsonl":
        head, *lines = file.read_text().splitlines()
        file.write_text("\n".join([head, f'{{"run":"0","executions":{DEEP}}}', *lines]) + "\n")
    else:
        first, _, rest = file.read_text().partition("\n")
        file.write_text(first.replace("{", f'{{"more": {DEEP}, ', 1) + "\n" + rest)
    ends_well(project, name)


def first_line(change: Callable[[dict], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        head, line, *rest = text.splitlines()
        record = json.loads(line)
        change(record)
        return "\n".join([head, json.dumps(record), *rest]) + "\n"

    return changed


ODD = {
    "executions.jsonl, an execution": first_line(lambda run: run["executions"].update({"cli:T1": "x"})),
    "executions.jsonl, the attempts": first_line(lambda run: run["executions"]["cli:T1"].__setitem__(3, {"a": 1})),
    "executions.jsonl, the run": first_line(lambda run: run.update(run=7)),
    "executions.jsonl, no JSON": lambda text: text.replace("\n", "\n{\n", 1),
    "baseline.json, a key": lambda text: text.replace("cli:T1 - ", "cli:T1"),
    "baseline.json, half a character": lambda text: text.replace("cli:T1 ", "\\ud800 "),
}


@pytest.mark.parametrize("what", ODD)
def test_a_record_of_another_shape_is_no_bug(project, what):
    name = what.partition(",")[0]
    file = path_of(project, name)
    text = file.read_text()
    file.write_text(ODD[what](text))
    assert file.read_text() != text
    ends_well(project, name)


def test_a_damaged_line_of_the_cache_is_made_again_from_its_ledger(project):
    file = path_of(project, "executions.jsonl")
    before = file.read_bytes()
    file.write_text(ODD["executions.jsonl, the attempts"](file.read_text()))
    assert project.run("history").code == 0
    assert file.read_bytes() == before
