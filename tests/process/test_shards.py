"""Runs that are shards of a suite, and the record that they are merged into."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from orchestra.ledger.event import AttemptFinished, RunStarted, Sharding
from orchestra.ledger.log import Writer
from orchestra.ledger.reading import read
from tests.support.pages import data_of
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


# ------------------------------------------------------------------------------------------------------------- merging


def copied(source: SuiteProject, folder: Path) -> SuiteProject:
    """The project without its runs, in a folder of its own."""
    skipped = shutil.ignore_patterns("runs", "*.json.lock", "history.json", "executions.jsonl", "durations.json")
    shutil.copytree(source.root, folder, ignore=skipped)
    return SuiteProject(folder)


@pytest.fixture(scope="module")
def merged(shards, tmp_path_factory) -> tuple[SuiteProject, Path]:
    """A project with the merged run alone, as in a job that has the records of others."""
    project = copied(shards[0], tmp_path_factory.mktemp("merged") / "p")
    done = project.run("merge", *map(str, shards[1]))
    assert done.code == 1, done.err
    assert "5 passed, 1 failed; 6 in all" in done.err
    return project, project.folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_any_order_of_arguments_gives_the_same_bytes(shards, merged, tmp_path):
    for number, order in enumerate(itertools.permutations(shards[1])):
        if list(order) != shards[1]:
            project = copied(shards[0], tmp_path / str(number) / "p")
            assert project.run("merge", *map(str, order)).code == 1
            assert content(project.folder) == content(merged[1])


def test_the_page_of_a_merged_run_is_that_of_one_run(merged):
    data = data_of((merged[1] / "report.html").read_text(encoding="utf-8"))
    assert (data["headline"], data["counts"]) == ("Failed: 1 of 6 tests", {"passed": 5, "failed": 1})
    assert [task["task"] for task in data["tasks"]] == [f"cli:T{n}" for n in range(1, 7)]
    assert all(len(task["tries"]) == 1 for task in data["tasks"])
    assert [note for note in data.get("notes", ()) if "Shard" in note] == []


def test_a_merged_run_is_audited_whole(merged):
    project, folder = merged
    done = project.run("audit", "--gates", "--policy")
    assert (done.code, "every number and result is the same" in done.out) == (0, True), done.out
    gates = {event.body.name: event.body.result for event in read(folder / "events.jsonl") if event.type == "gate"}
    assert gates == {"tool": "passed", "processors": "passed", **dict.fromkeys(GATES, "passed")}


@pytest.mark.parametrize(
    "place, old, new, fault",
    [
        ("shards/2/events.jsonl", b"passed", b"failed", "shards/2/events.jsonl"),
        ("shards/2/report.html", b"html", b"HTML", "was changed"),
        ("events.jsonl", b"passed", b"failed", "events.jsonl:"),
    ],
)
def test_a_change_in_a_merged_run_is_found(merged, tmp_path, place, old, new, fault):
    project = SuiteProject(tmp_path / "p")
    shutil.copytree(merged[0].root, project.root, symlinks=True)
    file = project.folder / place
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    done = project.run("audit")
    assert (done.code, fault in done.out) == (1, True), done.out


def made_again(folder: Path, change, at: str = "2026-01-02T03:04:05.000000Z") -> None:
    """Write the ledger of a run again as a whole chain, as anyone can, with other bodies."""
    events = list(read(folder / "events.jsonl"))
    (folder / "events.jsonl").unlink()
    with Writer(folder / "events.jsonl", now=lambda: datetime.fromisoformat(at)) as writer:
        for event in events:
            body = change(event.body)
            if event.type == "seal":
                body = msgspec.structs.replace(body, head=writer.tip.hash)
            writer.append(body)


def test_a_forged_event_of_a_whole_chain_is_found(merged, tmp_path):
    project = SuiteProject(tmp_path / "p")
    shutil.copytree(merged[0].root, project.root, symlinks=True)

    def longer(body):
        mine = isinstance(body, AttemptFinished) and body.test == "T2"
        return msgspec.structs.replace(body, seconds=body.seconds + 1) if mine else body

    made_again(project.folder, longer)
    done = project.run("audit")
    assert (done.code, "is not what they give" in done.out) == (1, True), done.out


@pytest.mark.parametrize(
    "fields, code, message",
    [
        ({"suite": "../../outside"}, 2, 'unknown suite "../../outside"'),
        ({"run": "../1"}, 3, 'its run id is "../1"'),
        (
            {"shard": Sharding(index=1, of=10**9, durations="", selection=("cli:T1",))},
            3,
            "it is shard 1/1000000000 of 1 tests",
        ),
        ({"shard": Sharding(index=0, of=1, durations="", selection=("cli:T1",))}, 3, "it is shard 0/1 of 1 tests"),
    ],
    ids=["suite", "run", "number", "index"],
)
def test_names_of_a_forged_record_lead_nowhere(shards, tmp_path, fields, code, message):
    project, folder = copied(shards[0], tmp_path / "p"), tmp_path / shards[1][0].name
    shutil.copytree(shards[1][0], folder)
    made_again(folder, lambda body: msgspec.structs.replace(body, **fields) if isinstance(body, RunStarted) else body)
    done = project.run("merge", str(folder), "--allow-incomplete")
    assert (done.code, message in done.err) == (code, True), done.err
    assert not (tmp_path / "outside").exists()


def test_a_resumed_shard_gives_what_counts(shards, tmp_path):
    project = copied(shards[0], tmp_path / "p")
    index, folder = next((index, one) for index, one in enumerate(shards[1]) if "cli:T3" in started(one).selection)
    shutil.copytree(folder, project.root / ".orchestra/s/runs" / folder.name)
    assert project.run("run", "--resume", folder.name, "--trust").code == 1
    resumed = project.root / ".orchestra/s/runs" / folder.name
    done = project.run("merge", *map(str, [*shards[1][:index], resumed, *shards[1][index + 1 :]]))
    assert done.code == 1, done.err
    assert project.run("audit", "--gates").code == 0
    attempts = [event.body for event in read(project.folder / "events.jsonl") if event.type == "attempt_finished"]
    assert [body.attempt for body in attempts if body.test == "T3"] == [1]
    assert len(attempts) == 6


def test_verbs_read_a_merged_run_like_any_other(merged):
    project, folder = merged
    assert "shards/" in project.run("show", "last", "T3").out
    assert project.run("report", "last").code == 0
    assert project.run("audit").code == 0
    listed = project.run("history", "--json").out
    assert folder.name in listed
    assert 'tests="6" failures="1"' in (folder / "junit.xml").read_text(encoding="utf-8")
    assert json.loads((folder / "ctrf.json").read_text(encoding="utf-8"))["results"]["summary"]["tests"] == 6
    assert "no checkpoint" in project.run("rollback", "last", "cli:basics").err
    assert "nothing to resume" in project.run("run", "--resume", "--list").err
    assert "was merged from shards" in project.run("plan", "--forecast", "--run", "last").err


def refused(shards, tmp_path: Path, folders, *words: str) -> str:
    project = copied(shards[0], tmp_path / "p")
    done = project.run("merge", *map(str, folders), *words)
    assert done.code == 3, done.err
    assert not (project.root / ".orchestra/s/runs").exists()
    return done.err


def test_a_missing_and_a_double_shard_are_refused_by_name(shards, tmp_path):
    first, second, third = shards[1]
    missing = refused(shards, tmp_path / "a", [first, third])
    assert "no record of shard 2/3 is given\nhint: run what is missing again; --allow-incomplete" in missing
    twice = refused(shards, tmp_path / "b", [first, second, third, third])
    assert f"shard 3/3 is there twice: run {third.name} (shard 3/3, {third}) and" in twice


def test_another_plan_a_whole_run_and_a_damaged_chain_are_refused(shards, tmp_path):
    first, second, third = shards[1]
    other = copied(shards[0], tmp_path / "other" / "p")
    other.write(SPEC.replace("cpu_percent < 1000.0", "cpu_percent < 999.0")).compile()
    assert other.run("run", "--shard", "3/3").code in {0, 1}
    odd = refused(shards, tmp_path / "a", [first, second, other.folder])
    assert f"run {other.folder.name} (shard 3/3" in odd
    assert "hint: give each shard of one selection once, of the same commit, plan and durations\n" in odd
    assert other.run("run", "T2").code == 1, "the gate that counts all tests"
    assert "it is the run of a whole selection" in refused(shards, tmp_path / "b", [first, other.folder])
    shutil.copytree(first, tmp_path / first.name)
    ledger = tmp_path / first.name / "events.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"passed", b"failed", 1))
    assert f"{first.name}/events.jsonl:" in refused(shards, tmp_path / "c", [tmp_path / first.name, second, third])


def test_missing_tests_of_an_incomplete_merge_never_ran(shards, tmp_path):
    first, second, third = shards[1]
    shutil.copytree(second, tmp_path / second.name)
    ledger = tmp_path / second.name / "events.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if b'"type":"verdict"' in line)
    ledger.write_bytes(b"".join(lines[: cut + 1]) + b'{"half')
    err = refused(shards, tmp_path / "a", [first, tmp_path / second.name])
    assert "no record of shard 3/3" in err
    assert "has no end" in refused(shards, tmp_path / "b", [first, tmp_path / second.name, third])
    project = copied(shards[0], tmp_path / "c" / "p")
    begun = tmp_path / third.name
    begun.mkdir()
    (begun / "events.jsonl").touch()  # a kill before the first event
    assert project.run("merge", str(first), str(tmp_path / second.name), str(begun), "--allow-incomplete").code == 1
    reasons = {name: reason for name, reason in project.reasons().items() if reason.startswith("never ran")}
    lost = list(started(second).selection)
    lost.remove(json.loads(lines[cut])["body"]["task"])
    assert reasons == {
        **dict.fromkeys(started(third).selection, "never ran: no record of shard 3/3"),
        **dict.fromkeys(lost, "never ran: shard 2/3 has no end"),
    }
    assert {project.verdicts()[task] for task in reasons} == {"error"}
    assert project.run("audit", "--gates").code == 0


def test_shards_are_merged_once_and_in_their_own_project(shards):
    project, folders = shards
    assert project.run("merge", *map(str, folders)).code == 1
    merged = project.folder
    assert merged.name > max(folder.name for folder in folders)
    assert "are merged already, as run" in project.run("merge", *map(str, folders)).err
    records = [json.loads(line) for line in project.run("history", "--json").out.splitlines()]
    assert [record["run"] for record in records] == [merged.name], "shards are counted again"
    assert "is no folder of a run" in project.run("merge", str(project.root)).err
    last = project.run("merge", ".orchestra/s/runs/last").err
    assert last.startswith('error: ".orchestra/s/runs/last" is a link, or has one in it\n')
    assert "run last has one method, cli" in project.run("compare").err, "it is not compared with its own shards"
    gone = project.run("status", next(one.name for one in folders if "cli:T3" in started(one).selection)).out
    assert re.search(r"\ngo on       orchestra run --resume \S+\n", gone)
    told = project.run("wait", folders[0].name, "--all", "--brief")
    assert "after:rate  pending" in told.out + told.err
    assert "after:all_judged" not in told.out + told.err
    assert "go on" not in project.run("status").out, "its shards are runs of their own"
    assert f"orchestra run --resume {folders[0].name}`" in project.run("rollback", folders[0].name, "cli:more").err
