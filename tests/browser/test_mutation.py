"""Each test of the reference suite can fail: one broken feature of the sample application fails its own test alone.

By both methods: what one of them could not see would be a check that cannot fail.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from orchestra.demo.mutation import MUTATIONS
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

METHODS = ("cli", "mcp")


@pytest.fixture(scope="module")
def market(root: Path, chromium, tmp_path_factory) -> SuiteProject:
    """The reference suite in a project of its own, compiled; tests that fail are not waited for longer than need be."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    shutil.copytree(root / "specs", folder / "specs")
    for other in ("self", "faults"):
        (folder / "specs" / f"{other}.yaml").unlink()
    spec = folder / "specs" / "market.yaml"
    # A product that is broken on purpose is not tried again, and what never comes is not awaited for a minute.
    # Nor is the answer that is slow on purpose: it is what a gate warns of, and no test's matter.
    text = re.sub(r"within_seconds: (60|30)\b", "within_seconds: 8", spec.read_text(encoding="utf-8"))
    text = text.replace('DEMO_SLOW_MS: "2000"', 'DEMO_SLOW_MS: "0"')
    spec.write_text(re.sub(r"retries: \{[^}]*\}", "retries: {max: 0}", text), encoding="utf-8")
    return SuiteProject(folder).compile()


def verdicts(project: SuiteProject, mutation: str) -> dict[str, str]:
    env = {"DEMO_MUTATION": mutation} if mutation else {}
    done = project.run("run", "--workers", "1", **env)
    folder = (project.root / ".orchestra" / "market" / "runs" / "last").resolve()
    events = map(json.loads, (folder / "events.jsonl").read_text(encoding="utf-8").splitlines())
    found = {event["body"]["task"]: event["body"]["verdict"] for event in events if event["type"] == "verdict"}
    assert len(found) == 32, done.err
    return found


@pytest.mark.parametrize("mutation", ["", *MUTATIONS])
def test_a_broken_feature_fails_its_own_test_alone(market, mutation):
    found = verdicts(market, mutation)
    skipped = {task for task, verdict in found.items() if verdict == "skipped"}
    absent = {f"{method}:{test}" for method in METHODS for test in ("B002", "B003")}
    assert skipped <= absent, "only an engine that is not on this machine is a reason to skip"
    broken = {f"{method}:{mutation.upper()}" for method in METHODS}
    wanted = {
        task: "skipped" if task in skipped else "failed" if task in broken else "passed" for task in sorted(found)
    }
    assert found == wanted
