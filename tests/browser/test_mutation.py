"""Each test of the two suites of the sample application can fail: a broken feature fails its own test alone.

By both methods: what one of them could not see would be a check that cannot fail. `make test` tries one mutation for each
way to fail; `make test-all` tries all, and runs the whole squares as a user would.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from orchestra.demo.mutation import MUTATIONS
from orchestra.runtime.browsers.finder import Browser
from tests.support import golden
from tests.support.market import Market, impatient
from tests.support.nights import at_night, by_day
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


OF_MARKET = [name for name in MUTATIONS if name.startswith("b")]
OF_DESK = [name for name in MUTATIONS if name.startswith("c")]
DAY = ("b001", "b008", "b013", "c005")
"""One for each kind of step that can see a product fail: an expectation, a script, a download, a request that is repeated.
At night the others fail by one of these, at the place that they break, one in Firefox."""


@pytest.mark.parametrize("mutation", by_day([*OF_MARKET, *OF_DESK], *DAY))
def test_a_broken_feature_fails_its_own_test_in_the_same_way_by_both_methods(market, mutation, tmp_path):
    test = market.test(mutation.upper())
    engine = market.browser(test.browser)
    if not isinstance(engine, Browser):
        pytest.skip(engine.text())
    expected = DATA / "mutations" / f"{mutation}.txt"
    known = expected.exists() and "UPDATE_GOLDEN" not in os.environ
    at = expected.read_text(encoding="utf-8").partition(":")[0] if known else ""  # other steps have their time
    hurried = test if mutation == "b016" else impatient(test, SECONDS, at)  # what is late on purpose does come
    reasons = {}
    for method in METHODS:
        result = market.run(hurried, method, mutation, tmp_path / method)
        assert (result.outcome, result.failure and result.failure.kind) == ("failed", "assertion"), result
        message = re.sub(r"(gave |audit=|127\.0\.0\.1:)\d+", r"\1N", result.failure.message)
        reasons[method] = f"{result.failure.pointers[0]}: {message}\n"
    assert reasons["cli"] == reasons["mcp"]
    golden.check(expected, reasons["cli"])


def sample() -> list[object]:
    """Return mutation, method and test for another of each mutation, so that each test is tried once at night.

    Each of the mutations of `DAY` leaves that one passing by day.
    """
    of_market = [name for name in OF_MARKET if name not in {"b002", "b003"}]  # they need engines of their own
    cases = [
        (mutation, METHODS[number % 2], ids[(number + 5) % len(ids)].upper())
        for ids in (of_market, OF_DESK)
        for number, mutation in enumerate(ids)
    ]
    return [case if case[0] in DAY else at_night(*case) for case in cases]


@pytest.mark.parametrize("mutation, method, test", sample())
def test_a_broken_feature_leaves_other_tests_passing(market, mutation, method, test, tmp_path):
    result = market.run(market.test(test), method, mutation, tmp_path / method)
    assert result.outcome == "passed", result.failure


# --------------------------------------------------------------------------------------------------- the whole squares
@pytest.fixture(scope="module")
def projects(root: Path, chromium, tmp_path_factory) -> Callable[[str], SuiteProject]:
    """Return a function that makes the project of a suite, compiled; tests that fail are not waited for longer than need
    be.
    """

    @cache
    def project(suite: str) -> SuiteProject:
        folder = tmp_path_factory.mktemp(suite)
        (folder / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
        shutil.copytree(root / "specs", folder / "specs")
        spec = folder / "specs" / f"{suite}.yaml"
        for other in folder.glob("specs/*.yaml"):
            if other != spec:
                other.unlink()
        # A product that is broken on purpose is not tried again, and what never comes is not awaited for a minute.
        # Nor is the answer that is slow on purpose: it is what a gate warns of, and no test's matter.
        text = re.sub(r"within_seconds: (60|30|20)\b", "within_seconds: 8", spec.read_text(encoding="utf-8"))
        text = text.replace('DEMO_SLOW_MS: "2000"', 'DEMO_SLOW_MS: "0"')
        spec.write_text(re.sub(r"retries: \{[^}]*\}", "retries: {max: 0}", text), encoding="utf-8")
        return SuiteProject(folder).compile()

    return project


def verdicts(project: SuiteProject, suite: str, mutation: str) -> dict[str, str]:
    env = {"DEMO_MUTATION": mutation} if mutation else {}
    done = project.run("run", "--workers", "1", **env)
    folder = (project.root / ".orchestra" / suite / "runs" / "last").resolve()
    events = map(json.loads, (folder / "events.jsonl").read_text(encoding="utf-8").splitlines())
    assert done.code in (0, 1), done.err
    found = {event["body"]["task"]: event["body"]["verdict"] for event in events if event["type"] == "verdict"}
    assert len(found) == {"market": 32, "desk": 28}[suite], done.err
    return found


@pytest.mark.nightly
@pytest.mark.parametrize(
    "suite, mutation",
    [*(("market", name) for name in ("", *OF_MARKET)), *(("desk", name) for name in ("", *OF_DESK))],
)
def test_a_broken_feature_fails_its_own_test_alone_in_a_run(projects, suite, mutation):
    found = verdicts(projects(suite), suite, mutation)
    skipped = {task for task, verdict in found.items() if verdict == "skipped"}
    absent = {f"{method}:{test}" for method in METHODS for test in ("B002", "B003")}
    assert skipped <= absent, "only an engine that is not on this machine is a reason to skip"
    broken = {task for task in found if mutation and task.partition(":")[2].partition("[")[0] == mutation.upper()}
    wanted = {
        task: "skipped" if task in skipped else "failed" if task in broken else "passed" for task in sorted(found)
    }
    assert found == wanted
