"""`workers: auto` in real runs: costs of an earlier run decide what runs side by side, and the record says so."""

from __future__ import annotations

import json

import psutil
import pytest

from orchestra.ledger.history import EXECUTIONS
from orchestra.runtime.engine.admission import PAIR_PERCENT

SPEC = """
orchestra: 1
suite: s
baseline: {max_load_percent: 100}
methods: {cli: {driver: command}}
tests:
  a: {command: {argv: [python, -c, "sum(range(200000))"]}}
  b: {command: {argv: [python, -c, "sum(range(200000))"]}}
  c: {command: {argv: [python, -c, "sum(range(200000))"]}}
"""


UNTIL_ANOTHER_WAITS = """
import pathlib, time
while not pathlib.Path("at_once").exists():
    record = (max(pathlib.Path(".orchestra/s/runs").glob("2*")) / "events.jsonl").read_text()
    ended = record.count('"type":"attempt_finished"')
    if ended == 2 or record.count('"type":"held_back"') > ended:
        break
    time.sleep(0.02)
"""


def learn(project, cores: float, megabytes: float = 0.0) -> None:
    """Run once, then let the history say that each test keeps so many processors busy."""
    assert project.run("run").code == 0
    file = project.root / ".orchestra/s" / EXECUTIONS
    head, line = file.read_text().splitlines()
    record = json.loads(line)
    for one in record["executions"].values():
        for attempt in one[3]:
            attempt[4:7] = [1.0, cores, megabytes]
    file.write_text(f"{head}\n{json.dumps(record)}\n")


def overlaps(project) -> int:
    """The number of attempts that began while another one ran."""
    running, found = 0, 0
    for event in project.events():
        found += event["type"] == "attempt_started" and running > 0
        running += {"attempt_started": 1, "attempt_finished": -1}.get(event["type"], 0)
    return found


@pytest.fixture
def work(project):
    return project.write(SPEC).compile()


def test_tests_that_want_all_processors_run_one_after_the_other_and_the_record_says_why(work):
    every = float(psutil.cpu_count())
    (work.root / "until.py").write_text(UNTIL_ANOTHER_WAITS)
    work.write(SPEC.replace('-c, "sum(range(200000))"', "until.py")).compile()
    (work.root / "at_once").touch()
    learn(work, every)
    assert work.events("held_back") == []
    (work.root / "at_once").unlink()
    shown = json.loads(work.run("plan", "--forecast", "--json").out)
    assert shown["waits"].keys() == {"processors"}
    assert len(set(shown["by_workers"].values())) == 1, "no number of workers makes it shorter"
    assert work.run("run").code == 0
    assert overlaps(work) == 0
    first, second = (event["body"] for event in work.events("held_back"))
    assert {first["task"], second["task"]} < {"cli:a", "cli:b", "cli:c"}
    assert (first["lack"], first["processors"], first["processors_used"], first["running"]) == (
        "processors",
        every,
        every,
        1,
    )
    assert first["processors"] + first["processors_used"] > PAIR_PERCENT / 100 * first["processors_all"]
    told = work.run("show", first["test"], "--run", "last").out
    assert (
        f"waited      for processors: it wants {every:.1f} processors and 0 MB, 1 running test has {every:.1f} of"
        in told
    )
    assert f"waits       {first['task']}" in work.run("events").out
    assert work.run("audit").code == 0
    (work.root / "at_once").touch()
    assert work.run("run", "--workers", "3").code == 0
    assert work.events("held_back") == [], "a number of workers is what the user says"


def test_tests_that_cost_little_and_those_of_unknown_cost_are_not_held_back(work):
    learn(work, 0.01, 10.0)
    assert work.run("run").code == 0
    assert work.events("held_back") == []
    assert work.events("run_started")[0]["body"]["expected"]["memory_megabytes"] >= 20.0


def test_no_more_memory_is_used_than_is_there(work):
    learn(work, 0.01, psutil.virtual_memory().total / 1e6)
    assert work.run("run").code == 0
    assert overlaps(work) == 0
    assert {event["body"]["lack"] for event in work.events("held_back")} == {"memory"}


def test_an_exclusive_test_runs_alone_next_to_light_ones(project):
    project.write(SPEC.replace("  c: {", "  c: {exclusive: true, ")).compile()
    learn(project, 0.01)
    assert project.run("run").code == 0
    running: set[str] = set()
    for event in project.events():
        task = event["body"].get("task", "")
        if event["type"] == "attempt_started":
            assert not running or "cli:c" not in {*running, task}
            running.add(task)
        elif event["type"] == "attempt_finished":
            running.discard(task)
