"""Old runs go whole; what something rests on stays."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger import baseline, canonical, history, run_record
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.retention import Limits, doomed, prune, retention
from orchestra.ledger.runs import runs_of
from tests.support.project import HEAD, py

NAMES = [f"202601{day:02d}T000000Z-00{day:02d}" for day in range(9, 0, -1)]


@given(st.lists(st.sampled_from(NAMES), unique=True), st.integers(0, 12), st.sets(st.sampled_from(NAMES)))
def test_the_newest_and_the_held_stay(names, keep, held):
    names = sorted(names, reverse=True)
    gone = doomed(names, keep, held)
    assert not set(gone) & held
    stays = set(names[: keep or len(names)])
    assert not set(gone) & stays
    assert set(names) - set(gone) - held == stays - held
    old = doomed(names, 0, held, NAMES[4])
    assert old == [name for name in names[1:] if name < NAMES[4] and name not in held]


def ledger(home, name, *lines):
    folder = home / "runs" / name
    (folder / "attempts").mkdir(parents=True)
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_runs_are_removed_and_what_rests_on_them_is_not(tmp_path):
    def unchanged(task, run):
        return canonical.canonical({"type": "verdict", "body": {"task": task, "unchanged_since": run}}).decode()

    for name in NAMES:
        ledger(tmp_path, name)
    for name, line in ((NAMES[0], unchanged("cli:c", NAMES[6])), (NAMES[6], unchanged("cli:d", NAMES[8]))):
        (tmp_path / "runs" / name / "events.jsonl").write_text(f"{line}\n" + '"unchanged_since":"torn')
    (tmp_path / "runs" / ".removed-half").mkdir()
    (tmp_path / "runs" / "last").symlink_to(NAMES[5])
    past = {
        "cli:a": run_record.LastExecution(1.0, NAMES[7], "digest"),
        "cli:b": run_record.LastExecution(1.0, NAMES[4]),
    }
    (tmp_path / "history.json").write_bytes(history.encoded(past))
    planned = retention(tmp_path, Limits(3))
    assert len(list((tmp_path / "runs").iterdir())) == len(NAMES) + 2
    found, _ = prune(tmp_path, Limits(3))
    assert found == planned
    assert found.gone == [NAMES[3], NAMES[4]]
    assert found.held == {
        NAMES[5]: "it is the last run that ended",
        NAMES[6]: f"cli:c is unchanged in {NAMES[0]} because it passed there",
        NAMES[7]: "cli:a passed there, and is unchanged since",
        NAMES[8]: f"cli:d is unchanged in {NAMES[6]} because it passed there",
    }
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == sorted([*NAMES[:3], *NAMES[5:], "last"])
    assert prune(tmp_path, Limits(3))[0].gone == []


def test_what_was_seen_by_hand_goes_with_the_runs_of_its_time(tmp_path):
    for name in NAMES:
        ledger(tmp_path, name)
    then = dt.datetime(2026, 1, 2, tzinfo=dt.UTC).timestamp()
    for name, changed in (("20260102T000000Z-p1", then), ("20260102T000000Z-p2", None), ("20260109T000000Z-p3", then)):
        folder = tmp_path / "runs" / "by-hand" / name
        folder.mkdir(parents=True)
        (folder / "shot.png").write_bytes(b"")
        for path in (folder / "shot.png", folder) if changed else ():
            os.utime(path, (changed, changed))
    prune(tmp_path, Limits(99))
    assert len(list((tmp_path / "runs/by-hand").iterdir())) == 3, "no run goes"
    prune(tmp_path, Limits(3))
    left = sorted(path.name for path in (tmp_path / "runs/by-hand").iterdir())
    assert left == ["20260102T000000Z-p2", "20260109T000000Z-p3"], "one that is in use, and one of a run that stays"


def test_a_run_under_way_is_not_doomed(tmp_path):
    for name in NAMES[:3]:
        ledger(tmp_path, name)
    with Lock(tmp_path / "lock", Holder(1, NAMES[2], "now")):
        assert retention(tmp_path, Limits(1)) == ([NAMES[1]], {NAMES[2]: "it is under way"}, 2)


SPEC = f"""{HEAD}
tests:
  a: {{inputs: [input.txt], command: {{argv: [python, -c, pass]}}}}
  b: {py("pass")}
