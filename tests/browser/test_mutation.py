"""Each test of the reference suite can fail: one broken feature of the sample application fails its own test alone.

By both methods: what one of them could not see would be a check that cannot fail. `make test` tries each test under its
own mutation and under another; `make test-all` runs the whole square as a user would.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from orchestra.demo.mutation import MUTATIONS
from orchestra.runtime.browsers.finder import Browser
from tests.support import golden
from tests.support.market import Market, impatient
from tests.support.paths import DATA
from tests.support.project import SuiteProject

pytestmark = pytest.mark.browser

METHODS = ("cli", "mcp")
SECONDS = 1.5
"""How long what a mutation took away is awaited; that it is missed for this reason is asserted, so that a slow machine
cannot stand for the mutation."""


@pytest.fixture(scope="module")
def market(chromium):
    shared = Market()
    yield shared
    shared.close()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_broken_feature_fails_its_own_test_in_the_same_way_by_both_methods(market, mutation, tmp_path):
    test = market.test(mutation.upper())
    engine = market.browser(test.browser)
    if not isinstance(engine, Browser):
        pytest.skip(engine.text())
    hurried = test if mutation == "b016" else impatient(test, SECONDS)  # what is late on purpose does come
    reasons = {}
    for method in METHODS:
        result = market.run(hurried, method, mutation, tmp_path / method)
        assert (result.outcome, result.failure and result.failure.kind) == ("failed", "assertion"), result
        message = re.sub(r"gave \d+", "gave N", result.failure.message)
        reasons[method] = f"{result.failure.pointers[0]}: {message}\n"
    assert reasons["cli"] == reasons["mcp"]
    golden.check(DATA / "mutations" / f"{mutation}.txt", reasons["cli"])


def sample() -> list[tuple[str, str, str]]:
    """Return mutation, method and test for another of each mutation, so that each test is tried once."""
    ids = [name for name in MUTATIONS if name not in {"b002", "b003"}]  # they need engines of their own
    return [
        (mutation, METHODS[number % 2], ids[(number + 5) % len(ids)].upper()) for number, mutation in enumerate(ids)
    ]


@pytest.mark.parametrize("mutation, method, test", sample())
def test_a_broken_feature_leaves_other_tests_passing(market, mutation, method, test, tmp_path):
    result = market.run(market.test(test), method, mutation, tmp_path / method)
    assert result.outcome == "passed", result.failure


# ---------------------------------------------------------------------------------------------------- the whole square
@pytest.fixture(scope="module")
def project(root: Path, chromium, tmp_path_factory) -> SuiteProject:
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


@pytest.mark.nightly
@pytest.mark.parametrize("mutation", ["", *MUTATIONS])
def test_a_broken_feature_fails_its_own_test_alone_in_a_run(project, mutation):
    found = verdicts(project, mutation)
    skipped = {task for task, verdict in found.items() if verdict == "skipped"}
    absent = {f"{method}:{test}" for method in METHODS for test in ("B002", "B003")}
    assert skipped <= absent, "only an engine that is not on this machine is a reason to skip"
    broken = {f"{method}:{mutation.upper()}" for method in METHODS}
    wanted = {
        task: "skipped" if task in skipped else "failed" if task in broken else "passed" for task in sorted(found)
    }
    assert found == wanted
