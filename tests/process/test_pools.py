"""Entries of pools in real runs: nobody else holds one, its values arrive, and the record has who held which."""

from __future__ import annotations

import pytest

from tests.support.project import SuiteProject

USE = """
import os, sys, time
for name in sys.argv[1].split():
    os.close(os.open(f"held-{name}", os.O_CREAT | os.O_EXCL))
time.sleep(0.05)
for name in sys.argv[1].split():
    os.remove(f"held-{name}")
"""
SPEC = """\
orchestra: 1
suite: s
methods: {one: {driver: command, workers: 3, parallel: true}, two: {driver: command, workers: 3, parallel: true}}
secrets: [BEN]
pools:
  users: [{name: ana, word: "$${x}"}, {name: "${env.BEN}", word: b}, {name: cid, word: c}]
defaults: {takes: {user: users}}
blocks: {use: {params: [names], command: {argv: [python, use.py, "${names}"]}}}
tests:
  word: {methods: [one], command: {argv: [echo, "${user.name} ${user.word}"]}}
"""
ONE = "  t{}: {{use: {{use: {{names: '${{user.name}}'}}}}}}\n"
TWO = "  t{}: {{takes: {{friend: users}}, use: {{use: {{names: '${{user.name}} ${{friend.name}}'}}}}}}\n"


@pytest.fixture
def pooled(project: SuiteProject) -> SuiteProject:
    (project.root / "use.py").write_text(USE)
    return project.write(
        SPEC + "".join((TWO if number % 3 == 0 else ONE).format(number) for number in range(8))
    ).compile()


def test_no_entry_is_held_twice_at_once(pooled):
    done = pooled.run("run", "--shuffle", "7", BEN="ben-4711-secret")
    assert (done.code, set(pooled.verdicts().values())) == (0, {"passed"}), done.err
    held: dict[str, str] = {}
    labels = set()
    for event in pooled.events():
        body = event["body"]
        if event["type"] not in {"attempt_started", "attempt_finished"}:
            continue
        if event["type"] == "attempt_finished":
            held = {label: task for label, task in held.items() if task != body["task"]}
            continue
        mine = body["holds"].values()
        assert len(set(mine)) == len(mine) == (2 if "friend" in body["holds"] else 1)
        assert not held.keys() & set(mine), (held, body)
        held |= dict.fromkeys(mine, body["task"])
        labels |= set(mine)
    assert labels == {"users[ana]", "users[2]", "users[cid]"}
    log = (pooled.folder / "output/passed.log").read_text()  # no other test writes anything
    assert sum(text in log for text in ("ana ${x}\n", "***BEN*** b\n", "cid c\n")) == 1
    assert "ben-4711-secret" not in log


def test_a_shard_has_its_part_of_the_entries_and_an_entry_needs_its_variable(pooled):
    unset = pooled.run("run")
    where = 'specs/s.yaml:6:39: the pool "users" uses ${env.BEN}, and the environment variable BEN is not set'
    assert (unset.code, where in unset.err) == (2, True), unset.err
    shard = pooled.run("run", "--shard", "2/2", BEN="ben-4711-secret")
    assert (shard.code, "shard 2/2 has 1 entry of the pool users" in shard.err) == (2, True), shard.err
    for words in (("run", "--shard", "1/2", "--list"), ("plan", "--shards", "2")):
        assert pooled.run(*words).err == shard.err
    assert "takes      friend=users user=users" in pooled.run("show", "t0").out
