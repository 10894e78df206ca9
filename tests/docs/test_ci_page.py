"""The pipelines of docs/ci.md: their commands run, job by job, with the artifacts that they name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
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


def pipeline(name: str) -> dict[str, Any]:
    [text] = re.findall(
        rf"```yaml\n# {re.escape(name)}\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return YAML(typ="safe").load(text)


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
    jobs = pipeline(".github/workflows/e2e.yaml")["jobs"]
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
    jobs = pipeline(".gitlab-ci.yml")
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
