"""Runs that are shards of a suite, and the record that they are merged into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestra.ledger.reading import read
from tests.support.project import SuiteProject

SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2}}
groups: {basics: {}, more: {after: [basics]}}
health: {tool: {ready: {run: {argv: ["true"]}}}}
gates:
  before: {tool: {require: 'health.tool == "healthy"'}}
  during: {processors: {require: cpu_percent < 1000.0}}
  after:
    rate: {require: pass_rate >= 0.8}
    all: {require: total == 6 && seconds_total < 9000.0}
tests:
  T1: {group: basics, requires: [tool], command: {argv: [python, -c, "print(1)"]}}
  T2: {group: basics, command: {argv: ["true"]}}
  T3: {group: basics, command: {argv: ["false"]}}
  T4: {group: more, needs: [T2], requires: [tool], command: {argv: ["true"]}}
  T5: {group: more, command: {argv: ["true"]}}
  T6: {group: more, command: {argv: ["true"]}}
"""
GATES = ["rate", "all", "all_judged", "none_silent", "servers_up", "plan_fresh", "evidence_complete"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> tuple[SuiteProject, list[Path]]:
    """A project, and the folders of its three shards, which nobody changes."""
    root = tmp_path_factory.mktemp("shards")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    project = SuiteProject(root).write(SPEC).compile()
    folders = []
    for index in (1, 2, 3):
        done = project.run("run", "--shard", f"{index}/3")
        assert done.code == (1 if "cli:T3  " in done.err else 0), done.err
        folders.append(project.folder)
    return project, folders


def started(folder: Path):
    return next(iter(read(folder / "events.jsonl"))).body


def test_shards_run_every_test_once_and_record_their_place(shards):
    project, folders = shards
    bodies = [started(folder) for folder in folders]
    shown = json.loads(project.run("plan", "--shards", "3", "--json").out)
    assert [list(body.selection) for body in bodies] == [list(one["tasks"]) for one in shown["shards"]]
    assert sorted(task for body in bodies for task in body.selection) == [f"cli:T{n}" for n in range(1, 7)]
    assert [body.shard.name for body in bodies] == ["1/3", "2/3", "3/3"]
    assert {body.shard.durations for body in bodies} == {shown["durations"]["digest"]}
    assert {body.plan_digest for body in bodies} == {shown["plan_digest"]}
    assert {body.shard.selection for body in bodies} == {tuple(f"cli:T{n}" for n in range(1, 7))}


def test_gates_of_the_end_are_pending_in_a_shard(shards):
    project, folders = shards
    for folder in folders:
        gates = {event.body.name: event.body for event in read(folder / "events.jsonl") if event.type == "gate"}
        assert [name for name, gate in gates.items() if gate.result == "pending"] == GATES
        assert gates["processors"].result == "passed"
        assert project.run("audit", folder.name, "--gates", "--policy").code == 0
    junit = (folders[0] / "junit.xml").read_text(encoding="utf-8")
    assert '<property name="shard" value="1/3"' in junit
    assert "after:rate" in (folders[0] / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--shard", "4/3"], "I is a number from 1 to N, which is 3"),
        (["--shard", "0/3"], "I is a number from 1 to N, which is 3"),
        (["--shard", "3"], "write I/N, for instance 2/4"),
        (["--shard", "1/9"], "9 shards are too many for 6 tests"),
        (["--shard", "1/3", "--resume"], "a run resumes its own shard"),
        (["--shard", "1/3", "--last-failed"], "that differs between machines"),
        (["--shard", "1/3", "--all-suites"], "--shard does not fit"),
    ],
)
def test_a_shard_that_is_none_is_refused(shards, words, message):
    done = shards[0].run("run", *words)
    assert (done.code, message in done.err) == (2, True), done.err


def test_a_list_of_a_shard_starts_nothing(shards):
    project, folders = shards
    listed = project.run("run", "--shard", "2/3", "--list").out.split()
    assert [word for word in listed if word.startswith("cli:")] == list(started(folders[1]).selection)


@pytest.mark.parametrize("words", [["--json"], ["T1"], ["--shards", "2", "--format", "json"]])
def test_a_plan_without_shards_has_no_selection(shards, words):
    assert shards[0].run("plan", *words).code == 2


def test_a_plan_names_the_edge_to_cut(shards, tmp_path):
    project = SuiteProject(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
    project.write(
        SPEC.replace("T5: {group: more,", "T5: {group: more, needs: [T4],").replace("T6: {", "T6: {needs: [T5], ")
    )
    done = project.compile().run("plan", "--shards", "2")
    assert 'cut "cli:T5" needs "cli:T4"' in done.out, done.out
    shown = json.loads(project.run("plan", "--shards", "2", "--json").out)
    assert [one["cut"] for one in shown["binds"]] == [{"task": "cli:T5", "needs": "cli:T4"}]
