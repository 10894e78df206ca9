"""Each test of the reference suite can fail: one broken feature of the sample application fails its own test alone."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from orchestra.demo.mutation import MUTATIONS
from tests.suite_project import SuiteProject

pytestmark = pytest.mark.browser

METHODS = ("cli",)


@pytest.fixture(scope="module")
def market(root: Path, chromium, tmp_path_factory) -> SuiteProject:
    """The reference suite in a project of its own, compiled; tests that fail are not waited for longer than need be."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    shutil.copytree(root / "specs", folder / "specs")
    (folder / "specs" / "self.yaml").unlink()
    spec = folder / "specs" / "market.yaml"
    # A product that is broken on purpose is not tried again, and what never comes is not awaited for a minute.
    text = re.sub(r"within_seconds: (60|30)\b", "within_seconds: 8", spec.read_text(encoding="utf-8"))
    spec.write_text(re.sub(r"retries: \{[^}]*\}", "retries: {max: 0}", text), encoding="utf-8")
    return SuiteProject(folder).compile()


def verdicts(project: SuiteProject, method: str, mutation: str) -> dict[str, str]:
    env = {"DEMO_MUTATION": mutation} if mutation else {}
    done = project.run("run", "--method", method, "--workers", "1", **env)
    runs = project.root / ".orchestra" / "market" / "runs"
    events = ((runs / "last").resolve() / "events.jsonl").read_text(encoding="utf-8").splitlines()
    found = {
        event["body"]["test"]: event["body"]["verdict"]
        for event in map(json.loads, events)
        if event["type"] == "verdict"
    }
    assert len(found) == 16, done.err
    if keep := os.environ.get("ORCHESTRA_KEEP_RUNS"):
        shutil.copytree((runs / "last").resolve(), Path(keep) / f"{method}-{mutation or 'healthy'}", dirs_exist_ok=True)
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mutation", ["", *MUTATIONS])
def test_a_broken_feature_fails_its_own_test_alone(market, method, mutation):
    found = verdicts(market, method, mutation)
    skipped = {test for test, verdict in found.items() if verdict == "skipped"}
    assert skipped <= {"B002", "B003"}, "only an engine that is not on this machine is a reason to skip"
    wanted = {
        test: "skipped" if test in skipped else "failed" if test == mutation.upper() else "passed" for test in found
    }
    assert found == wanted
