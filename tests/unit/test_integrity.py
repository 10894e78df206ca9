"""Each rule of integrity is held by a good run and broken by its own story alone; the verb prints all and ends with 1."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from orchestra.draw import terminal_table
from orchestra.ledger.integrity import RULES, Facts, evaluate
from orchestra.ledger.view import view_of
from orchestra.plan import Command, Method, Plan, Step
from orchestra.plan import Test as Case
from tests.support import runs as samples
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "quality.md"
STEPS = (Step("goto", ("/a",)), Step("expect", ("/b",)))
PLAN = Plan(
    suite="s",
    title="",
    tests=(Case("B001", "", ("cli",), steps=STEPS), Case("B002", "", ("cli",), command=Command(("true",)))),
    methods=(Method("cli", "", "playwright"),),
)
SELECTION = ["cli:B001", "cli:B002"]
CLEAN = {"git": {"commit": "a" * 40, "branch": "main", "dirty_files": 0}}
FRESH = (
    "gate",
    {
        "phase": "after",
        "name": "plan_fresh",
        "result": "passed",
        "expression": "plan_fresh == true",
        "values": {"plan_fresh": True},
        "message": "",
    },
)


def ran(outcome: str = "passed", number: int = 2) -> list[dict]:
    verbs = ("goto", "expect")
    return [{"index": at, "verb": verbs[at], "seconds": 0.1, "outcome": outcome} for at in range(number)]


def start(**more) -> samples.Made:
    return samples.run_started(PLAN, **({"selection": SELECTION, "provenance": CLEAN} | more))


def first(**more) -> list[samples.Made]:
    given = more.pop("degraded", [])
    return [*samples.attempt("cli:B001", **({"steps": ran()} | more)), samples.verdict("cli:B001", degraded=given)]


SECOND = samples.passed("cli:B002")
GOOD = [start(), *first(), *SECOND, FRESH, samples.run_finished(0)]
DIRTY = {"git": {"commit": "b" * 40, "dirty_files": 7, "dirty": {f"src/{name}.py": None for name in "gfedcba"}}}
FAILED = samples.attempt("cli:B001", outcome="failed", error=samples.failure(), steps=ran())
RESUMED = ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"], "changed": ["B001"], "provenance": CLEAN})
STALE = ("gate", FRESH[1] | {"result": "failed", "values": {"plan_fresh": False}})

BAD: dict[str, tuple[str, list[samples.Made]]] = {
    "all_selected": ("cli:B002 has no verdict", [start(), *first(), FRESH]),
    "steps_ran": ("all of its 2 steps were skipped", [start(), *first(steps=ran("skipped")), *SECOND, FRESH]),
    "time_taken": ("cli:B001 passed in 0.000 ms", [start(), *first(seconds=0.0), *SECOND, FRESH]),
    "evidence_kept": ("has no evidence", [start(), *FAILED, samples.verdict("cli:B001", "failed"), *SECOND, FRESH]),
    "plan_fresh": ("was changed while", [start(), *first(), *SECOND, STALE]),
    "clean_tree": ("7 files differ from commit bbb", [start(provenance=DIRTY), *first(), *SECOND, FRESH]),
    "not_degraded": ("backend on failover", [start(), *first(degraded=["backend on failover"]), *SECOND, FRESH]),
}
MORE = {
    "nothing was selected": ("all_selected", [start(selection=[]), FRESH]),
    "no step is on record": ("steps_ran", [start(), *first(steps=[]), *SECOND, FRESH]),
    "the run did not see its spec again": ("plan_fresh", [start(), *first(), *SECOND]),
    "another plan went on": ("plan_fresh", [start(), *first(), *SECOND, RESUMED, *first(), FRESH]),
    "what was seen before it was resumed is no more": ("plan_fresh", [*GOOD[:-1], RESUMED, *first()]),
    "there is no work tree": ("clean_tree", [start(provenance={}), *first(), *SECOND, FRESH]),
    "what is run again has no verdict meanwhile": ("all_selected", [*GOOD[:-1], RESUMED, FRESH]),
}


def facts(tmp_path: Path, made: list[samples.Made], plan: Plan = PLAN) -> Facts:
    return Facts(plan, view_of(samples.ledger(tmp_path, made), steps=False))


def broken(found: Facts) -> dict[str, tuple[str, ...]]:
    return {one.rule: one.faults for one in evaluate(found) if one.faults}


def test_a_good_run_holds_each_rule(tmp_path):
    assert broken(facts(tmp_path, GOOD)) == {}


def expecting(*steps: Step) -> Plan:
    return msgspec.structs.replace(PLAN, tests=(Case("B001", "", ("cli",), steps=steps), PLAN.tests[1]))


@pytest.mark.parametrize("rule", BAD)
def test_a_rule_is_broken_by_its_own_story_alone(rule, tmp_path):
    said, made = BAD[rule]
    found = broken(facts(tmp_path, made))
    assert list(found) == [rule]
    assert said in "; ".join(found[rule])


@pytest.mark.parametrize("why", MORE)
def test_a_rule_is_broken_also_where(why, tmp_path):
    rule, made = MORE[why]
    assert rule in broken(facts(tmp_path, made))


@pytest.mark.parametrize(
    "step, good",
    [
        (Step("click"), False),
        (Step("evaluate", args={"script": "x"}), False),
        (Step("evaluate", args={"script": "x", "equals": 0}), True),
        (Step("download", args={"as": "x"}), False),
        (Step("download", args={"as": "x", "expect": {"text": {"contain": "y"}}}), True),
        (Step("http", args={"GET": "/"}), True),
        (Step("wait"), True),
    ],
)
def test_a_test_must_expect_something(step, good, tmp_path):
    assert ("expectations" not in broken(facts(tmp_path, GOOD, expecting(step)))) is good


def test_a_policy_requires_and_excuses(tmp_path):
    found = facts(tmp_path, BAD["clean_tree"][1])
    assert not any(one.bad for one in evaluate(found))
    assert [one.rule for one in evaluate(found, ["clean_tree"]) if one.bad] == ["clean_tree"]
    stale = facts(tmp_path / "stale", BAD["plan_fresh"][1])
    assert [one.rule for one in evaluate(stale) if one.bad] == ["plan_fresh"]
    assert not any(one.bad for one in evaluate(stale, (), ["plan_fresh"]))


def test_each_rule_has_a_row_in_the_page_that_says_whether_it_is_required():
    page = PAGE.read_text().partition("## Can a green run be trusted")[2].partition("\n## ")[0]
    rows = {line.split("`")[1]: line.split(" | ")[-1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == {name: "yes |" if rule.required else "no |" for name, rule in RULES.items()}


def git(root: Path, *words: str) -> None:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *words], cwd=root, check=True, capture_output=True)


def test_a_long_list_of_faults_is_cut(tmp_path):
    names = [f"cli:B{number:03}" for number in range(9)]
    found = facts(tmp_path, [start(selection=names), FRESH])
    text = terminal_table(("rule", "evidence"), [(one.rule, one.evidence) for one in evaluate(found)])
    assert "cli:B004 has no verdict; and 4 more" in text