"""


def test_the_verb_prunes_and_the_executions_stay_known(project):
    (project.root / "input.txt").write_text("1")
    project.write(SPEC).compile()
    made = []
    for _ in range(4):
        assert project.run("run").code == 0
        made.append(project.folder.name)
    home = project.root / ".orchestra/s"
    (home / history.EXECUTIONS).unlink()  # the cache is brought up to date before anything goes
    told = project.run("history", "--prune", "--keep", "1", "--dry-run")
    assert told.code == 0
    assert told.out.splitlines() == [
        f"{made[2]}  would be removed",
        f"{made[1]}  would be removed",
        f"{made[0]}  retained: cli:a passed there, and is unchanged since",
        "2 runs would be removed, 2 retained",
    ]
    assert runs_of(home) == made[::-1]
    told = project.run("history", "--prune", "--keep", "1")
    assert told.code == 0
    assert told.out.splitlines()[-1] == "2 runs removed, 2 retained"
    assert runs_of(home) == [made[3], made[0]]
    assert len(project.run("history", "--json").out.splitlines()) == 4
    assert project.run("audit").code == 0
    assert project.run("run").code == 0
    assert project.verdicts()["cli:a"] == "unchanged"
    assert project.run("history", "--prune").out == "0 runs removed, 3 retained\n"


def test_nothing_is_pruned_while_a_run_holds_the_suite(project):
    project.write(SPEC).compile()
    home = project.root / ".orchestra/s"
    for name in NAMES:
        ledger(home, name)
    with Lock(home / "lock", Holder(1, "another", "now")):
        told = project.run("history", "--prune", "--keep", "2")
    assert told.code == 3
    assert "run another (process 1, since now) holds" in told.err
    assert runs_of(home) == NAMES


@pytest.mark.parametrize("words", [("--prune", "a"), ("--prune", "--flaky"), ("--keep", "3"), ("--dry-run",)])
def test_options_that_do_not_go_together_are_told(project, words):
    project.write(SPEC).compile()
    told = project.run("history", *words)
    assert told.code == 2
    assert "--prune" in told.err


def test_a_run_removes_what_keep_runs_does_not_allow_and_states_it(project):
    home = project.root / ".orchestra/s"
    project.write(f"{SPEC}keep_runs: {{count: 2, days: 3650}}\n").compile()
    for name in NAMES:  # of January 2026
        ledger(home, name)
    accepted = {"cli:b any any": baseline.Entry((1.0,), NAMES[3])}
    (home / baseline.FILE).write_bytes(baseline.encode(accepted))
    (home / "runs" / ".removed-half").mkdir()
    done = project.run("run", "b")
    assert done.code == 0, done.err
    own = project.folder.name
    assert runs_of(home) == [own, NAMES[0], NAMES[3]]
    assert "7 runs removed, 3 retained" in done.err
    assert not list((home / "runs").glob(".removed-*"))
    assert project.run("audit").code == 0
    assert f"{NAMES[3]}  retained: baseline.json has its duration of cli:b" in project.run("history", "--prune").out


@pytest.mark.parametrize("limit, left", [("days: 20", 1), ("days: 36500", 10), ("count: 4", 4)])
def test_a_limit_alone_counts(project, limit, left):
    home = project.root / ".orchestra/s"
    project.write(f"{SPEC}keep_runs: {{{limit}}}\n").compile()
    for name in NAMES:
        ledger(home, name)
    assert project.run("run", "b").code == 0
    assert len(runs_of(home)) == left
    assert project.run("history", "--prune", "--days", "0.5", "--dry-run").out.endswith("1 retained\n")


def test_age_is_that_of_the_start(tmp_path):
    for name in NAMES:
        ledger(tmp_path, name)
    now = dt.datetime(2026, 1, 9, tzinfo=dt.UTC)
    assert retention(tmp_path, Limits(0, 3.0), now).gone == NAMES[4:]
    assert retention(tmp_path, Limits(5, 3.0), now).gone == NAMES[4:]
    assert retention(tmp_path, Limits(3, 3.0), now).gone == NAMES[3:]


KILLED = """
import os, signal, sys
from pathlib import Path
from orchestra import nofollow
from orchestra.ledger import disk, retention
left = int(sys.argv[2])
def counted(act):
    def step(*words):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*words)
    return step
nofollow.replace = counted(nofollow.replace)
retention.remove_tree = counted(retention.remove_tree)
retention.prune(Path(sys.argv[1]), retention.Limits(2))
"""


@pytest.mark.parametrize("steps", [0, 1, 5, 7, 8, 13])
def test_a_prune_that_is_killed_leaves_whole_runs_and_the_next_one_the_rest(tmp_path, steps):
    for name in NAMES:
        ledger(tmp_path, name)
    (tmp_path / history.EXECUTIONS).write_bytes(b"")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(steps)], check=False)
    assert ended.returncode == -signal.SIGKILL
    left = runs_of(tmp_path)
    assert set(left) >= set(NAMES[:2])
    assert all((tmp_path / "runs" / name / "attempts").is_dir() for name in left)
    prune(tmp_path, Limits(2))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(NAMES[:2])


def test_a_disk_that_refuses_fails_no_run(project):
    project.write(f"{SPEC}keep_runs: {{count: 1}}\n").compile()
    home = project.root / ".orchestra/s"
    ledger(home, NAMES[0])
    (home / "runs" / f".removed-{NAMES[0]}").write_text("a file in the place of the folder")
    done = project.run("run", "b")
    assert done.code == 0, done.err
    assert "no run could be removed" in done.err
    assert json.loads((project.folder / "state.json").read_text())["exit_code"] == 0


def test_folders_that_take_too_long_are_left_to_the_next_prune(tmp_path):
    for name in NAMES:
        ledger(tmp_path, name)
    found, _ = prune(tmp_path, Limits(2), within_seconds=0.0)
    assert runs_of(tmp_path) == NAMES[:2]
    assert len(list((tmp_path / "runs").glob(".removed-*"))) == len(found.gone) == len(NAMES) - 2
    prune(tmp_path, Limits(2))
    assert not list((tmp_path / "runs").glob(".removed-*"))
