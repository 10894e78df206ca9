"""Baselines of real runs: regressions, repeats, what changes them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from orchestra.ledger import baseline
from orchestra.ledger.baseline import bounds, usual
from orchestra.ledger.history import executions
from orchestra.plan import Baseline
from tests.support.project import ANY_LOAD, HEAD, py

# A test that sleeps as long as a file says: what it takes is decided by the test, not by the machine.
SLEEPER = (
    "import pathlib, time; times = pathlib.Path('times').read_text().split();"
    " time.sleep(float(times[0])); pathlib.Path('times').write_text(' '.join(times[1:] or times))"
)
SPEC = f"""{HEAD}
baseline: {{min_runs: 2, slower_ratio: 3, slower_seconds: 1.5, confirm: 2, {ANY_LOAD}}}
gates: {{after: {{pace: {{require: regressions == 0, severity: warn}}}}}}
tests:
  a: {{title: A, command: {{argv: [python, -c, {json.dumps(SLEEPER)}]}}}}
"""


def seeded(project):
    """A project whose test has a baseline of two runs without a wait."""
    project.write(SPEC).compile()
    (project.root / "times").write_text("0")
    for _ in range(2):
        assert project.run("run").code == 0
    [gate] = project.gates()
    assert gate["result"] == "not_applicable"
    return project.root / ".orchestra/s/durations.json"


def slow(base):
    """More than the rule allows, whatever the machine made of the two runs before: MAD is at most half of the greater."""
    [taken] = baseline.load(base).values()
    return 4 * max(taken) + 2


def test_a_regression_is_confirmed_by_repeats_shown_and_kept_out_of_the_baseline(project):
    path = seeded(project)
    before = path.read_bytes()
    [[key, taken]] = baseline.load(path).items()
    assert key.startswith("cli:a - ")
    assert len(taken) == 2
    (project.root / "times").write_text(f"{slow(path):.3f}")
    done = project.run("run")
    assert done.code == 0, done.err
    assert project.verdicts() == {"cli:a": "passed"}
    [verdict] = project.events("verdict")
    assert verdict["body"]["attempts"] == 1
    assert [(event["body"]["number"], event["body"]["outcome"]) for event in project.events("repeat")] == [
        (1, "passed"),
        (2, "passed"),
    ]
    [event] = project.events("comparison")
    body = event["body"]
    assert (body["result"], body["suspected"], body["baseline"], body["runs"]) == ("slower", "slower", key, 2)
    assert min(body["seconds"], *body["repeats"]) > body["limit_seconds"]
    found = usual(taken)
    assert math.isclose(body["median_seconds"], found.median)
    limits = bounds(found, Baseline(20, 2, 3.0, 1.5, 2))
    assert limits is not None
    assert math.isclose(body["limit_seconds"], limits.slow)
    [gate] = project.gates()
    assert (gate["result"], gate["values"]) == ("warned", {"regressions": 1})
    dirs = [event["body"]["dir"] for event in project.events("repeat")]
    assert dirs == ["attempts/cli/a/1-repeat-1", "attempts/cli/a/1-repeat-2"]
    assert path.read_bytes() == before
    assert "slower      cli:a" in done.err
    assert "slower than its baseline" in (project.folder / "summary.md").read_text()
    # accepted, it is the new normal, and the ledger says so under a new seal
    accepted = project.run("baseline", "accept")
    assert accepted.code == 0, accepted.err
    assert accepted.out.startswith(f"{key}: median ")
    assert [len(taken) for taken in baseline.load(path.with_name("baseline.json")).values()] == [3]
    assert not path.exists()
    [changed] = project.events("baseline")
    assert changed["body"]["digest"] != changed["body"]["previous"]
    assert project.events()[-1]["type"] == "seal"
    assert project.run("run").code == 0
    [gate] = project.gates()
    assert (gate["result"], gate["values"]) == ("passed", {"regressions": 0})


def test_a_test_that_became_quicker_is_confirmed_shown_and_kept_out_of_the_baseline(project):
    path = seeded(project)
    [key] = baseline.load(path)
    path.write_bytes(
        baseline.encode(baseline.plain({key: (3000.0, 3001.0)}))
    )  # no machine is so slow that this is not quicker
    before = path.read_bytes()
    done = project.run("run")
    assert done.code == 0, done.err
    [event] = project.events("comparison")
    body = event["body"]
    assert (body["result"], body["suspected"], len(body["repeats"])) == ("faster", "faster", 2)
    assert max(body["seconds"], *body["repeats"]) < body["limit_seconds"]
    [gate] = project.gates()
    assert (gate["result"], gate["values"]) == ("passed", {"regressions": 0})
    assert "faster      cli:a" in done.err
    assert "faster than its baseline" in (project.folder / "summary.md").read_text()
    assert path.read_bytes() == before


def test_a_repeat_that_fails_confirms_nothing_and_changes_no_verdict(project):
    path = seeded(project)
    (project.root / "times").write_text(f"{slow(path):.3f} no-number 0")
    assert project.run("run").code == 0
    assert project.verdicts() == {"cli:a": "passed"}
    [event] = project.events("comparison")
    assert (event["body"]["result"], len(event["body"]["repeats"])) == ("unconfirmed", 1)
    [repeat] = project.events("repeat")
    assert repeat["body"]["outcome"] == "failed"
    [log] = [one for one in repeat["body"]["evidence"] if one["kind"] == "log"]
    assert "no-number" in (project.folder / log["path"]).read_text()
    assert project.gates()[0]["values"] == {"regressions": 0}


def test_a_run_that_fails_changes_no_baseline(project):
    project.write(
        f"{HEAD}tests:\n  a: {{title: A, command: {{argv: [python, -c, 'raise SystemExit(1)']}}}}\n"
    ).compile()
    assert project.run("run").code == 1
    assert not (project.root / ".orchestra/s/durations.json").exists()
    [record] = executions(project.root / ".orchestra/s")
    assert record.executions["cli:a"].verdict == "failed"


@pytest.mark.parametrize("name", ["baseline.json", "durations.json"])
def test_a_damaged_baseline_is_said_and_left_alone(project, name):
    path = seeded(project).with_name(name)
    path.write_text("<<<<<<< HEAD\n")
    done = project.run("run")
    assert done.code == 0, done.err
    assert "durations are not compared" in done.err
    assert path.read_text() == "<<<<<<< HEAD\n"
    shown = project.run("baseline", "show")
    assert shown.code == 3
    assert "is not a baseline" in shown.err
    assert project.run("baseline", "reset", "--all").code == 0
    assert not path.exists()


def test_baselines_are_shown_and_forgotten(project):
    seeded(project)
    shown = project.run("baseline", "show", "a")
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[0].split()[:5] == ["baseline", "runs", "in", "git", "median"]
    assert shown.out.splitlines()[-1].split()[:2] == ["cli:a", "-"]
    unknown = project.run("baseline", "show", "b")
    assert unknown.code == 2
    assert 'no test, group, tag or glob "b"' in unknown.err
    assert project.run("baseline", "reset").code == 2
    assert project.run("baseline", "reset", "a").out.endswith("forgotten\n")
    assert project.run("baseline", "show").code == 2
    elsewhere = project.run("baseline", "accept", "--machine", "moon")
    assert elsewhere.code == 2
    assert 'no passing run of the selected tests on "moon"' in elsewhere.err


PAIR = f"{HEAD}baseline: {{min_runs: 2, {ANY_LOAD}}}\ntests:\n  a: {py('pass')}\n  b: {py('pass')}\n  c: {py('pass')}\n"


def committed(project):
    """The project of three tests in git, with a run on its main branch."""
    project.write(PAIR).compile().git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "a suite")
    assert project.run("run").code == 0


def test_a_run_changes_no_file_that_git_tracks(project):
    committed(project)
    home = project.root / ".orchestra/s"
    assert project.git("status", "--porcelain") == ""
    assert set(baseline.load(home / "durations.json")) == set(baseline.known(home))
    assert project.run("baseline", "accept").code == 0
    assert project.git("status", "--porcelain").split() == ["??", ".orchestra/s/baseline.json"]
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "accepted")
    accepted = (home / "baseline.json").read_bytes()
    for words in (
        ["run"],
        ["run", "--force"],
        ["report", "--commit"],
        ["audit", "--policy", "--require", "clean_tree"],
    ):
        done = project.run(*words)
        assert done.code == 0, done.err + done.out
        assert project.git("status", "--porcelain") == "", words
    assert (home / "baseline.json").read_bytes() == accepted
    assert {len(taken) for taken in baseline.known(home).values()} == {3}
    (project.root / "published.json").write_text(project.git("show", "refs/orchestra/s:.orchestra/s/baseline.json"))
    assert baseline.load(project.root / "published.json") == baseline.known(home)


@pytest.mark.parametrize("there", [True, False], ids=["changed", "made"])
def test_baselines_that_two_branches_accept_merge(project, there):
    committed(project)
    path = project.root / ".orchestra/s/baseline.json"
    if there:
        assert project.run("baseline", "accept").code == 0
        project.git("add", "-A")
        project.git("commit", "-q", "-m", "accepted")
    accepted = {}
    for branch, tests in (("x", ["a", "b"]), ("y", ["b", "c"])):
        project.git("checkout", "-q", "-b", branch, "main")
        assert project.run("run", "--force").code == 0
        assert project.run("baseline", "accept", *tests).code == 0
        project.git("add", "-A")
        project.git("commit", "-q", "-m", "accepted")
        accepted[branch] = {key.split()[0]: taken for key, taken in baseline.load(path).items()}
    project.git("merge", "-q", "--no-edit", "x")
    merged = {key.split()[0]: taken for key, taken in baseline.load(path).items()}
    assert merged["cli:a"] == accepted["x"]["cli:a"]
    assert merged["cli:c"] == accepted["y"]["cli:c"]
    assert merged["cli:b"] == accepted["y"]["cli:b"], "it was measured later"
    assert project.run("baseline", "show").code == 0
    assert project.run("baseline", "accept").code == 0
    assert path.read_text().count("cli:b") == 1


@contextmanager
def busy():
    """Programs that use a quarter of the processors or more, and are no part of a run."""
    code = "while True: pass"
    programs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(((os.cpu_count() or 1) + 3) // 4)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


LOADED = SPEC.replace(ANY_LOAD, "max_load_percent: 5")


def test_durations_under_the_load_of_other_programs_become_no_part_of_a_baseline(project):
    project.write(LOADED).compile()
    (project.root / "times").write_text("2")
    with busy():
        assert project.run("run").code == 0
    [ended] = project.events("attempt_finished")
    assert re.fullmatch(r"other programs used \d+ % of the processors, more than 5 %", ended["body"]["disturbed"]), (
        ended["body"]["disturbed"]
    )
    assert baseline.known(project.root / ".orchestra/s") == {}
    refused = project.run("baseline", "accept")
    assert refused.code == 2
    assert "1 of the durations measured do not count: other programs used" in refused.err
    assert "do not count: other programs used" in project.run("baseline", "show").err


def test_a_repeat_waits_for_the_load_of_other_programs_and_gives_up(project):
    path = seeded(project)
    (project.root / "times").write_text(f"{slow(path):.3f}")
    project.write(LOADED).compile()
    with busy():
        done = project.shortened({"orchestra.runtime.run.pace.WAIT_SECONDS": 2.0}, "run")
    assert done.code == 0, done.err
    [event] = project.events("comparison")
    assert (event["body"]["result"], event["body"]["repeats"]) == ("unconfirmed", [])
    assert event["body"]["reason"].startswith("it was not repeated: other programs used")
    assert "not confirmed" in done.err
    [gate] = project.gates()
    assert (gate["result"], gate["values"]) == ("not_applicable", {})
    assert project.run("audit", "--gates").code == 0


def test_a_profile_is_compared_with_its_own_baseline(project):
    spec = SPEC.replace("tests:", "vars: {times: times}\nprofiles: {long: {vars: {times: long}}}\ntests:")
    project.write(spec.replace("'times'", "'${vars.times}'")).compile()
    (project.root / "times").write_text("0")
    (project.root / "long").write_text("2.5")
    for words in (["run"], ["run", "--profile", "long"]) * 2:
        assert project.run(*words).code == 0
    home = project.root / ".orchestra/s"
    found = {key.rpartition("gb")[2]: taken for key, taken in baseline.known(home).items()}
    assert {place: len(taken) for place, taken in found.items()} == {"": 2, "/long": 2}
    assert max(found[""]) < 2.5 <= min(found["/long"])
    done = project.run("run", "--profile", "long")
    assert (done.code, project.events("comparison")) == (0, [])
    assert project.run("baseline", "accept", "--profile", "long").code == 0
    assert [key.rpartition("/")[2] for key in baseline.load(home / "baseline.json")] == ["long"]
    assert "/long" in project.run("history", "a").out
